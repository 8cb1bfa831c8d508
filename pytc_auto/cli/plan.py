"""pytc plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytc_auto.cli.screen import bars, escaped, screen
from pytc_auto.options import TASKS, RunsOption, SizeName, TaskName, TimeOption, VoxelSizeOption


def plan(  # noqa: PLR0913, PLR0917
    dataset: Annotated[Path, typer.Argument(help="folder with images/ and labels/, or one container with both")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="decisions made by hand, such as patch=[32,160,160]")
    ] = None,
    name: Annotated[str | None, typer.Option(help="of the run")] = None,
    runs: RunsOption = Path("runs"),
    voxel_size: VoxelSizeOption = None,
    task: Annotated[TaskName, typer.Option(help="what to segment")] = TaskName.auto,
    size: Annotated[SizeName | None, typer.Option(help="plan for a fixed machine instead of this one")] = None,
    max_time: TimeOption = None,
    full: Annotated[bool, typer.Option("--full", help="read all voxels of large volumes, not a sample")] = False,
    probe: Annotated[bool, typer.Option("--probe", help="run real steps to see what memory they take")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="print the rule and the numbers behind each decision")] = False,
) -> None:
    """Look at the data, decide everything, explain why."""
    from pytc_auto.pipeline.planning import plan as make
    from pytc_auto.report.terminal import fingerprint_table, plan_table

    with bars() as shown:
        made = make(
            dataset,
            overrides or (),
            name=name,
            runs=runs,
            voxel_size_nm=voxel_size,
            task=TASKS[task],
            size=size.value if size else None,
            max_seconds=max_time,
            full=full,
            probe=probe,
            say=shown.say,
            progress=shown,
        )
    console = screen()
    console.print(fingerprint_table(made.fingerprint))
    console.print(plan_table(made.plan, explain=explain))
    for remark in made.remarks:
        console.print(f"[yellow]Note:[/] {escaped(remark)}")
    console.print(
        f"Report: {made.run.report_file}\nPlan: {made.run.plan_file}\nNext: pytc train {made.run.name}"
        + (f" --runs {runs}" if str(runs) != "runs" else "")
    )
