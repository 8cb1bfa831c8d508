"""NRRD and MetaImage files whose voxels follow one another behind a text header, as they are or as one compressed stream.

SimpleITK holds such a file whole; here a part is read, or it is decoded from the front on, section by section.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pytc_auto.geometry import Box
from pytc_auto.io.axes import piece_bytes
from pytc_auto.io.volume import Array, FileVolume, SectionVolume, Volume

_LINE = re.compile(rb"^\s*([^:=#]+?)\s*(?::=?|=)\s*(.*?)\s*$")
_MOST_LINES = 1000
_PIECE = 2**20
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_HOW: dict[str, bool] = {"raw": False, "gzip": True, "gz": True}


@dataclass(frozen=True)
class Place:
    """Where voxels are and how.

    Attributes:
        path: The file that holds them.
        start: Of their first byte.
        order: Of the bytes of a voxel.
        compressed: As a gzip or zlib stream.
    """

    path: Path
    start: int
    order: Literal["<", ">"]
    compressed: bool


class RawVolume(FileVolume):
    """Voxels that lie in a file as they are."""

    def __init__(self, place: Place, like: Volume) -> None:
        self.source, self.place = like.source, place
        self.shape, self.dtype, self.voxel_size_nm = like.shape, like.dtype, like.voxel_size_nm

    def _open(self) -> Array:
        return np.memmap(self.place.path, self.dtype.newbyteorder(self.place.order), "r", self.place.start, self.shape)

    def _load(self, opened: Array, box: Box) -> Array:
        return np.array(opened[box.slices])


class CompressedVolume(SectionVolume):
    """Voxels that are one compressed stream."""

    random_access = False

    def __init__(self, place: Place, like: Volume) -> None:
        self.source, self.place = like.source, place
        self.shape, self.dtype, self.voxel_size_nm = like.shape, like.dtype, like.voxel_size_nm
        piece_bytes(self.shape[1:], self.dtype, self.source)

    def _decoder(self) -> Callable[[int], Array]:
        shape, dtype = self.shape[1:], self.dtype.newbyteorder(self.place.order)
        count = math.prod(shape) * dtype.itemsize
        stream, reached = _Inflated(self.place), 0

        def decode(section: int) -> Array:
            nonlocal stream, reached
            if section < reached:
                stream, reached = _Inflated(self.place), 0
            while reached < section:
                stream.read(count)
                reached += 1
            values = np.frombuffer(stream.read(count), dtype).reshape(shape)
            reached += 1
            return values

        return decode


class _Inflated:
    """What a compressed stream holds, from its start on."""

    def __init__(self, place: Place) -> None:
        self._file = place.path.open("rb")  # stays open from section to section
        self._file.seek(place.start)
        self._held = b""
        self._inflate: Any = zlib.decompressobj(_GZIP_OR_ZLIB)

    def read(self, count: int) -> bytes:
        """The next bytes; fewer at the end."""
        found = bytearray()
        while len(found) < count:
            self._held = self._held or self._file.read(_PIECE)
            if not self._held:
                break
            found += self._inflate.decompress(self._held, count - len(found))
            self._held = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._held, self._inflate = self._inflate.unused_data, zlib.decompressobj(_GZIP_OR_ZLIB)
        return bytes(found)

    def __del__(self) -> None:
        self._file.close()


def find_voxels(path: Path, data_file: Path | None) -> Place | None:
    """Where the voxels of a NRRD or MetaImage file are; None if they are stored in another way.

    Args:
        path: The file with the header.
        data_file: The file with the voxels, itself perhaps; None if there are several.
    """
    fields, end = _fields(path)
    if data_file is None or fields is None:
        return None
    start = end if data_file == path else 0
    if path.suffix.lower() in (".nrrd", ".nhdr"):
        skips = [fields.get(name, "0") for name in ("line skip", "lineskip", "byte skip", "byteskip")]
        how, order = _HOW.get(fields.get("encoding", "").lower()), fields.get("endian", "little").lower()
        return None if how is None or set(skips) != {"0"} else Place(data_file, start, ">" if order == "big" else "<", how)
    big = "true" in (fields.get(name, "").lower() for name in ("elementbyteordermsb", "binarydatabyteordermsb"))
    if fields.get("headersize", "0") != "0" or fields.get("binarydata", "true").lower() != "true":
        return None
    return Place(data_file, start, ">" if big else "<", fields.get("compresseddata", "").lower() == "true")


def _fields(path: Path) -> tuple[dict[str, str] | None, int]:
    """Lines of a header by their names in lower case, and where it ends; None if it has no end."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for _ in range(_MOST_LINES):
            line = file.readline(_PIECE)
            if not line.strip():
                return (fields, file.tell()) if fields else (None, 0)
            if (found := _LINE.match(line)) is not None:
                fields[found[1].decode("latin-1").lower()] = found[2].decode("latin-1")
            if "elementdatafile" in fields:
                return fields, file.tell()
    return None, 0
