"""pytc view."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytc_auto.cli.screen import bars, screen
from pytc_auto.options import RunsOption, VoxelSizeOption


def view(
    what: Annotated[str, typer.Argument(help="data folder, plan file, or the run's name", metavar="DATASET|PLAN|NAME")],
    augment: Annotated[bool, typer.Option("--augment", help="every effect of the augmentation, on these data")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG picture to write")] = Path("augmentation.png"),
    runs: RunsOption = Path("runs"),
    voxel_size: VoxelSizeOption = None,
) -> None:
    """Look at what a training sees."""
    from pytc_auto.pipeline.augmentation_sheet import augmentation_sheet

    if not augment:
        raise typer.BadParameter("say what to look at: --augment.")
    with bars() as shown:
        sheet = augmentation_sheet(what, out, runs=runs, voxel_size_nm=voxel_size, say=shown.say, progress=shown)
    screen().print(f"Look at {sheet}")
