"""The network over one volume, block by block into its output."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pytc_auto.executors.executor import Executor
from pytc_auto.executors.ledger import BlockLedger
from pytc_auto.geometry import Box, Zyx, blocks, whole_chunks, zyx
from pytc_auto.io.volume import Volume
from pytc_auto.pipeline.segmentation_job import STATE, Job
from pytc_auto.progress import Progress

LEDGER = "predict"


@dataclass(frozen=True)
class Predicted:
    """The stored predictions.

    Attributes:
        array: (C, Z, Y, X), uint8.
        part: Of the working grid that they are of.
        left: Blocks that other shards have not finished.
        blocks: In all.
    """

    array: Any
    part: Box
    left: int
    blocks: int


def create_predictions(job: Job, source: Volume) -> None:
    """Make the array that predictions go into, if it is not there. Two processes must not do it at once."""
    from pytc_auto.io.ome_zarr import create_image
    from pytc_auto.io.working_grid import WorkingGrid

    plan, target = job.setting.plan, job.target
    if _is_complete(target):
        return
    shutil.rmtree(target / "0", ignore_errors=True)
    grid = WorkingGrid.of(plan, source.shape)
    part = grid.box(job.box)
    create_image(
        target,
        shape_czyx=(plan.channels, *part.shape),
        chunks=(1, *_chunk(job)),
        dtype="uint8",
        voxel_size_nm=grid.voxel_size_nm(source.voxel_size_nm or plan.voxel_size_nm),
        translation_nm=job.translation_nm(grid.center(part.start)),
        attributes={
            **job.attributes,
            "heads": [head.model_dump() for head in plan.heads],
            "logit_scale": plan.inference.logit_scale,
        },
    )


def predict_step(job: Job, source: Volume, mask: Volume | None, executor: Executor, progress: Progress) -> Predicted:
    """Predict the blocks of the executor's shard that are not finished.

    Args:
        job: Its output has the array for the predictions.
        source: The volume; readable by box. Where it is NaN, nothing is predicted.
        mask: Of the same shape; None without one.
        executor: Runs the blocks.
        progress: Told how far the shard is.
    """
    from pytc_auto.data.intensity import KnownVolume, as_bytes, finite
    from pytc_auto.inference.blocks import BlockPrediction
    from pytc_auto.io.ome_zarr import open_level
    from pytc_auto.io.working_grid import WorkingGrid

    plan = job.setting.plan
    grid = WorkingGrid.of(plan, source.shape)
    part = grid.box(job.box)
    image = as_bytes(source, plan.intensity)
    if image.dtype.kind == "f":
        image, mask = finite(image, plan.intensity), KnownVolume(image, mask)
    task = BlockPrediction(
        job.setting.load,
        partial(open_level, job.target, writable=True),
        grid.image(image),
        part,
        mask and grid.mask(mask),
        str(job.target),
    )
    boxes = list(blocks(part, whole_chunks(zyx(plan.inference.block), _chunk(job))))
    ledger, of = BlockLedger(job.target / STATE / LEDGER, job.hash), sum(box.size for box in executor.shard.of(boxes))
    executor.run(task, boxes, ledger, lambda done: progress(f"predicting {Path(job.path).name}", done, of))
    return Predicted(open_level(job.target), part, len(ledger.left(boxes)), len(boxes))


def _chunk(job: Job) -> Zyx:
    """Of the predictions: no larger than a block, so that a block is one or several whole chunks and has them for itself."""
    from pytc_auto.io.ome_zarr import CHUNK

    z, y, x = (min(c, n) for c, n in zip(CHUNK, job.setting.plan.inference.block, strict=True))
    return z, y, x


def _is_complete(target: Path) -> bool:
    """Whether the array is there and described; the description is written last."""
    try:
        described = json.loads((target / "zarr.json").read_text(encoding="utf-8"))["attributes"]["ome"]["multiscales"]
    except (OSError, ValueError, KeyError):
        return False
    return bool(described) and (target / "0" / "zarr.json").is_file()
