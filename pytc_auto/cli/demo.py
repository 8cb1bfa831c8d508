"""pytc demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytc_auto.cli.screen import bars, screen


def demo(
    out: Annotated[Path, typer.Option(help="folder for data, run and result")] = Path("demo"),
) -> None:
    """The whole way on synthetic tissue: plan, train, predict, evaluate."""
    from pytc_auto.pipeline.demo import demo as run
    from pytc_auto.report.terminal import plan_table, score_table

    with bars() as shown:
        done = run(out, say=shown.say, progress=shown)
    console = screen()
    console.print(plan_table(done.planned.plan))
    console.print(score_table(done.scores, "A volume that training never saw"))
    console.print(f"Look at {done.picture}")
