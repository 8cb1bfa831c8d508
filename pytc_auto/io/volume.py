"""The one lazy volume type that all formats give."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Box, Zyx, ZyxFloat

Array = npt.NDArray[Any]


class Volume(ABC):
    """A gray-value or label volume that is read by box.

    Opening reads no voxels. A volume may be pickled and used after a fork: file handles belong to one process.

    Attributes:
        source: File, and ``:key`` inside it, for messages.
        shape: (Z, Y, X) in voxels.
        dtype: As stored.
        voxel_size_nm: (z, y, x), or None where the file does not tell.
    """

    source: str
    shape: Zyx
    dtype: np.dtype[Any]
    voxel_size_nm: ZyxFloat | None

    @property
    def box(self) -> Box:
        """The whole volume."""
        return Box.of_shape(self.shape)

    def read(self, box: Box) -> Array:
        """The voxels of a box, (Z, Y, X) in the stored dtype, a fresh array.

        Raises:
            ValueError: The box is not inside the volume.
            DataError: The file is damaged.
        """
        if not self.box.contains(box):
            raise ValueError(f"{self.source}: box {box} is not inside {self.box}")
        return np.ascontiguousarray(self._read(box))

    @abstractmethod
    def _read(self, box: Box) -> Array:
        """The voxels of a box that is inside the volume."""


class ArrayVolume(Volume):
    """A volume that lies in memory."""

    def __init__(self, array_zyx: Array, *, voxel_size_nm: ZyxFloat | None = None, source: str = "memory") -> None:
        self.source = source
        self.array_zyx = array_zyx
        self.shape = (array_zyx.shape[0], array_zyx.shape[1], array_zyx.shape[2])
        self.dtype = array_zyx.dtype
        self.voxel_size_nm = voxel_size_nm

    def _read(self, box: Box) -> Array:
        return self.array_zyx[box.slices].copy()


def in_memory(volume: Volume, limit_bytes: float = math.inf) -> Volume:
    """The volume, read whole into memory if it needs no more than ``limit_bytes``."""
    if math.prod(volume.shape) * volume.dtype.itemsize > limit_bytes:
        return volume
    return ArrayVolume(volume.read(volume.box), voxel_size_nm=volume.voxel_size_nm, source=volume.source)


def read_reflected(volume: Volume, box: Box) -> Array:
    """The voxels of a box that may reach outside the volume, where it is continued by reflection.

    Args:
        volume: What to read.
        box: It must meet the volume.

    Returns:
        (Z, Y, X) of the box's shape, in the stored dtype.
    """
    inside = box.intersect(volume.box)
    if not inside.size:
        raise ValueError(f"{volume.source}: box {box} does not meet {volume.box}")
    if inside == box:
        return volume.read(box)
    index = [_reflect(np.arange(a, b), n) for a, b, n in zip(box.start, box.stop, volume.shape, strict=True)]
    start = [int(i.min()) for i in index]
    stop = [int(i.max()) + 1 for i in index]
    source = volume.read(Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])))
    return source[np.ix_(*(i - a for i, a in zip(index, start, strict=True)))]


def _reflect(position: npt.NDArray[np.intp], extent: int) -> npt.NDArray[np.intp]:
    """Fold positions back into 0 … extent - 1, the edge voxel not repeated."""
    if extent == 1:
        return np.zeros_like(position)
    period = 2 * (extent - 1)
    folded = np.mod(position, period)
    return np.where(folded < extent, folded, period - folded)
