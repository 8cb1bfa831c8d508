"""Which formats there are, what each can hold, and how a file comes to its place."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pytc_auto.errors import OutputError
from pytc_auto.geometry import Zyx
from pytc_auto.io.volume import Volume
from pytc_auto.progress import Progress, silent

Format = Literal["tif", "h5", "nii.gz", "precomputed"]

_WRITERS: dict[Format, tuple[str, str]] = {
    "tif": ("tiff", "write_tiff"),
    "h5": ("hdf5", "write_hdf5"),
    "nii.gz": ("nifti", "write_nifti"),
    "precomputed": ("precomputed", "write_precomputed"),
}
"""Module and function that write a format."""

_MOST_EXTENT: dict[Format, int] = {"nii.gz": 2**15 - 1}
"""Voxels on an axis."""


def chosen_formats(names: Sequence[str]) -> tuple[Format, ...]:
    """Formats by name, each once; zarr is written in any case and needs no export.

    Raises:
        OutputError: A name is not known.
    """
    unknown = [name for name in names if name not in ("zarr", *get_args(Format))]
    if unknown:
        raise OutputError(f"{', '.join(unknown)}: no such format. Known: zarr, {', '.join(get_args(Format))}.")
    return tuple(cast("Format", name) for name in dict.fromkeys(names) if name != "zarr")


def file_name(kind: Format) -> str:
    """What the export of a segmentation is called."""
    return "precomputed" if kind == "precomputed" else f"segmentation.{kind}"


def refuse_extent(kind: Format, shape: Zyx, path: Path) -> None:
    """See that a format has axes as long as these.

    Raises:
        OutputError: It has not.
    """
    most = _MOST_EXTENT.get(kind)
    if most is not None and max(shape) > most:
        raise OutputError(
            f"{path}: .{kind} holds at most {most:,} voxels on an axis, the segmentation has {shape} (z, y, x). "
            "Give --format h5 or precomputed, or a smaller --box."
        )


def export(volume: Volume, path: Path, kind: Format, *, scratch: Path, progress: Progress = silent) -> None:
    """Write a segmentation in another format; it appears whole or not at all.

    Args:
        volume: Labels; ``io.open.open_volume`` opens its source again.
        path: Not there yet.
        kind: What to write.
        scratch: Folder on the same disk to write to first, for nobody else; it is emptied, and gone at the end.
        progress: Told the voxels that are written.

    Raises:
        OutputError: The format cannot hold such labels.
        DataError: The volume is damaged.
    """
    refuse_extent(kind, volume.shape, path)
    module, function = _WRITERS[kind]
    writer: Any = getattr(importlib.import_module(f"pytc_auto.io.export.{module}"), function)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        writer(volume, scratch / path.name, progress=progress)
        (scratch / path.name).replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
