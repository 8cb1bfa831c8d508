"""A folder of PNG or TIFF sections, in natural order of their names. It carries no voxel size."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from pytc_auto.errors import DataError
from pytc_auto.io.volume import Array, SectionVolume, Volume, colored, damaged, number_dtype

SECTION_SUFFIXES = (".png", ".tif", ".tiff")
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


class SectionFolder(SectionVolume):
    """Sections, one a file."""

    def __init__(self, paths: list[Path], source: str) -> None:
        self.source = source
        self.paths = paths
        self.voxel_size_nm = None
        headers = [_header(path) for path in paths]
        first = headers[0]
        for path, header in zip(paths, headers, strict=True):
            if header != first:
                raise DataError(
                    f"{path}: is {header}, but {paths[0].name} is {first}. All sections must be alike: mend or remove it."
                )
        self.shape = (len(paths), *first.shape)
        self.dtype = first.dtype

    def _decoder(self) -> Callable[[int], Array]:
        def decode(section: int) -> Array:
            with damaged(str(self.paths[section])):
                return _decoded(self.paths[section])

        return decode


def open_sections(path: Path) -> Volume:
    """The sections of a folder, or one section, as a volume.

    Raises:
        DataError: There is no section; one differs in shape or dtype from the first; one is in color or damaged.
    """
    paths = section_paths(path) if path.is_dir() else [path]
    if not paths:
        raise DataError(f"{path}: holds no sections ({', '.join(SECTION_SUFFIXES)}). Give the folder that holds them.")
    return SectionFolder(paths, str(path))


def section_paths(folder: Path) -> list[Path]:
    """The sections of a folder in natural order: 2 comes before 10. Hidden and other files are left out."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SECTION_SUFFIXES and not p.name.startswith("."))
    return sorted(found, key=lambda p: [int(t) if t.isdigit() else t for t in re.split(r"([0-9]+)", p.name)])


@dataclass(frozen=True)
class _Header:
    """What a file tells of a section without being decoded."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.shape[0]} by {self.shape[1]} (y by x) of {self.dtype}"


def _header(path: Path) -> _Header:
    """Shape and dtype of a section.

    Raises:
        DataError: It has several channels or pages, or is damaged.
    """
    with damaged(str(path)):
        return _png_header(path) if path.suffix.lower() == ".png" else _tiff_header(path)


def _png_header(path: Path) -> _Header:
    with path.open("rb") as file:
        start = file.read(26)
    if not start.startswith(_PNG_START):
        raise ValueError("it is not a PNG file")
    width, height, bits, color = struct.unpack(">IIBB", start[16:26])
    if _PNG_CHANNELS.get(color, 1) > 1:
        raise colored(str(path), _PNG_CHANNELS[color])
    return _Header((height, width), np.dtype("uint16" if bits == 16 else "uint8"))


def _tiff_header(path: Path) -> _Header:
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        if page.samplesperpixel > 1:
            raise colored(str(path), page.samplesperpixel)
        if len(file.pages) > 1 or len(page.shape) != 2:
            raise DataError(f"{path}: has {len(file.pages)} pages, a section has one. Give the file itself, not its folder.")
        return _Header((page.shape[0], page.shape[1]), number_dtype(page.dtype, str(path)))


def _decoded(path: Path) -> Array:
    if path.suffix.lower() == ".png":
        return np.asarray(imagecodecs.png_decode(path.read_bytes()))
    with tifffile.TiffFile(path) as file:
        return np.asarray(file.pages[0].asarray())
