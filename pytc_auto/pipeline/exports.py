"""A finished segmentation in the other formats that were asked for, beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import get_args

from pytc_auto.errors import OutputError
from pytc_auto.executors.claim import claimed
from pytc_auto.io.export.formats import Format, export, file_name, refuse_extent
from pytc_auto.io.open import open_segmentation
from pytc_auto.pipeline.segmentation_job import STATE, Job
from pytc_auto.progress import Progress

FILES: dict[str, Format] = {
    **dict.fromkeys((".tif", ".tiff"), "tif"),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), "h5"),
    **dict.fromkeys((".nii.gz", ".nii"), "nii.gz"),
}
"""What files are called that a format makes."""


def refuse_file_name(out: Path) -> None:
    """See that an output, which is a folder, is not called like a file that someone wants.

    Raises:
        OutputError: It is.
    """
    for ending, kind in FILES.items():
        if out.name.lower().endswith(ending) and not out.is_dir():
            told = f"is to be a folder. Give a name without {ending}; --format {kind} writes {file_name(kind)} into it"
            raise OutputError(f"{out}: {told}.")


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
    if not _missing(job):
        return
    path = job.target
    try:
        with claimed(job.claim("export"), waiting=lambda other: progress(f"waiting for {other}", 0, 0)):
            for kind in _missing(job):
                path = job.target / file_name(kind)
                export(open_segmentation(job.target), path, kind, scratch=job.target / STATE / "export", progress=progress)
    except OSError as error:
        told = f"{path}: cannot be written ({error}). Make room or check the rights, and run the same command again."
        raise OutputError(told) from error


def _missing(job: Job) -> list[Format]:
    return [kind for kind in job.setting.formats if not (job.target / file_name(kind)).exists()]


def remove_exports(target: Path) -> None:
    """Drop what was written of a segmentation that is to be made anew."""
    for kind in get_args(Format):
        path = target / file_name(kind)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
