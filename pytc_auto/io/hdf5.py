"""HDF5: any data set. Attributes of the data set or of a group above it tell the voxel size (``resolution``).

What lies in other files (external links and storage, virtual data sets) is not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.axes import describe, find_axes
from pytc_auto.io.container import Contents, resolve_key
from pytc_auto.io.volume import Array, FileVolume, Volume, damaged, number_dtype
from pytc_auto.io.voxel_size import from_attributes, offset_from_attributes


class Hdf5Volume(FileVolume):
    """A data set in an HDF5 file."""

    def __init__(self, path: Path, key: str, channel: int | None) -> None:
        self.source = f"{path}:{key}"
        self.path = path
        self.key = key
        with damaged(self.source), _file(path) as file:
            dataset = file[key]
            _refuse_other_files(dataset, self.source)
            self.dtype = number_dtype(dataset.dtype, self.source)
            self.axes = find_axes(dataset.shape, [axis.label for axis in dataset.dims], channel, self.source)
            describe(self, self.axes, dataset.chunks)
            above = [file, *(file["/".join(key.split("/")[: i + 1])] for i in range(key.count("/")))]
            found = [from_attributes(node.attrs) for node in (dataset, *reversed(above))]
            self.voxel_size_nm = self.axes.in_space(next((size for size in found if size), None))
            self.offset_nm = self.axes.in_space(offset_from_attributes(dataset.attrs))

    def _open(self) -> Any:
        return _file(self.path)

    def _load(self, opened: Any, box: Box) -> Array:
        return self.axes.arranged(opened[self.key][self.axes.index(box)], box.shape)


def open_hdf5(path: Path, key: str | None = None, *, channel: int | None = None) -> Volume:
    """A data set of an HDF5 file.

    Args:
        path: The file.
        key: Name of the data set; may be left out where there is only one.
        channel: Which one, where there are several.

    Raises:
        DataError: The file is damaged, or the data set is not there, not a volume, or in another file.
    """
    return Hdf5Volume(path, resolve_key(str(path), hdf5_contents(path), key), channel)


def hdf5_contents(path: Path) -> Contents:
    """The arrays of numbers in an HDF5 file; links to other files are not followed.

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


def _refuse_other_files(dataset: Any, source: str) -> None:
    """See that all voxels are in this file: what is missing elsewhere would be read as zeros.

    Raises:
        DataError: They are not.
    """
    outside = [name for name, *_ in dataset.external or ()]
    if dataset.is_virtual:
        outside += [part.file_name for part in dataset.virtual_sources() if part.file_name != "."]
    if outside:
        raise DataError(f"{source}: its voxels are in another file, {outside[0]}. Give that file, or copy them into one.")


def _file(path: Path) -> Any:
    """The open file; locks are not asked for where the file system has none."""
    return h5py.File(path, "r", locking="best-effort")
