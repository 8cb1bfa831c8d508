"""A label volume read from front to back, in memory that does not grow with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pytc_auto.errors import OutputError
from pytc_auto.geometry import Box, Zyx, blocks
from pytc_auto.io.volume import Array, Volume
from pytc_auto.progress import Progress, silent, walked

READ_BYTES = 2**28
"""How much of a volume is held at once."""

BLOCK: Zyx = (128, 128, 128)
"""Voxels written at once by formats that are stored in chunks; whole chunks of 64."""


def strips(volume: Volume, rows: int, *, what: str, progress: Progress = silent) -> Iterator[Array]:
    """The rows of a volume in the order of a file that stores x fastest and z slowest.

    Args:
        volume: What to read.
        rows: Of a section, in each strip; the last of a section may have fewer.
        what: For the progress.
        progress: Told the voxels that are read.

    Yields:
        (rows, X), in the volume's dtype.
    """
    done = 0
    for box in _slabs(volume, rows):
        slab = volume.read(box)
        done += box.size
        progress(what, done, volume.box.size)
        for section in slab:
            yield from (section[start : start + rows] for start in range(0, len(section), rows))


def _slabs(volume: Volume, rows: int) -> Iterator[Box]:
    """As many sections at once as are stored together, as far as memory reaches; of huge sections, bands of whole strips."""
    _, high, wide = volume.shape
    row_bytes = wide * volume.dtype.itemsize
    deep = min((volume.chunks or (1, 0, 0))[0], READ_BYTES // (high * row_bytes))
    band = high if deep else max(1, READ_BYTES // (rows * row_bytes)) * rows
    return blocks(volume.box, (max(1, deep), band, wide))


def holding(volume: Volume, dtypes: Sequence[str], path: Path, *, progress: Progress = silent) -> np.dtype[Any]:
    """The first dtype that holds every label of a volume, which is read once for that.

    Args:
        volume: Labels.
        dtypes: Unsigned, from small to large.
        path: For messages.
        progress: Told the voxels that are read.

    Raises:
        OutputError: No one does.
    """
    low, high = _range(volume, progress)
    found = next((np.dtype(name) for name in dtypes if low >= 0 and high <= np.iinfo(name).max), None)
    if found is None:
        most = np.iinfo(dtypes[-1]).max
        raise OutputError(
            f"{path}: this format holds labels from 0 to {most:,}, the segmentation has them from {low:,} to {high:,}. "
            "Give --format h5 or precomputed; the OME-Zarr output has them all."
        )
    return found


def _range(volume: Volume, progress: Progress) -> tuple[int, int]:
    """The lowest and the highest label."""
    low, high = math.inf, -math.inf
    for box in walked("looking for the highest label", progress, list(blocks(volume.box, BLOCK))):
        labels = volume.read(box)
        low, high = min(low, int(labels.min())), max(high, int(labels.max()))
    return int(low), int(high)
