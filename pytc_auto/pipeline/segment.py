"""One volume, from blocks of prediction to a segmentation."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from pytc_auto.errors import DataError, OutputError
from pytc_auto.executors.claim import claimed
from pytc_auto.executors.executor import Executor
from pytc_auto.executors.presence import Worker
from pytc_auto.io.volume import Volume
from pytc_auto.pipeline.decode_step import decode_step
from pytc_auto.pipeline.predict_step import LEDGER, Predicted, create_predictions, predict_step
from pytc_auto.pipeline.segmentation_job import SEGMENTATION, STATE, Job
from pytc_auto.progress import Progress


def segment(job: Job, executor: Executor, progress: Progress) -> str:
    """Blocks of prediction, then decoding, then pyramids.

    Returns:
        What is left to other shards; empty if the segmentation is complete.

    Raises:
        DataError: The gray values are not of the kind that the model was trained on.
        ModelError: The weights cannot be used; the output is as it was.
        OutputError: The output cannot be written; the same call goes on from there.
    """
    job.setting.check_weights()
    if job.source.random_access:
        check_gray_values(job, job.source)
    try:
        job.note(finished=False)
        with claimed(job.claim(f"shard-{executor.shard.index}-of-{executor.shard.count}"), waiting=_told(progress)):
            return _segment(job, executor, progress)
    except OSError as error:
        raise OutputError(
            f"{job.target}: cannot be written ({error}). Make room or check the rights, and run the same command again."
        ) from error


def _segment(job: Job, executor: Executor, progress: Progress) -> str:
    """The steps of ``segment``, of which each waits for nobody but the first."""
    from pytc_auto.io.cache import cached

    with claimed(job.claim("begin"), waiting=_told(progress)):
        if job.finished():
            return ""
        source = cached(job.source, job.target / STATE / "cache", progress)
        if not job.source.random_access:
            check_gray_values(job, source)
        mask = job.mask and cached(job.mask, job.target / STATE / "cache", progress)
        create_predictions(job, source)
    predicted = predict_step(job, source, mask, executor, progress)
    if predicted.left and not job.finished():
        return f"{predicted.left} of {predicted.blocks} blocks are left to other shards; the last one decodes"
    with claimed(job.claim("decode")) as other:
        if other is not None:
            return f"all blocks are predicted, {other} decodes them"
        if not job.finished():
            _decode(job, source, predicted, executor, progress)
    return ""


def _decode(job: Job, source: Volume, predicted: Predicted, executor: Executor, progress: Progress) -> None:
    """What one process does, with its workers, when all blocks are predicted."""
    from pytc_auto.io.pyramid import add_pyramid

    decode_step(job, source, predicted, executor, progress)
    levels = add_pyramid(job.target / "labels" / SEGMENTATION, kind="labels", progress=progress)
    if job.setting.keep_predictions:
        add_pyramid(job.target, kind="image", levels=levels, progress=progress)
    job.note(finished=True)
    clear_away(job)


def check_gray_values(job: Job, source: Volume) -> None:
    """See that the network can see something, unless the job is forced.

    Args:
        job: What is asked for.
        source: Its volume; readable by box.

    Raises:
        DataError: Hardly a value lies where those of the training did, or they hardly differ.
    """
    from pytc_auto.data.gray_range import sample_gray_values

    intensity = job.setting.plan.intensity
    if job.setting.force or intensity.range != "stored":
        return
    found = sample_gray_values(source, job.box, intensity)
    if found is not None and not found.fit(intensity):
        mean, deviation = intensity.scale
        raise DataError(
            f"{job.path}: its gray values are {found.mean:.3g} on average and vary by {found.deviation:.3g}, but the model "
            f"was trained on {mean:.3g}, varying by {deviation:.3g}. Convert the volume to the range of the training volumes, "
            "or go on as it is with --force."
        )


def clear_away(job: Job) -> None:
    """Drop what a finished output does not need; may be repeated where it was broken off."""
    from pytc_auto.io.ome_zarr import remove_image

    if not job.setting.keep_predictions:
        remove_image(job.target)
    for unneeded in (LEDGER, "cache"):
        shutil.rmtree(job.target / STATE / unneeded, ignore_errors=True)


def _told(progress: Progress) -> Callable[[Worker], None]:
    """What is shown while another process has what is needed."""
    return lambda other: progress(f"waiting for {other}", 0, 0)
