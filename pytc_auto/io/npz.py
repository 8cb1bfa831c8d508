"""NumPy's .npz: several arrays by name. Without compression they are mapped into memory, else decoded section by section."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.axes import Axes, describe, find_axes, piece_bytes
from pytc_auto.io.container import Contents, resolve_key
from pytc_auto.io.volume import Array, FileVolume, SectionVolume, Volume, damaged, number_dtype

_LOCAL_HEADER = 30
"""Bytes of a zip member's own header before its name."""


@dataclass(frozen=True)
class Member:
    """An array in the archive.

    Attributes:
        name: Of the file inside.
        shape: Of the array.
        dtype: As stored.
        fortran: Whether the first axis varies fastest.
        start: Where the voxels begin, in the file inside.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int


class StoredNpz(FileVolume):
    """An array that is not compressed."""

    def __init__(self, path: Path, member: Member, axes: Axes) -> None:
        self.path, self.member, self.axes = path, member, axes

    def _open(self) -> Array:
        with zipfile.ZipFile(self.path) as archive, self.path.open("rb") as file:
            begin = archive.getinfo(self.member.name).header_offset
            file.seek(begin)
            name, extra = struct.unpack("<HH", file.read(_LOCAL_HEADER)[26:])
        offset = begin + _LOCAL_HEADER + name + extra + self.member.start
        order: Literal["F", "C"] = "F" if self.member.fortran else "C"
        return np.memmap(self.path, self.member.dtype, "r", offset, self.member.shape, order=order)

    def _load(self, opened: Array, box: Box) -> Array:
        return np.array(self.axes.arranged(opened[self.axes.index(box)], box.shape))


class CompressedNpz(SectionVolume):
    """An array that is compressed as one piece; it is read from the front on."""

    random_access = False

    def __init__(self, path: Path, member: Member, axes: Axes) -> None:
        self.path, self.member, self.axes = path, member, axes

    def _decoder(self) -> Callable[[int], Array]:
        stream = zipfile.ZipFile(self.path).open(self.member.name)  # noqa: SIM115 (stays open from section to section)
        lead = self.axes.letters.find("z") + 1
        page = self.member.shape[lead:]
        count = math.prod(page) * self.member.dtype.itemsize
        inside = Axes(self.axes.letters[lead:], page, self.axes.channel)

        def decode(section: int) -> Array:
            index = [{"z": section, "c": self.axes.channel}.get(a, 0) for a in self.axes.letters[:lead]]
            number = int(np.ravel_multi_index(index, self.member.shape[:lead])) if index else 0
            stream.seek(self.member.start + number * count)
            whole = np.frombuffer(stream.read(count), self.member.dtype).reshape(page)
            return inside.arranged(whole[inside.index(self.box)], (1, *self.shape[1:]))[0]

        return decode


def open_npz(path: Path, key: str | None = None, *, channel: int | None = None) -> Volume:
    """An array of a .npz file.

    Args:
        path: The file.
        key: Name of the array; may be left out where there is only one.
        channel: Which one, where there are several.

    Raises:
        DataError: The file is damaged, or the array is not there, or not a volume.
    """
    found = resolve_key(str(path), npz_contents(path), key)
    source = f"{path}:{found}"
    with damaged(source), zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{found}.npy")
        member = _member(archive, info)
        dtype = number_dtype(member.dtype, source)
        axes = find_axes(member.shape, None, channel, source)
        stored = info.compress_type == zipfile.ZIP_STORED
        if member.fortran and not stored:
            raise DataError(f"{source}: is compressed with x as the slowest axis. Save it again, as numpy.ascontiguousarray(a).")
        volume: StoredNpz | CompressedNpz = (StoredNpz if stored else CompressedNpz)(path, member, axes)
        volume.source, volume.dtype, volume.voxel_size_nm = source, dtype, None
        describe(volume, axes, None)
        if not stored:
            piece_bytes(volume.shape[1:], dtype, source)
    return volume


def npz_contents(path: Path) -> Contents:
    """The arrays of numbers in a .npz file.

    Raises:
        DataError: The file is damaged.
    """
    with damaged(str(path)), zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        members = [_member(archive, info) for info in infos]
        return {m.name.removesuffix(".npy"): m.shape for m in members if len(m.shape) >= 2 and m.dtype.kind in "biuf"}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    """What an array's header tells.

    Raises:
        ValueError: It announces another size than the archive does.
    """
    with archive.open(info) as file:
        shape, fortran, dtype = _header(file)
        start = file.tell()
    if not dtype.hasobject and start + math.prod(shape) * dtype.itemsize != info.file_size:
        raise ValueError(f"{info.filename} has {info.file_size} bytes, but its header announces the shape {shape}")
    return Member(info.filename, shape, dtype, fortran, start)


def _header(file: BinaryIO | Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and dtype."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)
