"""Zarr version 2 and 3: plain arrays, groups of arrays, and OME-Zarr 0.4 and 0.5 images and labels, here or at a URL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.axes import describe, find_axes
from pytc_auto.io.container import resolve_key
from pytc_auto.io.levels import Level, chosen, note_levels
from pytc_auto.io.remote import Folder, Url, kvstore, unlisted
from pytc_auto.io.store import StoreVolume
from pytc_auto.io.volume import Array, FileVolume, Volume, damaged, number_dtype
from pytc_auto.io.voxel_size import offset_from_attributes
from pytc_auto.io.zarr_metadata import (
    Node,
    declared_voxel_size,
    image_axes,
    image_levels,
    image_of,
    is_zarr,
    level_node,
    read_node,
    zarr_contents,
)

_ADVICE = "Labels inside an image are named as PATH:labels/NAME."


class ZarrVolume(FileVolume):
    """A zarr array in a folder."""

    def __init__(self, folder: Path, source: str, *, names: Sequence[str] | None, channel: int | None) -> None:
        """Look at the array.

        Args:
            folder: The array's own folder.
            source: For messages.
            names: Of the axes, where they are told.
            channel: Which one, where there are several.
        """
        self.source = source
        self.folder = folder
        self.voxel_size_nm = None
        with damaged(source):
            array = self._open()
            self.dtype = number_dtype(array.dtype, source)
            self.axes = find_axes(array.shape, names, channel, source, advice=_ADVICE)
            describe(self, self.axes, array.chunks)

    def _open(self) -> Any:
        return zarr.open_array(store=str(self.folder), mode="r")

    def _load(self, opened: Any, box: Box) -> Array:
        return self.axes.arranged(np.asarray(opened[self.axes.index(box)]), box.shape)


def open_zarr(path: Folder, key: str | None = None, *, level: int = 0, channel: int | None = None) -> Volume:
    """A zarr array, or a level of an OME-Zarr image.

    Args:
        path: A zarr array or group.
        key: An array or image inside it, or a level of an image; may be left out where there is only one, or where ``path``
            is one itself.
        level: Of an image, 0 for the finest.
        channel: Which one, where there are several.

    Raises:
        DataError: The array is damaged, not there, or not a volume.
    """
    if not is_zarr(path):
        raise DataError(f"{path}: is not a zarr array or group. Give the folder that holds zarr.json, .zarray or .zgroup.")
    with damaged(str(path)):
        found = _resolved(path, (key or "").strip("/"))
        node = read_node(path / found)
    with damaged(_source(path, found)):
        if node.multiscale is not None:
            return _open_image(node, level, path, found, channel)
        chosen([Level(found)], level, _source(path, found))
        image = image_of(node)
        if image is not None:
            return _open_level(*image, _source(path, found), channel)
        volume = _open_array(node, node.names, _source(path, found), channel)
        volume.voxel_size_nm = volume.axes.in_space(declared_voxel_size(node))
        volume.offset_nm = volume.axes.in_space(offset_from_attributes(node.attributes))
        return volume


def _resolved(path: Folder, wanted: str) -> str:
    """The key of an array or image, given its own or that of a group above it."""
    node = read_node(path / wanted)
    if node.shape is not None or node.multiscale is not None:
        return wanted
    contents = zarr_contents(path)
    if isinstance(path, Url) and not contents:
        raise unlisted(path, wanted)
    return resolve_key(str(path), contents, wanted)


def _open_image(image: Node, number: int, path: Folder, key: str, channel: int | None) -> Volume:
    """A level of an image by its number; the source of a coarser one names its array."""
    assert image.multiscale is not None
    paths = [Level(entry["path"]) for entry in image.multiscale["datasets"]]
    inside = chosen(paths, number, _source(path, key)).key
    return _open_level(image, number, _source(path, f"{key}/{inside}".strip("/") if number else key), channel)


def _open_level(image: Node, number: int, source: str, channel: int | None) -> Volume:
    """A level of an image, with what the image tells of it."""
    node = level_node(image, number)
    names = image_axes(image, len(node.shape or ()))
    volume = _open_array(node, names, source, channel)
    note_levels(volume, image_levels(image, names), number)
    return volume


def _open_array(node: Node, names: Sequence[str] | None, source: str, channel: int | None) -> ZarrVolume | StoreVolume:
    """An array, without its place in space."""
    if isinstance(node.folder, Path):
        return ZarrVolume(node.folder, source, names=names, channel=channel)
    spec = {"driver": "zarr3" if node.version == 3 else "zarr", "kvstore": kvstore(node.folder)}
    return StoreVolume(spec, source, names=names, channel=channel)


def _source(path: Folder, key: str) -> str:
    return f"{path}:{key}" if key else str(path)
