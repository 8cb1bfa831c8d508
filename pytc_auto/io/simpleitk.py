"""NIfTI, NRRD and MetaImage, read by SimpleITK.

Their spacing is millimeters by convention, and in EM files often nanometers or micrometers written into the same field.
It is not guessed: such a volume has no voxel size of its own, unless it is NIfTI that says micrometers.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.nifti import GzipNifti, micrometers_told, stored_as
from pytc_auto.io.text_headers import CompressedVolume, RawVolume, find_voxels
from pytc_auto.io.volume import Array, FileVolume, Volume, colored, damaged, number_dtype, volume_shape

_REGION_SUFFIXES = (".nii", ".mha", ".mhd")
"""Formats of which SimpleITK reads a part if they are not compressed; the others it reads whole, once in each process."""

_DATA_FILE = re.compile(r"^\s*(?:ElementDataFile\s*=|data ?file\s*:)\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_COMPRESSED = re.compile(
    r"^\s*(?:CompressedData\s*=\s*True|encoding\s*:\s*(?:gz|gzip|bz2|bzip2))\s*$", re.IGNORECASE | re.MULTILINE
)
_TEXT_SUFFIXES = (".mha", ".mhd", ".nrrd", ".nhdr")
_HEADER_BYTES = 2**16
_MOST_SQUEEZED = 1100
"""The compression of these formats makes nothing smaller than this."""

_READERS = {
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}

_PIXELS = {
    sitk.sitkUInt8: "uint8",
    sitk.sitkInt8: "int8",
    sitk.sitkUInt16: "uint16",
    sitk.sitkInt16: "int16",
    sitk.sitkUInt32: "uint32",
    sitk.sitkInt32: "int32",
    sitk.sitkUInt64: "uint64",
    sitk.sitkInt64: "int64",
    sitk.sitkFloat32: "float32",
    sitk.sitkFloat64: "float64",
}


class SimpleItkVolume(FileVolume):
    """A file that SimpleITK reads."""

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        self.path = path
        self.voxel_size_nm = None
        with damaged(self.source):
            data_file(path)
            reader = _reader(path)
            reader.ReadImageInformation()
            self.axes = len(reader.GetSize())
            if reader.GetNumberOfComponents() > 1:
                raise colored(self.source, reader.GetNumberOfComponents())
            self.shape = volume_shape(reader.GetSize()[::-1], self.source)
            self.dtype = number_dtype(_PIXELS.get(reader.GetPixelID(), "O"), self.source)
            compressed = _check_length(path, _announced(path, self))
            self.random_access = not compressed and path.name.lower().endswith(_REGION_SUFFIXES)

    def _open(self) -> Any:
        if self.random_access:
            return _reader(self.path)
        return sitk.GetArrayFromImage(_reader(self.path).Execute()).reshape(self.shape)

    def _load(self, opened: Any, box: Box) -> Array:
        if isinstance(opened, np.ndarray):
            return opened[box.slices].copy()
        if not box.size:
            return np.empty(box.shape, self.dtype)
        opened.SetExtractIndex(box.start[::-1][: self.axes])
        opened.SetExtractSize(box.shape[::-1][: self.axes])
        return sitk.GetArrayFromImage(opened.Execute()).reshape(box.shape)


def open_simpleitk(path: Path) -> Volume:
    """A volume from a NIfTI, NRRD or MetaImage file, without a voxel size; see above for the exception.

    Raises:
        DataError: The file is damaged, has several channels or is not a volume.
    """
    volume = SimpleItkVolume(path)
    with damaged(volume.source):
        if path.name.lower().endswith((".nii", ".nii.gz")):
            volume.voxel_size_nm = micrometers_told(path)
        if path.suffix.lower() == ".gz":
            return GzipNifti(path, volume)
        place = None if volume.random_access else find_voxels(path, data_file(path))
        if place is None:
            return volume
        return CompressedVolume(place, volume) if place.compressed else RawVolume(place, volume)


def data_file(path: Path) -> Path | None:
    """Where the voxels of a file are, itself or one beside it; None if they are spread over several.

    Raises:
        DataError: It is not there.
    """
    named = _DATA_FILE.search(_header(path))
    if named is None or named[1].upper() == "LOCAL":
        return path
    if named[1].upper().startswith("LIST") or "%" in named[1]:
        return None
    held = path.parent / named[1]
    if not held.is_file():
        raise DataError(f"{path}: its voxels are in {held.name}, which is not beside it. Copy both files together.")
    return held


def _announced(path: Path, volume: Volume) -> int:
    """Bytes of the voxels; of NIfTI, which may store them in another type than they are given in, with the header."""
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return math.prod(volume.shape) * volume.dtype.itemsize
    stored = stored_as(path)
    return stored.start + math.prod(volume.shape) * stored.dtype.itemsize


def _check_length(path: Path, announced: int) -> bool:
    """See that a file can hold the bytes that its header announces; tell whether it is compressed.

    Raises:
        DataError: The file with the voxels is not there.
        ValueError: It is too short.
    """
    compressed = path.suffix.lower() == ".gz" or bool(_COMPRESSED.search(_header(path)))
    held = data_file(path)
    if held is not None and announced > held.stat().st_size * (_MOST_SQUEEZED if compressed else 1):
        raise ValueError(f"{held.name} has {held.stat().st_size} bytes, but the header announces {announced}")
    return compressed


def _header(path: Path) -> str:
    """The text at the start of a file; of a format without text, none."""
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    return start.decode("latin-1") if path.name.lower().endswith(_TEXT_SUFFIXES) else ""


def _reader(path: Path) -> Any:
    reader = sitk.ImageFileReader()
    reader.SetImageIO(next(io for suffix, io in _READERS.items() if path.name.lower().endswith(suffix)))
    reader.SetFileName(str(path))
    return reader
