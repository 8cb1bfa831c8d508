"""Stored predictions to the segmentation of one volume."""

from __future__ import annotations

import shutil
from typing import Any

from pytc_auto.geometry import Box
from pytc_auto.io.volume import Volume
from pytc_auto.pipeline.segmentation_job import SEGMENTATION, STATE, Job


def decode_step(job: Job, source: Volume, predictions: Any, part: Box) -> None:
    """Segmentation on the input's grid, with a picture."""
    import numpy as np

    from pytc_auto.decoding.decode import decode
    from pytc_auto.io.ome_zarr import CHUNK, create_labels
    from pytc_auto.io.scale import fine_box, upsample_labels
    from pytc_auto.pipeline.exports import remove_exports
    from pytc_auto.pipeline.pictures import result_picture

    plan, stored = job.setting.plan, np.asarray(predictions[:])
    covered = fine_box(part, plan.working_scale, source.shape)
    decoded = upsample_labels(decode(stored, plan, job.setting.models[0].decoder), plan.working_scale, covered.shape)
    segmentation = decoded[job.box.relative_to(covered.start).slices]
    remove_exports(job.target)
    shutil.rmtree(job.target / "labels", ignore_errors=True)
    labels = create_labels(
        job.target,
        SEGMENTATION,
        shape=job.box.shape,
        chunks=CHUNK,
        dtype=segmentation.dtype,
        voxel_size_nm=source.voxel_size_nm or plan.voxel_size_nm,
        translation_nm=job.translation_nm(job.box.start),
        attributes=job.attributes,
    )
    labels[:] = segmentation
    middle = job.box.shape[0] // 2
    (z, y, x), stop = job.box.start, job.box.stop
    section = source.read(Box((z + middle, y, x), (z + middle + 1, *stop[1:])))
    seen = stored[:, (z + middle) // plan.working_scale[0] - part.start[0]][:, None]
    picture = job.target / STATE / "preview.png"
    result_picture(picture, plan, image=section, stored=seen, segmentation=segmentation[middle][None], truth=None)
