"""pytc import-v1."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytc_auto.cli.screen import screen
from pytc_auto.options import VoxelSizeOption


def import_v1(  # noqa: PLR0917
    config: Annotated[Path, typer.Argument(help="configuration of PyTorch Connectomics v1 (.yaml)")],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY VALUE]...", help="values that win over the file's, such as MODEL.NORM_MODE gn"),
    ] = None,
    base: Annotated[Path | None, typer.Option(help="configuration that is read first, v1's --config-base")] = None,
    weights: Annotated[Path | None, typer.Option(help="checkpoint (.pth.tar) that becomes the run's model folder")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder of the run; else runs/ and the configuration's name")
    ] = None,
    voxel_size: VoxelSizeOption = None,
) -> None:
    """Make a plan of a v1 configuration, and a model of a v1 checkpoint."""
    from pytc_auto.pipeline.import_v1 import import_v1 as run
    from pytc_auto.report.terminal import import_table, plan_table

    made = run(config, pairs or (), base=base, weights=weights, out=out, voxel_size_nm=voxel_size)
    console = screen()
    console.print(plan_table(made.plan))
    console.print(import_table([(row.key, row.value, row.instead) for row in made.rows]))
    folder = made.run.folder
    console.print(f"Plan: {made.run.plan_file}")
    if made.run.dataset_file.is_file():
        console.print(f"Train: pytc train {made.run.plan_file}")
    if made.model is not None:
        console.print(f"Model: {made.model}\nNext: pytc predict VOLUME --model {folder / 'model'} -o OUT")
