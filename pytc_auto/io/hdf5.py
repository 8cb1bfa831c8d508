"""HDF5: any data set, voxel size from the attribute ``resolution`` of the data set or of a group above it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from pytc_auto.geometry import Box
from pytc_auto.io.container import Contents, resolve_key
from pytc_auto.io.volume import Array, FileVolume, Volume, damaged, number_dtype, volume_shape
from pytc_auto.io.voxel_size import from_attributes, offset_from_attributes


class Hdf5Volume(FileVolume):
    """A data set in an HDF5 file."""

    def __init__(self, path: Path, key: str) -> None:
        self.source = f"{path}:{key}"
        self.path = path
        self.key = key
        with damaged(self.source), _file(path) as file:
            dataset = file[key]
            self.shape = volume_shape(dataset.shape, self.source)
            self.dtype = number_dtype(dataset.dtype, self.source)
            self.is_image = dataset.ndim == 2
            above = [file, *(file["/".join(key.split("/")[: i + 1])] for i in range(key.count("/")))]
            found = [from_attributes(node.attrs) for node in (dataset, *reversed(above))]
            self.voxel_size_nm = next((size for size in found if size), None)
            self.offset_nm = offset_from_attributes(dataset.attrs)

    def _open(self) -> Any:
        return _file(self.path)

    def _load(self, opened: Any, box: Box) -> Array:
        dataset = opened[self.key]
        return dataset[box.slices[1:]][None] if self.is_image else dataset[box.slices]


def open_hdf5(path: Path, key: str | None = None) -> Volume:
    """A data set of an HDF5 file.

    Args:
        path: The file.
        key: Name of the data set; may be left out where there is only one.

    Raises:
        DataError: The file is damaged, or the data set is not there or not a volume.
    """
    return Hdf5Volume(path, resolve_key(str(path), hdf5_contents(path), key))


def hdf5_contents(path: Path) -> Contents:
    """The arrays of numbers in an HDF5 file.

    Raises:
        DataError: The file is damaged.
    """
    contents: Contents = {}

    def note(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.ndim >= 2 and node.dtype.kind in "biuf":
            contents[name] = tuple(node.shape)

    with damaged(str(path)), _file(path) as file:
        file.visititems(note)
    return contents


def _file(path: Path) -> Any:
    """The open file; locks are not asked for where the file system has none."""
    return h5py.File(path, "r", locking="best-effort")
