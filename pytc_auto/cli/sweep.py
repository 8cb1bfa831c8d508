"""pytc sweep."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pytc_auto.cli.screen import bars, escaped, screen
from pytc_auto.options import TASKS, LauncherName, RunsOption, SizeName, TaskName, TimeOption, VoxelSizeOption, fold_number


def sweep(  # noqa: PLR0913, PLR0917
    dataset: Annotated[Path, typer.Argument(help="folder with images/ and labels/, or one container with both")],
    overrides: Annotated[
        list[str], typer.Argument(metavar="KEY=A,B...", help="decisions with several values, such as network.kind=unet,mednext")
    ],
    name: Annotated[str | None, typer.Option(help="of the folder that holds the runs")] = None,
    runs: RunsOption = Path("runs"),
    voxel_size: VoxelSizeOption = None,
    task: Annotated[TaskName, typer.Option(help="what to segment")] = TaskName.auto,
    size: Annotated[SizeName | None, typer.Option(help="plan for a fixed machine instead of this one")] = None,
    max_time: TimeOption = None,
    fold: Annotated[Any, typer.Option(parser=fold_number, metavar="K|all", help="which fold to train")] = "0",
    launcher: Annotated[LauncherName, typer.Option(help="here one after another, or as SLURM jobs")] = LauncherName.local,
    slurm: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="of the jobs, such as partition=gpu")] = None,
) -> None:
    """Train every combination of decisions, one table at the end. The same command resumes."""
    from pytc_auto.pipeline.sweep import sweep as run
    from pytc_auto.report.terminal import sweep_table

    if slurm and launcher is not LauncherName.slurm:
        raise typer.BadParameter("--slurm goes with --launcher slurm.")
    with bars() as shown:
        rows = run(
            dataset,
            overrides,
            name=name,
            runs=runs,
            voxel_size_nm=voxel_size,
            task=TASKS[task],
            size=size.value if size else None,
            max_seconds=max_time,
            fold=fold if fold == "all" else int(fold),
            slurm=(slurm or []) if launcher is LauncherName.slurm else None,
            say=shown.say,
            progress=shown,
        )
    console, folder = screen(), rows[0].run.folder.parent
    console.print(sweep_table([(row.values, row.scores if row.error is None else None) for row in rows], rows[0].metric))
    for row in rows:
        if row.error is not None:
            console.print(f"[bold red]Failed:[/] {row.run.name}: {escaped(row.error)}")
    console.print(f"Table: {folder / 'results.csv'}")
    if rows[0].error is None:
        console.print(f"Best: {rows[0].run.model}\nNext: pytc predict VOLUME --model {rows[0].run.model} -o OUT")
    if any(row.error for row in rows):
        sys.exit(1)
