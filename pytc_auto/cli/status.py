"""pytc status."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytc_auto.cli.screen import escaped, screen


def status(out: Annotated[Path, typer.Argument(help="output of pytc predict, finished or not, or a folder of such")]) -> None:
    """How many blocks of an output are done, running or failed."""
    from pytc_auto.pipeline.status import status as look
    from pytc_auto.report.terminal import status_table

    rows: list[tuple[str, str, list[int | None]]] = []
    told = []
    for output in look(out):
        name = str(output.path)
        for stage in output.stages:
            counts = [stage.blocks, stage.done, len(stage.running), len(stage.failed), len(stage.ended)]
            rows.append((name, stage.name, counts))
            told += [f"{name}: block {block} failed: {reason}" for block, reason in stage.failed.items()]
            told += [f"{name}: block {block} was begun by {who}, which has ended" for block, who in stage.ended.items()]
        if not output.stages:
            rows.append((name, "finished" if output.finished else "no block begun", []))
    screen().print(status_table(rows))
    for line in told:
        screen().print(escaped(line), soft_wrap=True)
    if told:
        screen().print("The same pytc predict again does what is not done.")
