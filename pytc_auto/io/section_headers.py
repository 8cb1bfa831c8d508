"""What the header of a PNG, JPEG or TIFF section tells. Nothing is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile

from pytc_auto.errors import DataError
from pytc_auto.io.axes import piece_bytes
from pytc_auto.io.volume import colored, damaged, number_dtype

PNG = (".png",)
JPEG = (".jpg", ".jpeg")
TIFF = (".tif", ".tiff")

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PNG_PALETTE = 3
_PNG_HEADER = 33
"""Bytes of the start and the first chunk."""
_JPEG_START = b"\xff\xd8\xff"
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MOST_SQUEEZED = 2000
"""Neither PNG nor JPEG makes an image smaller than this by compression."""


@dataclass(frozen=True)
class Header:
    """What a section is.

    Attributes:
        shape: (Y, X).
        dtype: Of the voxels.
        plain: Whether they lie in the file as they are.
        palette: Whether they are indices of colors, as programs that draw labels store ids.
        colors: The palette, as stored; one that ends with the last color in use is shorter than others.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    plain: bool = field(default=False, compare=False)
    palette: bool = False
    colors: bytes = field(default=b"", compare=False)

    def __str__(self) -> str:
        colors = " in a palette" if self.palette else ""
        return f"{self.shape[0]} by {self.shape[1]} (y by x) of {self.dtype}{colors}"


def read_header(path: Path) -> Header:
    """Shape and dtype of a section.

    Raises:
        DataError: It has several channels or pages, is damaged, or announces more than it can hold.
    """
    suffix = path.suffix.lower()
    with damaged(str(path)):
        if suffix in TIFF:
            return _tiff_header(path)
        with path.open("rb") as file:
            header = _png_header(file, path) if suffix in PNG else _jpeg_header(file, path)
        size = path.stat().st_size
        if piece_bytes(header.shape, header.dtype, str(path)) > _MOST_SQUEEZED * size:
            raise ValueError(f"it has {size} bytes, but its header announces {header}")
        return header


def _png_header(file: BinaryIO, path: Path) -> Header:
    start = file.read(26)
    if not start.startswith(_PNG_START):
        raise ValueError("it is not a PNG file")
    width, height, bits, color = struct.unpack(">IIBB", start[16:26])
    if _PNG_CHANNELS.get(color, 1) > 1:
        raise colored(str(path), _PNG_CHANNELS[color])
    dtype, palette = np.dtype("uint16" if bits == 16 else "uint8"), color == _PNG_PALETTE
    return Header((height, width), dtype, palette=palette, colors=_png_colors(file) if palette else b"")


def _png_colors(file: BinaryIO) -> bytes:
    """The palette: a chunk behind the header and before the voxels."""
    file.seek(_PNG_HEADER)
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"PLTE":
            return file.read(length)
        if kind == b"IDAT":
            raise ValueError("it has no palette")
        file.seek(length + 4, 1)


def _jpeg_header(file: BinaryIO, path: Path) -> Header:
    if file.read(3) != _JPEG_START:
        raise ValueError("it is not a JPEG file")
    file.seek(2)
    while True:
        marker, length = struct.unpack(">HH", file.read(4))
        if marker >> 8 != 0xFF or length < 2:
            raise ValueError("its header is not whole")
        if marker & 0xFF in _JPEG_FRAMES:
            break
        file.seek(length - 2, 1)
    bits, height, width, channels = struct.unpack(">BHHB", file.read(6))
    if channels > 1:
        raise colored(str(path), channels)
    return Header((height, width), np.dtype("uint8" if bits == 8 else "uint16"))


def _tiff_header(path: Path) -> Header:
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        if page.samplesperpixel > 1:
            raise colored(str(path), page.samplesperpixel)
        if len(file.pages) > 1 or len(page.shape) != 2:
            raise DataError(f"{path}: has {len(file.pages)} pages, a section has one. Give the file itself, not its folder.")
        header = Header((page.shape[0], page.shape[1]), number_dtype(page.dtype, str(path)), page.compression == 1)
        if piece_bytes(header.shape, header.dtype, str(path)) > file.filehandle.size and header.plain:
            raise ValueError(f"it has {file.filehandle.size} bytes, but its header announces {header}")
        return header


def whole_jpeg(data: bytes) -> bool:
    """Whether a JPEG goes on to its end; decoders paint what is missing gray."""
    return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda") > 0
