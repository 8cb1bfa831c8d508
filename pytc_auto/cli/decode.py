"""pytc decode."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pytc_auto.cli.screen import bars, screen
from pytc_auto.options import WorkersOption, parameter


def decode(
    out: Annotated[Path, typer.Argument(help="output of pytc predict, of one volume")],
    parameters: Annotated[
        list[Any] | None,
        typer.Option(
            "--set", parser=parameter, metavar="NAME=VALUE", help="of the decoder, such as threshold=0.6; repeat for more"
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option("--decoder", help="another decoder, where predictions were kept")] = None,
    workers: WorkersOption = 1,
) -> None:
    """Segment again from the fragments and the graph that an output keeps, without the network."""
    from pytc_auto.pipeline.decoding import decode as run
    from pytc_auto.pipeline.workers import make_executor

    given = dict(parameters or [])
    if len(given) < len(parameters or []):
        raise typer.BadParameter("a parameter is given twice. Give each once.", param_hint="--set")
    with bars() as shown:
        chosen = run(out, given, kind=kind, executor=make_executor(workers), progress=shown)
    told = ", ".join(f"{name} {value:g}" for name, value in chosen.parameters.items())
    screen().print(f"Decoded by {chosen.kind}: {told}\nSegmentation: {out / 'labels' / 'segmentation'}", soft_wrap=True)
