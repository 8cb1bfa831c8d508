"""A volume at all scales that a viewer asks for, read from the stored level that is next to each."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx
from pytc_auto.io.cache import cached
from pytc_auto.io.open import open_volume
from pytc_auto.io.scale import Kind, at_scale, coarse_shape
from pytc_auto.io.volume import Array, Volume
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.dataset import AxisOrder

_SAMPLE: Zyx = (32, 256, 256)
_PERCENTILES = (0.5, 99.5)
_WHOLE = 0.05
"""So far may a level's factor be from a whole number."""


@dataclass(frozen=True)
class Pyramid:
    """The channels of a volume at its stored levels. It may be read by several threads.

    Attributes:
        levels: Finest first; of each level its channels.
        kind: How a scale is made that is not stored, see ``io.scale.coarsen``.
    """

    levels: tuple[tuple[Volume, ...], ...]
    kind: Kind
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    @property
    def finest(self) -> Volume:
        """The first channel of the finest level."""
        return self.levels[0][0]

    @cached_property
    def factors(self) -> list[Zyx]:
        """Voxels of the finest level in one of each level."""
        return [_factor(self.finest, level[0]) or (1, 1, 1) for level in self.levels]

    def read(self, box: Box, factor: Zyx) -> Array:
        """A box of a coarser grid.

        Args:
            box: On that grid, whose shape is that of the finest level over the factor, rounded up.
            factor: Voxels of the finest level in one of that grid.

        Returns:
            (C, Z, Y, X), in the stored dtype. Memory and time depend on what the next finer stored level has there.

        Raises:
            ValueError: The box is not inside the grid.
            DataError: The volume is damaged.
        """
        grid = Box.of_shape(coarse_shape(self.finest.shape, factor))
        if not grid.contains(box):
            raise ValueError(f"box {box} is not inside {grid}")
        number = max(n for n, known in enumerate(self.factors) if all(f % k == 0 for f, k in zip(factor, known, strict=True)))
        rest = zyx([f // k for f, k in zip(factor, self.factors[number], strict=True)])
        with self._lock:
            return np.stack([_read_padded(at_scale(volume, rest, kind=self.kind), box) for volume in self.levels[number]])

    def contrast(self) -> tuple[float, float]:
        """Nearly the darkest and the brightest gray value in the middle of the coarsest level."""
        volume = self.levels[-1][0]
        shape = zyx([min(n, most) for n, most in zip(volume.shape, _SAMPLE, strict=True)])
        middle = Box.of_shape(shape, [(n - k) // 2 for n, k in zip(volume.shape, shape, strict=True)])
        with self._lock:
            values = volume.read(middle)
        finite = values[np.isfinite(values)]
        low, high = (float(v) for v in np.percentile(finite, _PERCENTILES)) if finite.size else (0.0, 0.0)
        return (low, high) if low < high else (low, low + 1)


def open_pyramid(
    source: str | Path,
    *,
    kind: Kind,
    axes: AxisOrder = "zyx",
    channels: Sequence[int | None] = (None,),
    cache: Path | None = None,
    progress: Progress = silent,
) -> Pyramid:
    """A volume with all its stored levels.

    Args:
        source: For ``io.open.open_volume``, as are axes and channels.
        kind: Of the volume.
        axes: In which the file stores them.
        channels: Which are wanted; all levels have them.
        cache: Folder for a copy of a volume that cannot be read by box; None reads it as it is.
        progress: Told how far the copy is.

    Raises:
        DataError: The volume cannot be read.
        OutputError: The copy cannot be written.
    """

    def opened(level: int) -> tuple[Volume, ...]:
        return tuple(open_volume(source, axes=axes, channel=channel, level=level) for channel in channels)

    finest = opened(0)
    coarser = _coarser(finest[0], opened)
    if cache is not None:
        finest = tuple(cached(volume, cache, progress) for volume in finest)
    return Pyramid((finest, *coarser), kind)


def _coarser(finest: Volume, opened: Callable[[int], tuple[Volume, ...]]) -> list[tuple[Volume, ...]]:
    """The coarser levels by whole factors; none where the source names a level itself."""
    if not finest.levels_nm or finest.levels_nm[0] != finest.voxel_size_nm:
        return []
    try:
        levels = [opened(number) for number in range(1, len(finest.levels_nm))]
    except DataError:
        return []
    return [level for level in levels if _factor(finest, level[0]) is not None]


def _factor(finest: Volume, coarse: Volume) -> Zyx | None:
    """Voxels of the finest level in one of a coarser; None if they are not whole, or the sizes are not told."""
    if coarse is finest or finest.voxel_size_nm is None or coarse.voxel_size_nm is None:
        return (1, 1, 1) if coarse is finest else None
    shares = [b / a for a, b in zip(finest.voxel_size_nm, coarse.voxel_size_nm, strict=True)]
    whole = all(share >= 1 - _WHOLE and math.isclose(share, round(share), abs_tol=_WHOLE) for share in shares)
    return zyx([round(share) for share in shares]) if whole else None


def _read_padded(volume: Volume, box: Box) -> Array:
    """A box that may reach past the end by what a level was rounded down, where the last voxels are repeated."""
    inside = box.intersect(volume.box)
    if inside == box:
        return volume.read(box)
    if not inside.size:
        return np.zeros(box.shape, volume.dtype)
    return np.pad(volume.read(inside), [(0, n - k) for n, k in zip(box.shape, inside.shape, strict=True)], mode="edge")


def start_in(volume: Volume, reference: Volume) -> Zyx:
    """Where a volume begins in another one, in its own voxels; offsets are of the first voxels' centers.

    Where one of them does not tell, both begin at the same place.
    """
    own, size = volume.voxel_size_nm, reference.voxel_size_nm
    if volume.offset_nm is None or own is None or size is None:
        return 0, 0, 0
    origin: ZyxFloat = reference.offset_nm or (0.0, 0.0, 0.0)
    apart = zip(volume.offset_nm, origin, own, size, strict=True)
    return zyx([round((there - here - (mine - theirs) / 2) / mine) for there, here, mine, theirs in apart])


def shown_dtype(dtype: np.dtype[Any], kind: Kind) -> np.dtype[Any]:
    """The nearest dtype that the viewer has: labels are unsigned, images of up to 32 bits."""
    if kind == "labels":
        return dtype if dtype.kind == "u" else np.dtype("uint8" if dtype.kind == "b" else "uint64")
    if dtype.kind == "b":
        return np.dtype("uint8")
    return np.dtype("float32") if dtype.kind == "f" or dtype.itemsize == 8 else dtype
