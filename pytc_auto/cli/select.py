"""pytc select."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytc_auto.cli.screen import bars, screen
from pytc_auto.options import RunsOption


def select(
    what: Annotated[
        list[str],
        typer.Argument(metavar="RUN|SWEEP|DATASET|MODEL...", help="trained runs of the same data, by one or several names"),
    ],
    runs: RunsOption = Path("runs"),
    out: Annotated[
        Path | None, typer.Option(help="model folder to write; 'selected' in the folder of all runs by default")
    ] = None,
) -> None:
    """Find the best model or ensemble of several runs on the data that they held out, and export it as one model folder."""
    from pytc_auto.pipeline.selection import select as run
    from pytc_auto.report.terminal import selection_table

    with bars() as shown:
        found = run(what, runs=runs, out=out, say=shown.say, progress=shown)
    console, selection = screen(), found.selection
    console.print(selection_table(selection))
    if selection.refit:
        console.print("Weights that then learned from all labelled data are exported; they were not the ones that were scored.")
    console.print(f"Model: {found.folder}\nNext: pytc predict VOLUME --model {found.folder} -o OUT")
