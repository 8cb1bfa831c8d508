"""The one lazy volume type that all formats give."""

from __future__ import annotations

import contextlib
import math
import os
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError, PytcError
from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx

Array = npt.NDArray[Any]

CACHE_BYTES = 128 * 2**20
"""How much a volume that must decode whole sections keeps of them, in each process."""

_REASON = 300
"""Letters of a decoder's own words that are passed on."""

_MOST_EXTENT = 2**31
_MOST_VOXELS = 2**60


class Volume(ABC):
    """A gray-value or label volume that is read by box.

    Opening reads no voxels. A volume may be pickled and used after a fork: file handles belong to one process.

    Attributes:
        source: File, and ``:key`` inside it, for messages.
        shape: (Z, Y, X) in voxels.
        dtype: As stored.
        voxel_size_nm: (z, y, x), or None where the file does not tell.
        offset_nm: (z, y, x), where the first voxel lies in the data set's space, or None where the file does not tell.
        chunks: (Z, Y, X) of the pieces in which voxels are stored, or None where they lie one after another.
        random_access: Whether a box can be read without decoding much of what is around it.
        levels_nm: Voxel sizes of the stored pyramid, finest first; one at most where there is no pyramid.
        channels: How many the file stores.
        channel: Which of them this volume is, from 0.
        axes_named: Whether the file itself tells the order of its axes.
        palette: Whether the values are indices of colors: they may be ids, but not gray values.
    """

    source: str
    shape: Zyx
    dtype: np.dtype[Any]
    voxel_size_nm: ZyxFloat | None
    offset_nm: ZyxFloat | None = None
    chunks: Zyx | None = None
    random_access: bool = True
    levels_nm: tuple[ZyxFloat, ...] = ()
    channels: int = 1
    channel: int = 0
    axes_named: bool = False
    palette: bool = False

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
        return np.ascontiguousarray(self._read(box), dtype=self.dtype)

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


class DerivedVolume(Volume):
    """A volume whose voxels are made from those of another one, place by place."""

    def __init__(self, volume: Volume, dtype: npt.DTypeLike | None = None) -> None:
        self.volume = volume
        self.source = volume.source
        self.shape = volume.shape
        self.dtype = volume.dtype if dtype is None else np.dtype(dtype)
        self.voxel_size_nm = volume.voxel_size_nm
        self.offset_nm = volume.offset_nm
        self.chunks = volume.chunks
        self.random_access = volume.random_access


class VolumePart(Volume):
    """A box of a volume as a volume of its own, so that reflection happens at its border."""

    def __init__(self, whole: Volume, box: Box) -> None:
        self.source = whole.source
        self.shape = box.shape
        self.dtype = whole.dtype
        self.voxel_size_nm = whole.voxel_size_nm
        self._whole = whole
        self._start = box.start

    def _read(self, box: Box) -> Array:
        return self._whole.read(box.shift(self._start))


class FileVolume(Volume):
    """A volume in a file that is opened at the first read in each process and never pickled open."""

    _opened: Any = None
    _process: int = 0

    @abstractmethod
    def _open(self) -> Any:
        """What reads are made from; its ``close`` is called, if it has one, when it is no longer needed."""

    @abstractmethod
    def _load(self, opened: Any, box: Box) -> Array:
        """The voxels of a box that is inside the volume, not a view of the file."""

    def _read(self, box: Box) -> Array:
        with damaged(self.source):
            if self._process != os.getpid():
                self._close()
                self._opened = self._open()
                self._process = os.getpid()
            return self._load(self._opened, box)

    def _close(self) -> None:
        close = getattr(self._opened, "close", None)
        self._opened, self._process = None, 0
        if close is not None:
            close()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_opened", "_process")}

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._close()


class SectionVolume(FileVolume):
    """A file that can only be decoded section by section; the last decoded ones are kept."""

    @abstractmethod
    def _decoder(self) -> Callable[[int], Array]:
        """A function that decodes section z, (Y, X)."""

    def _open(self) -> Callable[[int], Array]:
        section_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        return lru_cache(maxsize=max(1, CACHE_BYTES // max(1, section_bytes)))(self._decoder())

    def _load(self, opened: Callable[[int], Array], box: Box) -> Array:
        z, y, x = box.slices
        loaded = np.empty(box.shape, self.dtype)
        for i, section in enumerate(range(z.start, z.stop)):
            loaded[i] = opened(section)[y, x]
        return loaded


@contextlib.contextmanager
def damaged(source: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one error that names the file.

    Raises:
        DataError: Something that is not an error of ours was raised.
    """
    try:
        yield
    except PytcError:
        raise
    except Exception as error:
        reason = textwrap.shorten(str(error).partition(" [tensorstore_spec=")[0] or type(error).__name__, _REASON)
        if isinstance(error, PermissionError) or "Permission denied" in reason:
            message = f"may not be read ({reason}). Ask for the permission to read it."
        elif "://" in source:
            message = f"cannot be read ({reason}). Check the address and the connection; if they are right, it is damaged."
        else:
            message = f"is truncated or damaged ({reason}). Copy or export it again."
        raise DataError(f"{source}: {message}") from error


def colored(source: str, channels: int) -> DataError:
    """What is said of an image with several samples per voxel."""
    return DataError(
        f"{source}: has {channels} channels (RGB or the like), a volume has one. "
        "Convert it to gray, for example in Fiji (Image > Type > 8-bit) or with: magick IN -colorspace Gray OUT. "
        "Labels must be stored as numbers, one for each object or class: as gray, different colors may become the same."
    )


def refuse_palette(image: Volume) -> None:
    """Make sure that values are gray values.

    Raises:
        DataError: They are indices of colors.
    """
    if image.palette:
        raise colored(image.source, 3)


def volume_shape(shape: Sequence[int], source: str) -> Zyx:
    """Shape of a stored array as (Z, Y, X); a 2D image is one section.

    Raises:
        DataError: The array has neither two nor three axes, holds nothing, or announces more than can be.
    """
    if len(shape) not in (2, 3):
        raise DataError(
            f"{source}: has {len(shape)} axes, shape {tuple(shape)}; a volume has three (z, y, x) or, as an image, two. "
            "Store one channel and one time point."
        )
    if not all(shape):
        raise DataError(f"{source}: is empty, shape {tuple(shape)}. Export it again.")
    if not all(0 < n < _MOST_EXTENT for n in shape) or math.prod(shape) > _MOST_VOXELS:
        raise DataError(f"{source}: announces the shape {tuple(shape)}, which no volume has. It is damaged: export it again.")
    return zyx([1, *shape][-3:])


def number_dtype(dtype: Any, source: str) -> np.dtype[Any]:
    """The stored dtype in this machine's byte order.

    Raises:
        DataError: The values are not plain numbers.
    """
    found = np.dtype(dtype)
    if found.kind not in "biuf":
        raise DataError(f"{source}: holds values of type {found}; a volume holds integers, floats or booleans. Convert it.")
    return found.newbyteorder("=")


def in_memory(volume: Volume, limit_bytes: float = math.inf) -> Volume:
    """The volume, read whole into memory if it needs no more than ``limit_bytes``."""
    if math.prod(volume.shape) * volume.dtype.itemsize > limit_bytes:
        return volume
    held = ArrayVolume(volume.read(volume.box), voxel_size_nm=volume.voxel_size_nm, source=volume.source)
    held.offset_nm = volume.offset_nm
    return held


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
    found = volume.read(Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])))
    for axis, (position, first) in enumerate(zip(index, start, strict=True)):
        if (inside.start[axis], inside.stop[axis]) != (box.start[axis], box.stop[axis]):
            found = found.take(position - first, axis)
    return found


def _reflect(position: npt.NDArray[np.intp], extent: int) -> npt.NDArray[np.intp]:
    """Fold positions back into 0 … extent - 1, the edge voxel not repeated."""
    if extent == 1:
        return np.zeros_like(position)
    period = 2 * (extent - 1)
    folded = np.mod(position, period)
    return np.where(folded < extent, folded, period - folded)
