"""pytc predict."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytc_auto.cli.screen import bars, escaped, screen
from pytc_auto.options import (
    BoxOption,
    DaskOption,
    FormatName,
    MembersOption,
    RunsOption,
    ShardOption,
    SymmetriesOption,
    VoxelSizeOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from pytc_auto.pipeline.segmentation_job import Outcome


def predict(  # noqa: PLR0913, PLR0917
    volumes: Annotated[list[str], typer.Argument(help="volumes, quoted globs, folders of volumes, or .txt files that list them")],
    model: Annotated[
        list[Path], typer.Option(help="a trained run by name or folder, or its folder model/; several are averaged")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="OME-Zarr folder to write; of several volumes, a folder of such")],
    runs: RunsOption = Path("runs"),
    voxel_size: VoxelSizeOption = None,
    box: BoxOption = None,
    mask: Annotated[
        str | None, typer.Option(metavar="VOLUME", help="of the same shape; where it is 0 nothing is predicted")
    ] = None,
    members: MembersOption = None,
    symmetries: SymmetriesOption = None,
    keep_predictions: Annotated[bool, typer.Option("--keep-predictions", help="keep the network's output, too")] = False,
    formats: Annotated[
        list[FormatName] | None,
        typer.Option("--format", help="written beside the OME-Zarr; may be repeated, or added later"),
    ] = None,
    workers: WorkersOption = 1,
    shard: ShardOption = None,
    dask: DaskOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="go on although voxel size or gray values differ from the training's")
    ] = False,
) -> None:
    """Segment volumes of any size; the same command again resumes. One that fails does not stop the others."""
    from pytc_auto.pipeline.prediction import predict as run
    from pytc_auto.pipeline.workers import make_executor
    from pytc_auto.report.terminal import outcome_table

    outcomes: list[Outcome] = []
    try:
        with bars() as shown:
            run(
                volumes,
                model=model,
                out=out,
                runs=runs,
                voxel_size_nm=voxel_size,
                box=box,
                mask=mask,
                members=members,
                symmetries=symmetries,
                keep_predictions=keep_predictions,
                force=force,
                formats=[name.value for name in formats or ()],
                command=shlex.join(["pytc", *sys.argv[1:]]),
                executor=make_executor(workers, shard=shard, dask=dask),
                progress=shown,
                told=outcomes.append,
            )
    finally:
        if outcomes:
            screen().print(outcome_table([(o.volume, o.state, o.seconds, o.voxels, str(o.target)) for o in outcomes]))
        for outcome in outcomes:
            if outcome.left:
                screen().print(f"{escaped(str(outcome.target))}: {escaped(outcome.left)}. See pytc status.", soft_wrap=True)
