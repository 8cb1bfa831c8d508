"""MRC, mapped into memory. Its voxel size is in angstrom; exactly 1 on all axes is what writers put that do not know it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from mrcfile.utils import byte_order_from_machine_stamp, dtype_from_mode

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
            header = _header(path)
            self.stored_dtype = _stored_dtype(header)
            self.stored_shape = _shape(header)
            self.offset = HEADER_DTYPE.itemsize + int(header["nsymbt"])
            self.dtype = number_dtype(self.stored_dtype, self.source)
            self.axes = find_axes(self.stored_shape, _names(header), channel, self.source)
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


def _header(path: Path) -> Any:
    """The fixed part of the header, a record in the file's byte order.

    Raises:
        DataError: The file is compressed.
        ValueError: It is no MRC file.
    """
    with path.open("rb") as file:
        start = file.read(HEADER_DTYPE.itemsize)
    if start.startswith((b"\x1f\x8b", b"BZh")):
        raise DataError(f"{path}: is compressed. Unpack it with gunzip or bunzip2.")
    if start[208:212] != b"MAP " or len(start) < HEADER_DTYPE.itemsize:
        raise ValueError("it has no header of an MRC file")
    order = byte_order_from_machine_stamp(np.frombuffer(start[212:216], np.uint8))
    return np.frombuffer(start, HEADER_DTYPE.newbyteorder(order))[0]


def _stored_dtype(header: Any) -> np.dtype[Any]:
    """Mode 0 holds signed bytes, but unsigned ones where IMOD wrote it and does not say otherwise."""
    dtype = np.dtype(dtype_from_mode(int(header["mode"]))).newbyteorder(header.dtype["mode"].byteorder)
    stamp, flags = np.frombuffer(header["extra2"].tobytes()[40:48], header.dtype["mode"])
    unsigned = dtype == np.int8 and stamp == _IMOD_STAMP and not flags & _IMOD_SIGNED
    return np.dtype("uint8") if unsigned else dtype


def _shape(header: Any) -> tuple[int, ...]:
    """Sections, rows and columns.

    Raises:
        ValueError: One of them is negative.
    """
    shape = tuple(int(header[name]) for name in ("nz", "ny", "nx"))
    if min(shape) < 0 or header["nsymbt"] < 0:
        raise ValueError(f"its header announces the shape {shape} after {header['nsymbt']} bytes")
    return shape


def _names(header: Any) -> list[str] | None:
    """Names of the axes where columns, rows and sections are not x, y and z."""
    order = [int(header[name]) for name in ("maps", "mapr", "mapc")]
    return ["zyx"[3 - i] for i in order] if sorted(order) == [1, 2, 3] and order != [3, 2, 1] else None


def _voxel_size(header: Any) -> ZyxFloat | None:
    """Extent of the cell over the voxels along it."""
    voxels = [int(header[name]) for name in ("mz", "my", "mx")]
    extents = [float(header["cella"][a]) for a in "zyx"]
    sizes = [extent / n if n > 0 else math.nan for extent, n in zip(extents, voxels, strict=True)]
    return None if all(math.isclose(size, 1) for size in sizes) else usable([in_nm(size, "angstrom") for size in sizes])
