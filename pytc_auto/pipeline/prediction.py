"""``pytc predict``: one global segmentation per volume, block by block, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pytc_auto.errors import OutputError, PytcError
from pytc_auto.executors.executor import Executor
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.export.formats import chosen_formats
from pytc_auto.pipeline.choices import Symmetries, chosen_symmetries
from pytc_auto.pipeline.exports import refuse_file_name, refuse_formats, write_exports
from pytc_auto.pipeline.model_folder import open_models
from pytc_auto.pipeline.runs import find_model
from pytc_auto.pipeline.segment import clear_away, segment
from pytc_auto.pipeline.segmentation_job import Job, Outcome, Setting
from pytc_auto.pipeline.volume_list import find_volumes
from pytc_auto.progress import Progress, silent

HERE = Executor()


def predict(  # noqa: PLR0913
    volumes: Sequence[str | Path],
    *,
    model: str | Path | Sequence[str | Path],
    out: str | Path,
    runs: str | Path = "runs",
    voxel_size_nm: ZyxFloat | None = None,
    box: Box | None = None,
    mask: str | Path | None = None,
    members: Sequence[int] | None = None,
    symmetries: Symmetries | None = None,
    keep_predictions: bool = False,
    force: bool = False,
    executor: Executor = HERE,
    formats: Sequence[str] = (),
    command: str | None = None,
    progress: Progress = silent,
    told: Callable[[Outcome], None] = lambda _: None,
) -> list[Path]:
    """Segment volumes; the same call resumes, a different one on the same output is refused.

    A volume that fails does not stop the others.

    Args:
        volumes: Files or folders; globs; folders of volumes; text files (.txt) that list any of these.
        model: Folder that ``pytc train`` exported, its run, or the run's name. Or several: their logits are averaged, the first
            one's decoder is used.
        out: OME-Zarr folder to write; with several volumes a folder of such, by input name.
        runs: Folder of all runs.
        voxel_size_nm: (z, y, x), where a volume does not tell.
        box: The part of each volume to segment, in its voxels. The output is of the box's shape and tells where it lies.
        mask: A volume of the same shape: where it is 0, nothing is predicted and the segmentation is 0.
        members: Folds whose networks are used, of each model; all by default.
        symmetries: Predictions averaged per patch; the plan's number by default.
        keep_predictions: Keep the network's output beside the segmentation.
        force: Go on although voxel size or gray values differ from those the model was trained on.
        executor: Where the blocks are predicted, from ``make_executor``: in this process by default.
        formats: tif, h5, nii.gz, precomputed: the segmentation is written in these, too, beside the OME-Zarr arrays. Of an output
            that is finished nothing is predicted again.
        command: The command line as it was given, for the output's attributes.
        progress: Told how far each volume is.
        told: Told how each volume ended, when it does.

    Returns:
        The output of each volume. With a shard it may not be complete: ``told`` knows.

    Raises:
        DataError: A volume or the mask cannot be read, has another voxel size or other gray values than the training, or does
            not hold the box.
        ModelError: A model is not found, incomplete or damaged, has no such member, or does not go with another.
        PlanError: The plan's geometry does not allow so many symmetries.
        OutputError: The output was made by another job, or two volumes have the same; a format is not known or cannot hold the
            segmentation; it is called like a file; or several volumes failed.
    """
    refuse_file_name(Path(out))
    named = [model] if isinstance(model, str | Path) else model
    models = open_models([find_model(each, Path(runs)) for each in named], members)
    setting = Setting(
        models,
        tuple(chosen_symmetries(each.plan, symmetries) for each in models),
        box=box,
        mask=None if mask is None else str(mask),
        voxel_size_nm=voxel_size_nm,
        keep_predictions=keep_predictions,
        force=force,
        formats=chosen_formats(formats),
        command=command,
    )
    listed = find_volumes(volumes)
    targets = listed.targets(Path(out))
    outcomes = []
    for path, target in zip(listed.paths, targets, strict=True):
        outcomes.append(_attempt(setting, path, target, executor, progress))
        told(outcomes[-1])
    _raise_failures(outcomes)
    return targets


def _attempt(setting: Setting, path: str, target: Path, executor: Executor, progress: Progress) -> Outcome:
    """One volume, and how it ended."""
    started, voxels, left = time.perf_counter(), 0, ""
    try:
        job = Job.open(setting, path, target)
        voxels, before = job.box.size, job.finished()
        refuse_formats(job)
        if before:
            clear_away(job)
        else:
            left = segment(job, executor, progress)
        if not left:
            write_exports(job, progress)
    except Exception as error:
        return Outcome(path, target, "failed", time.perf_counter() - started, voxels, error)
    state: Literal["done before", "not all", "done"] = "done before" if before else "not all" if left else "done"
    return Outcome(path, target, state, time.perf_counter() - started, voxels, left=left)


def _raise_failures(outcomes: Sequence[Outcome]) -> None:
    """Of one volume its own error; of several, all that went wrong."""
    failed = [(outcome.volume, outcome.error) for outcome in outcomes if outcome.error is not None]
    if not failed:
        return
    first = failed[0][1]
    if len(outcomes) == 1:
        raise first
    reasons = [str(e) if isinstance(e, PytcError) else f"{volume}: {type(e).__name__}: {e}" for volume, e in failed]
    raise OutputError("\n".join([f"{len(failed)} of {len(outcomes)} volumes failed:", *reasons])) from first
