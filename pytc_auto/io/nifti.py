"""NIfTI: what its header tells, and compressed files, decoded from the front on, section by section.

SimpleITK would hold it whole, and gives zeros for what is missing where the file was cut.
"""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pytc_auto.geometry import ZyxFloat
from pytc_auto.io.axes import piece_bytes
from pytc_auto.io.volume import Array, SectionVolume, Volume
from pytc_auto.io.voxel_size import in_nm, usable

_DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_FIELDS = {348: (70, "h", 108, "fff"), 540: (12, "h", 168, "qdd")}
"""By the length of the header (NIfTI 1 and 2): where the type of a voxel stands, and where the start of the voxels, slope and
intercept."""

_SIZES = {348: (80, "fff", 123, "b"), 540: (112, "ddd", 500, "i")}
"""Likewise: where the voxel size stands, x first, and its unit."""

_MICROMETERS, _SPACE_UNIT = 3, 7
_HEADER_BYTES = 540
_ORDERS: tuple[Literal["<", ">"], ...] = ("<", ">")


@dataclass(frozen=True)
class Stored:
    """How voxels are stored: value = slope * stored + intercept, unless the slope is 0."""

    dtype: np.dtype[Any]
    start: int
    slope: float
    intercept: float


class GzipNifti(SectionVolume):
    """A compressed NIfTI file."""

    random_access = False

    def __init__(self, path: Path, like: Volume) -> None:
        """Look at the header.

        Args:
            path: The file.
            like: The volume as SimpleITK sees it.
        """
        self.source, self.path = like.source, path
        self.shape, self.dtype, self.voxel_size_nm = like.shape, like.dtype, like.voxel_size_nm
        self.stored = stored_as(path)
        piece_bytes(self.shape[1:], self.dtype, self.source)

    def _decoder(self) -> Callable[[int], Array]:
        stream = gzip.open(self.path)  # noqa: SIM115 (stays open from section to section)
        stored, shape = self.stored, self.shape[1:]
        count = math.prod(shape) * stored.dtype.itemsize

        def decode(section: int) -> Array:
            stream.seek(stored.start + section * count)
            values = np.frombuffer(stream.read(count), stored.dtype).reshape(shape)
            plain = stored.slope == 0 or (stored.slope, stored.intercept) == (1, 0)
            return values if plain else values * stored.slope + stored.intercept

        return decode


def stored_as(path: Path) -> Stored:
    """What the header of a file tells, compressed or not.

    Raises:
        ValueError: It is not one of NIfTI.
    """
    header, order, length = _header(path)
    at, kind, where, fields = _FIELDS[length]
    (code,) = struct.unpack_from(f"{order}{kind}", header, at)
    start, slope, intercept = struct.unpack_from(f"{order}{fields}", header, where)
    return Stored(np.dtype(_DTYPES[code]).newbyteorder(order), int(start), float(slope), float(intercept))


def micrometers_told(path: Path) -> ZyxFloat | None:
    """The voxel size in nanometers, (z, y, x), where the header gives it in micrometers.

    Millimeters are what every program writes into it, whatever the size is in; they are not believed.

    Raises:
        ValueError: It is not one of NIfTI.
    """
    header, order, length = _header(path)
    at, kinds, where, kind = _SIZES[length]
    (unit,) = struct.unpack_from(f"{order}{kind}", header, where)
    if unit & _SPACE_UNIT != _MICROMETERS:
        return None
    exact = np.float32 if kinds == "fff" else np.float64
    x, y, z = (in_nm(float(str(exact(size))), "um") for size in struct.unpack_from(f"{order}{kinds}", header, at))
    return usable([z, y, x])


def _header(path: Path) -> tuple[bytes, Literal["<", ">"], int]:
    """A file's header, its byte order, and its length.

    Raises:
        ValueError: It is not one of NIfTI.
    """
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    order: Literal["<", ">"] | None = next((o for o in _ORDERS if struct.unpack(f"{o}i", header[:4])[0] in _FIELDS), None)
    if order is None:
        raise ValueError("it has no header of a NIfTI file")
    return header, order, int(struct.unpack(f"{order}i", header[:4])[0])
