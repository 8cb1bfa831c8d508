"""pytc evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytc_auto.cli.screen import bars, escaped, screen
from pytc_auto.options import BorderOption, BoxOption, KindName, UnitsName, VoxelSizeOption


def evaluate(  # noqa: PLR0913, PLR0917
    segmentation: Annotated[Path, typer.Argument(help="output of pytc predict, or any label volume")],
    labels: Annotated[Path | None, typer.Argument(help="the truth; may be left out with --skeletons")] = None,
    kind: Annotated[KindName | None, typer.Option(help="what the labels are; guessed where it is not told")] = None,
    components: Annotated[
        bool, typer.Option("--components", help="pieces of an id that do not touch in the box are objects, as pytc train has it")
    ] = False,
    box: BoxOption = None,
    ignore: Annotated[Path | None, typer.Option(help="mask; where it is not 0, voxels do not count")] = None,
    border: BorderOption = "0",
    boundary_nm: Annotated[
        float | None, typer.Option(min=0, help="how far apart boundaries of classes may be; else two voxels of the finest axis")
    ] = None,
    skeletons: Annotated[Path | None, typer.Option(help="traced neurons: .swc, a folder of these, or NISB's .pkl")] = None,
    skeleton_units: Annotated[UnitsName, typer.Option(help="of the x, y, z in SWC files")] = UnitsName.nm,
    voxel_size: VoxelSizeOption = None,
    json: Annotated[Path | None, typer.Option(help="write the scores here, too, with all that changes them")] = None,
) -> None:
    """Score a segmentation against labels, or on skeletons."""
    from pytc_auto.pipeline.evaluation import evaluate as run
    from pytc_auto.report.terminal import score_table

    assumed: list[str] = []
    with bars() as shown:
        scores = run(
            segmentation,
            labels,
            kind=kind.value if kind else None,
            components=components,
            box=box,
            ignore=ignore,
            border=border,
            boundary_nm=boundary_nm,
            skeletons=skeletons,
            skeleton_units=skeleton_units.value,
            voxel_size_nm=voxel_size,
            json_file=json,
            say=assumed.append,
            progress=shown,
        )
    against = " and ".join(str(truth) for truth in (labels, skeletons) if truth)
    for remark in assumed:
        screen().print(f"[yellow]Note:[/] {escaped(remark)}")
    screen().print(score_table(scores, f"{segmentation} against {against}"))
