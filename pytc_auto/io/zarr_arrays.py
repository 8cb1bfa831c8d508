"""Zarr version 2 and 3: plain arrays, groups of arrays, and OME-Zarr 0.4 and 0.5 images and labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.container import resolve_key
from pytc_auto.io.volume import Array, FileVolume, Volume, damaged, number_dtype, volume_shape
from pytc_auto.io.zarr_metadata import (
    axis_letters,
    declared_voxel_size,
    is_zarr,
    level,
    multiscale_voxel_size,
    read_node,
    zarr_contents,
)

_SPACE = "zyx"


class ZarrVolume(FileVolume):
    """A zarr array, or the finest level of an OME-Zarr image."""

    def __init__(self, folder: Path, axes: str, source: str) -> None:
        """Look at the array.

        Args:
            folder: The array's own folder.
            axes: Name of each of the array's axes; those that are not z, y or x must have extent 1.
            source: For messages.
        """
        self.source = source
        self.folder = folder
        self.axes = axes
        self.voxel_size_nm = None
        with damaged(source):
            array = self._open()
            self.dtype = number_dtype(array.dtype, source)
            sizes = dict(zip(axes, array.shape, strict=True))
            others = {a: n for a, n in sizes.items() if a not in _SPACE and n > 1}
            if others:
                raise DataError(
                    f"{source}: has {_extents(others)} beside z, y, x; a volume has one channel and one time point. "
                    "Store one of each; labels inside an image are named as PATH:labels/NAME."
                )
            self.shape = volume_shape([sizes[a] for a in _SPACE if a in sizes], source)

    def _open(self) -> Any:
        return zarr.open_array(store=str(self.folder), mode="r")

    def _load(self, opened: Any, box: Box) -> Array:
        where = dict(zip(_SPACE, box.slices, strict=True))
        block = np.asarray(opened[tuple(where.get(a, 0) for a in self.axes)])
        stored = [a for a in self.axes if a in _SPACE]
        wanted = [a for a in _SPACE if a in stored]
        return block.transpose([stored.index(a) for a in wanted]).reshape(box.shape)


def open_zarr(path: Path, key: str | None = None) -> Volume:
    """A zarr array, or level 0 of an OME-Zarr image.

    Args:
        path: A zarr array or group.
        key: An array or image inside it; may be left out where there is only one, or where ``path`` is one itself.

    Raises:
        DataError: The array is damaged, not there, or not a volume.
    """
    if not is_zarr(path):
        raise DataError(f"{path}: is not a zarr array or group. Give the folder that holds zarr.json, .zarray or .zgroup.")
    found = resolve_key(str(path), zarr_contents(path), key)
    source = f"{path}:{found}" if found else str(path)
    with damaged(source):
        node = read_node(path / found)
        if node.multiscale is None:
            assert node.shape is not None
            volume_shape(node.shape, source)
            volume = ZarrVolume(node.folder, _SPACE[-len(node.shape) :], source)
            volume.voxel_size_nm = declared_voxel_size(node)
            return volume
        finest = level(node)
        axes = axis_letters(node, len(finest.shape or ()))
        volume = ZarrVolume(finest.folder, axes, source)
        volume.voxel_size_nm = multiscale_voxel_size(node.multiscale, axes)
        return volume


def _extents(sizes: Mapping[str, int]) -> str:
    return " and ".join(f"an axis of extent {n}" for n in sizes.values())
