"""A folder of PNG, JPEG or TIFF sections, in natural order of their names. It carries no voxel size."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from pytc_auto.errors import DataError
from pytc_auto.io.section_headers import JPEG, PNG, TIFF, read_header, whole_jpeg
from pytc_auto.io.volume import Array, SectionVolume, Volume, damaged, volume_shape

SECTION_SUFFIXES = (*PNG, *TIFF, *JPEG)


class SectionFolder(SectionVolume):
    """Sections, one a file."""

    def __init__(self, paths: list[Path], source: str) -> None:
        self.source = source
        self.paths = paths
        self.voxel_size_nm = None
        headers = [read_header(path) for path in paths]
        first = headers[0]
        for path, header in zip(paths, headers, strict=True):
            if header != first:
                raise DataError(
                    f"{path}: is {header}, but {paths[0].name} is {first}. All sections must be alike: mend or remove it."
                )
            if not (header.colors.startswith(first.colors) or first.colors.startswith(header.colors)):
                told = f"its palette is not that of {paths[0].name}, so the same number may be another label"
                raise DataError(f"{path}: {told}. Store the labels as gray values of 8 or 16 bits.")
        self.shape = volume_shape((len(paths), *first.shape), source)
        self.dtype = first.dtype
        self.chunks = (1, *first.shape)
        self.random_access = all(header.plain for header in headers)
        self.palette = first.palette

    def _decoder(self) -> Callable[[int], Array]:
        def decode(section: int) -> Array:
            with damaged(str(self.paths[section])):
                return _indices(self.paths[section]) if self.palette else _decoded(self.paths[section])

        return decode


def open_sections(path: Path) -> Volume:
    """The sections of a folder, or one section, as a volume.

    Raises:
        DataError: There is no section; one differs in shape or dtype from the first; one is in color or damaged.
    """
    with damaged(str(path)):
        paths = section_paths(path) if path.is_dir() else [path]
    if not paths:
        raise DataError(f"{path}: holds no sections ({', '.join(SECTION_SUFFIXES)}). Give the folder that holds them.")
    return SectionFolder(paths, str(path))


def section_paths(folder: Path) -> list[Path]:
    """The sections of a folder in natural order: 2 comes before 10. Hidden and other files are left out."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SECTION_SUFFIXES and not p.name.startswith("."))
    return sorted(found, key=lambda p: [int(t) if i % 2 else t for i, t in enumerate(re.split(r"([0-9]+)", p.name))])


def _decoded(path: Path) -> Array:
    suffix = path.suffix.lower()
    if suffix in TIFF:
        with tifffile.TiffFile(path) as file:
            return np.asarray(file.pages[0].asarray())
    data = path.read_bytes()
    if suffix in PNG:
        return np.asarray(imagecodecs.png_decode(data))
    if not whole_jpeg(data):
        raise ValueError("it ends too early")
    return np.asarray(imagecodecs.jpeg_decode(data))


def _indices(path: Path) -> Array:
    """What a PNG with a palette stores; other decoders give the colors."""
    from PIL.PngImagePlugin import PngImageFile

    with PngImageFile(path) as file:
        return np.asarray(file)
