"""The network over one volume, block by block into its output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytc_auto.geometry import Box
from pytc_auto.io.volume import Volume
from pytc_auto.pipeline.segmentation_job import STATE, Job
from pytc_auto.progress import Progress


def predict_step(job: Job, source: Volume, progress: Progress) -> tuple[Any, Box]:
    """The stored predictions, and the part of the working grid that they are of."""
    from pytc_auto.inference.blocks import BlockLedger, predict_volume
    from pytc_auto.io.cache import cached
    from pytc_auto.io.ome_zarr import CHUNK, create_image, open_level
    from pytc_auto.io.scale import at_scale, coarse_box, fine_box

    plan, target = job.setting.plan, job.target
    image, part = at_scale(source, plan.working_scale, kind="image"), coarse_box(job.box, plan.working_scale)
    mask = job.mask and at_scale(cached(job.mask, target / STATE / "cache", progress), plan.working_scale, kind="labels")
    if not (target / "0" / "zarr.json").is_file():
        create_image(
            target,
            shape_czyx=(plan.channels, *part.shape),
            chunks=(1, *CHUNK),
            dtype="uint8",
            voxel_size_nm=image.voxel_size_nm or plan.working_voxel_size_nm,
            translation_nm=job.translation_nm(fine_box(part, plan.working_scale, source.shape).start, plan.working_scale),
            attributes={
                **job.attributes,
                "heads": [head.model_dump() for head in plan.heads],
                "logit_scale": plan.inference.logit_scale,
            },
        )
    predictions = open_level(target, writable=True)
    predict_volume(
        job.setting.predictors,
        image,
        predictions,
        ledger=BlockLedger(target / STATE / "done", job.hash),
        part=part,
        mask=mask,
        progress=lambda share: progress(f"predicting {Path(job.path).name}", share * part.size, part.size),
    )
    return predictions, part
