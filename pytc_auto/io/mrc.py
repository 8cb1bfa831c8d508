"""MRC, mapped into memory. Its voxel size is in angstrom; exactly 1 on all axes is what writers put that do not know it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.axes import describe, find_axes
from pytc_auto.io.volume import Array, FileVolume, Volume, damaged, number_dtype
from pytc_auto.io.voxel_size import in_nm, usable

_IMOD_STAMP = 1146047817
_IMOD_SIGNED = 1


class MrcVolume(FileVolume):
    """A volume in an MRC file."""

    def __init__(self, path: Path, channel: int | None) -> None:
        self.source = str(path)
        self.path = path
        with damaged(self.source):
            _refuse_compressed(path)
            with mrcfile.open(path, header_only=True) as file:
                header = file.header.copy()
            self.stored_dtype = _stored_dtype(header)
            self.stored_shape = tuple(int(n) for n in mrcfile.utils.data_shape_from_header(header))
            self.offset = int(header.nbytes + header.nsymbt)
            self.dtype = number_dtype(self.stored_dtype, self.source)
            self.axes = find_axes(self.stored_shape, _names(header, len(self.stored_shape)), channel, self.source)
            describe(self, self.axes, None)
            self.voxel_size_nm = _voxel_size(header)
            needed, size = self.offset + math.prod(self.stored_shape) * self.dtype.itemsize, path.stat().st_size
            if size < needed:
                raise ValueError(f"it has {size} bytes, but its header announces {needed}")

    def _open(self) -> Array:
        return np.memmap(self.path, self.stored_dtype, "r", self.offset, self.stored_shape)

    def _load(self, opened: Array, box: Box) -> Array:
        return np.array(self.axes.arranged(opened[self.axes.index(box)], box.shape))


def open_mrc(path: Path, *, channel: int | None = None) -> Volume:
    """The volume in an MRC file.

    Raises:
        DataError: The file is truncated, damaged or compressed, or not a volume.
    """
    return MrcVolume(path, channel)


def _refuse_compressed(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(3)
    if start.startswith((b"\x1f\x8b", b"BZh")):
        raise DataError(f"{path}: is compressed. Unpack it with gunzip or bunzip2.")


def _stored_dtype(header: Any) -> np.dtype[Any]:
    """Mode 0 holds signed bytes, but unsigned ones where IMOD wrote it and does not say otherwise."""
    dtype = mrcfile.utils.data_dtype_from_header(header)
    order = header.mode.dtype.newbyteorder()
    stamp, flags = np.frombuffer(header.extra2.tobytes()[40:48], header.mode.dtype) if order is not None else (0, 0)
    unsigned = int(header.mode) == 0 and int(stamp) == _IMOD_STAMP and not int(flags) & _IMOD_SIGNED
    return np.dtype("uint8") if unsigned else np.dtype(dtype)


def _names(header: Any, count: int) -> list[str] | None:
    """Names of the axes where columns, rows and sections are not x, y and z."""
    order = [int(header.maps), int(header.mapr), int(header.mapc)]
    return ["zyx"[3 - i] for i in order] if count == 3 and sorted(order) == [1, 2, 3] and order != [3, 2, 1] else None


def _voxel_size(header: Any) -> ZyxFloat | None:
    """Extent of the cell over the voxels along it."""
    voxels = [int(header.mz), int(header.my), int(header.mx)]
    extents = [float(header.cella.z), float(header.cella.y), float(header.cella.x)]
    sizes = [extent / n if n > 0 else math.nan for extent, n in zip(extents, voxels, strict=True)]
    return None if all(math.isclose(size, 1) for size in sizes) else usable([in_nm(size, "angstrom") for size in sizes])
