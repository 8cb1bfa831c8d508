"""One volume, from blocks of prediction to a segmentation."""

from __future__ import annotations

import shutil
from pathlib import Path

from pytc_auto.errors import OutputError
from pytc_auto.pipeline.decode_step import decode_step
from pytc_auto.pipeline.predict_step import predict_step
from pytc_auto.pipeline.segmentation_job import SEGMENTATION, STATE, Job
from pytc_auto.progress import Progress


def segment(job: Job, progress: Progress) -> None:
    """Blocks of prediction, then decoding, then pyramids.

    Raises:
        OutputError: The output cannot be written; the same call goes on from there.
    """
    try:
        _segment(job, progress)
    except OSError as error:
        raise OutputError(
            f"{job.target}: cannot be written ({error}). Make room or check the rights, and run the same command again."
        ) from error


def _segment(job: Job, progress: Progress) -> None:
    """The steps of ``segment``."""
    from pytc_auto.io.cache import cached
    from pytc_auto.io.ome_zarr import add_pyramid, remove_image

    job.note(finished=False)
    source = cached(job.source, job.target / STATE / "cache", progress)
    predictions, part = predict_step(job, source, progress)
    progress(f"decoding {Path(job.path).name}", 0, 0)
    decode_step(job, source, predictions, part)
    add_pyramid(job.target / "labels" / SEGMENTATION, kind="labels")
    progress(f"decoding {Path(job.path).name}", part.size, part.size)
    if job.setting.keep_predictions:
        add_pyramid(job.target, kind="image")
    else:
        remove_image(job.target)
    for unneeded in ("done", "cache"):
        shutil.rmtree(job.target / STATE / unneeded, ignore_errors=True)
    job.note(finished=True)
