"""Open the volumes of a data set on the grid that image and labels have in common."""

from __future__ import annotations

from pathlib import Path

from pytc_auto.io.cache import cached
from pytc_auto.io.open import open_volume
from pytc_auto.io.scale import Kind, at_scale
from pytc_auto.io.volume import Volume, refuse_palette
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.dataset import PositiveZyx, VolumeEntry


def open_image(entry: VolumeEntry, cache: Path | None = None, progress: Progress = silent) -> Volume:
    """The gray values of an entry on the common grid.

    Args:
        entry: Where and how they are stored.
        cache: Folder of copies, see ``io.cache``; None reads every volume in place.
        progress: Told how far a copy is. Without one no voxels are read.

    Raises:
        DataError: The file is not there, damaged or not a volume.
        OutputError: The copy cannot be written.
    """
    stored = open_volume(entry.image, axes=entry.axes, channel=entry.channel)
    refuse_palette(stored)
    readable = _readable(stored, cache, f"{entry.name}, copy of the image", progress)
    return _on_grid(readable, entry, entry.image_scale, "image")


def open_labels(entry: VolumeEntry, cache: Path | None = None, progress: Progress = silent) -> Volume:
    """The labels of an entry that has some, on the common grid: they begin at ``entry.labels_start`` in the image.

    Args and errors are those of ``open_image``.
    """
    assert entry.labels is not None
    stored = open_volume(entry.labels, axes=entry.axes)
    readable = _readable(stored, cache, f"{entry.name}, copy of the labels", progress)
    return _on_grid(readable, entry, entry.labels_scale, "labels")


def open_mask(entry: VolumeEntry, cache: Path | None = None, progress: Progress = silent) -> Volume:
    """Where an entry that has a mask was labelled, on the common grid, from the image's first voxel on.

    Args and errors are those of ``open_image``.
    """
    assert entry.mask is not None
    stored = open_volume(entry.mask, axes=entry.axes)
    readable = _readable(stored, cache, f"{entry.name}, copy of the mask", progress)
    return _on_grid(readable, entry, entry.image_scale, "labels")


def _readable(stored: Volume, cache: Path | None, what: str, progress: Progress) -> Volume:
    if cache is None:
        return stored
    return cached(stored, cache, lambda _, done, of: progress(what, done, of))


def _on_grid(stored: Volume, entry: VolumeEntry, scale: PositiveZyx, kind: Kind) -> Volume:
    volume = at_scale(stored, scale, kind=kind)
    volume.voxel_size_nm = entry.voxel_size_nm
    return volume
