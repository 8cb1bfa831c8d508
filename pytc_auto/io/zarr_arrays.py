"""Zarr version 2 and 3: plain arrays, groups of arrays, and OME-Zarr 0.4 and 0.5 images and labels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.container import Contents, resolve_key
from pytc_auto.io.volume import Array, FileVolume, Volume, damaged, number_dtype, volume_shape
from pytc_auto.io.voxel_size import from_attributes, in_nm, usable

_SPACE = "zyx"


@dataclass(frozen=True)
class Node:
    """A folder that holds a zarr array, a zarr group or neither."""

    folder: Path
    shape: tuple[int, ...] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def multiscale(self) -> Mapping[str, Any] | None:
        """OME-Zarr's description of an image and its levels."""
        found = self.attributes.get("ome", self.attributes).get("multiscales")
        return found[0] if found and found[0].get("datasets") else None


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
                raise DataError(f"{source}: has {_extents(others)} beside z, y, x; a volume has one of each. Store one channel.")
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
    found = resolve_key(str(path), zarr_contents(path), key)
    source = f"{path}:{found}" if found else str(path)
    with damaged(source):
        node = read_node(path / found)
        if node.multiscale is None:
            if len(node.shape or ()) not in (2, 3):
                volume_shape(node.shape or (), source)
            volume = ZarrVolume(node.folder, _SPACE[-len(node.shape or ()) :], source)
            volume.voxel_size_nm = _declared_voxel_size(node)
            return volume
        axes = _axes(node, len(_level(node).shape or ()))
        volume = ZarrVolume(_level(node).folder, "".join(axes), source)
        volume.voxel_size_nm = _multiscale_voxel_size(node.multiscale, axes)
        return volume


def zarr_contents(path: Path) -> Contents:
    """The arrays of numbers and OME-Zarr images in a zarr array or group, without an image's levels.

    Raises:
        DataError: The metadata are damaged.
    """
    with damaged(str(path)):
        return {key: shape for key, shape in _walk(path, "") if len(shape) >= 2}


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr array or group."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def read_node(folder: Path) -> Node:
    """What a folder's zarr metadata tell, version 3 or 2."""
    if (folder / "zarr.json").is_file():
        metadata = _json(folder / "zarr.json")
        shape = tuple(metadata["shape"]) if metadata["node_type"] == "array" else None
        return Node(folder, shape, metadata.get("attributes", {}))
    attributes = _json(folder / ".zattrs") if (folder / ".zattrs").is_file() else {}
    shape = tuple(_json(folder / ".zarray")["shape"]) if (folder / ".zarray").is_file() else None
    return Node(folder, shape, attributes)


def _walk(folder: Path, key: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Keys and shapes of the arrays and images at a folder and below."""
    node = read_node(folder)
    if node.shape is not None:
        yield key, node.shape
        return
    levels = set()
    if node.multiscale is not None:
        yield key, _level(node).shape or ()
        levels = {level["path"].split("/")[0] for level in node.multiscale["datasets"]}
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith(".") and child.name not in levels:
            yield from _walk(child, f"{key}/{child.name}".lstrip("/"))


def _level(node: Node) -> Node:
    """The finest level of an image."""
    assert node.multiscale is not None
    path = node.multiscale["datasets"][0]["path"]
    level = read_node(node.folder / path)
    if level.shape is None:
        raise DataError(f"{node.folder}: the image's finest level, {path}, is not there. Copy or export it again.")
    return level


def _axes(node: Node, count: int) -> list[str]:
    """Name of each axis of an image, one letter each."""
    assert node.multiscale is not None
    given = node.multiscale.get("axes") or list("tczyx")[-count:]
    names = [str(a["name"] if isinstance(a, Mapping) else a).lower() for a in given]
    letters = [name if name in ("z", "y", "x") else chr(ord("A") + i) for i, name in enumerate(names)]
    if len(letters) != count or not {"y", "x"} <= set(letters):
        raise DataError(f"{node.folder}: axes {names} do not describe an array with {count} axes in y and x. Mend its metadata.")
    return letters


def _multiscale_voxel_size(multiscale: Mapping[str, Any], axes: list[str]) -> ZyxFloat | None:
    """Scale of the finest level times the axes' units; None where an axis has no unit."""
    scale = [1.0] * len(axes)
    for transformation in [
        *multiscale["datasets"][0].get("coordinateTransformations", []),
        *multiscale.get("coordinateTransformations", []),
    ]:
        if transformation.get("type") == "scale":
            scale = [a * b for a, b in zip(scale, transformation["scale"], strict=True)]
    units = [a.get("unit") if isinstance(a, Mapping) else None for a in multiscale.get("axes", [None] * len(axes))]
    sizes = {a: in_nm(s, u) for a, s, u in zip(axes, scale, units, strict=True)}
    return usable([sizes.get(a, math.nan) for a in _SPACE])


def _declared_voxel_size(node: Node) -> ZyxFloat | None:
    """Voxel size from the attributes of an array, else of the groups above it."""
    size = from_attributes(node.attributes)
    folder = node.folder.absolute().parent
    while size is None and is_zarr(folder):
        size = from_attributes(read_node(folder).attributes)
        folder = folder.parent
    return size


def _extents(sizes: Mapping[str, int]) -> str:
    return " and ".join(f"an axis of extent {n}" for n in sizes.values())


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} does not hold a record")
    return content
