"""A finished segmentation in the other formats that were asked for, beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pytc_auto.errors import OutputError
from pytc_auto.executors.claim import claimed
from pytc_auto.io.export.formats import Format, export, file_name, refuse_extent
from pytc_auto.io.open import open_segmentation
from pytc_auto.progress import Progress

if TYPE_CHECKING:
    from pytc_auto.pipeline.segmentation_job import Job

_SCRATCH, _CLAIM = ".pytc/export", ".pytc/claims/export"


def refuse_formats(job: Job) -> None:
    """See, before anything is computed, that the formats can hold the segmentation.

    Raises:
        OutputError: One has too short axes.
    """
    for kind in job.setting.formats:
        refuse_extent(kind, job.box.shape, job.target / file_name(kind))


def write_exports(job: Job, progress: Progress) -> None:
    """Write the formats that are not there yet; what is there is of this segmentation, see ``remove_exports``.

    Raises:
        OutputError: A format cannot hold the labels, or cannot be written; the same call tries again.
    """
    missing = [kind for kind in job.setting.formats if not (job.target / file_name(kind)).exists()]
    if not missing:
        return
    with claimed(job.target / _CLAIM) as other:
        if other is not None:
            raise OutputError(f"{job.target}: {other} is writing its other formats. Run the same command again after that.")
        for kind in missing:
            path = job.target / file_name(kind)
            try:
                export(open_segmentation(job.target), path, kind, scratch=job.target / _SCRATCH, progress=progress)
            except OSError as error:
                raise OutputError(f"{path}: cannot be written ({error}). Make room, and run the same command again.") from error


def remove_exports(target: Path) -> None:
    """Drop what was written of a segmentation that is to be made anew."""
    for kind in get_args(Format):
        path = target / file_name(kind)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
