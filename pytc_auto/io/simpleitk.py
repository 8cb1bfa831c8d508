"""NIfTI, NRRD and MetaImage, read by SimpleITK.

Their spacing is millimeters by convention, and in EM files often nanometers or micrometers written into the same field.
It is not guessed: such a volume has no voxel size of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813

from pytc_auto.geometry import Box
from pytc_auto.io.volume import Array, FileVolume, Volume, colored, damaged, number_dtype, volume_shape

_REGION_SUFFIXES = (".nii", ".mha", ".mhd")
"""Formats of which a part can be read; the others are read whole, once in each process."""

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
            reader = _reader(path)
            reader.ReadImageInformation()
            self.axes = len(reader.GetSize())
            if reader.GetNumberOfComponents() > 1:
                raise colored(self.source, reader.GetNumberOfComponents())
            self.shape = volume_shape(reader.GetSize()[::-1], self.source)
            self.dtype = number_dtype(_PIXELS.get(reader.GetPixelID(), "O"), self.source)

    def _open(self) -> Any:
        if self.path.name.lower().endswith(_REGION_SUFFIXES):
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
    """A volume from a NIfTI, NRRD or MetaImage file, without a voxel size.

    Raises:
        DataError: The file is damaged, has several channels or is not a volume.
    """
    return SimpleItkVolume(path)


def _reader(path: Path) -> Any:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    return reader
