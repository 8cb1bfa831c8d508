"""pytc predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytc_auto.cli.screen import bars, screen
from pytc_auto.options import BoxOption, MembersOption, SymmetriesOption, VoxelSizeOption


def predict(  # noqa: PLR0913, PLR0917
    volumes: Annotated[list[str], typer.Argument(help="volumes, quoted globs, folders of volumes, or .txt files that list them")],
    model: Annotated[list[Path], typer.Option(help="folder that pytc train exported; several are averaged")],
    out: Annotated[Path, typer.Option("--out", "-o", help="OME-Zarr folder to write; of several volumes, a folder of such")],
    voxel_size: VoxelSizeOption = None,
    box: BoxOption = None,
    mask: Annotated[
        str | None, typer.Option(metavar="VOLUME", help="of the same shape; where it is 0 nothing is predicted")
    ] = None,
    members: MembersOption = None,
    symmetries: SymmetriesOption = None,
    keep_predictions: Annotated[bool, typer.Option("--keep-predictions", help="keep the network's output, too")] = False,
    force: Annotated[bool, typer.Option("--force", help="go on although the voxel size differs from the training's")] = False,
) -> None:
    """Segment volumes of any size; the same command again resumes. One that fails does not stop the others."""
    from pytc_auto.pipeline.prediction import predict as run
    from pytc_auto.report.terminal import outcome_table

    rows: list[tuple[str, str, float, int, str]] = []
    try:
        with bars() as shown:
            run(
                volumes,
                model=model,
                out=out,
                voxel_size_nm=voxel_size,
                box=box,
                mask=mask,
                members=members,
                symmetries=symmetries,
                keep_predictions=keep_predictions,
                force=force,
                progress=shown,
                told=lambda o: rows.append((o.volume, o.state, o.seconds, o.voxels, str(o.target))),
            )
    finally:
        if rows:
            screen().print(outcome_table(rows))
