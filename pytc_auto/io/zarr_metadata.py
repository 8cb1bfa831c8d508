"""What the metadata files of zarr version 2 and 3 and of OME-Zarr tell. No chunk is read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytc_auto.errors import DataError
from pytc_auto.geometry import ZyxFloat
from pytc_auto.io.axes import named_letters
from pytc_auto.io.container import Contents
from pytc_auto.io.levels import Level
from pytc_auto.io.remote import Folder, Url
from pytc_auto.io.volume import damaged
from pytc_auto.io.voxel_size import finite, from_attributes, in_nm, usable

_FILES = ("zarr.json", ".zarray", ".zgroup")
_DEEPEST = 32


@dataclass(frozen=True)
class Node:
    """A folder that holds a zarr array, a zarr group or neither."""

    folder: Folder
    shape: tuple[int, ...] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    names: Sequence[str] | None = None
    version: int = 2

    @property
    def multiscale(self) -> Mapping[str, Any] | None:
        """OME-Zarr's description of an image and its levels."""
        found = self.attributes.get("ome", self.attributes).get("multiscales")
        return found[0] if found and found[0].get("datasets") else None


def zarr_contents(path: Folder) -> Contents:
    """The arrays of numbers and OME-Zarr images in a zarr array or group, without an image's levels.

    Raises:
        DataError: The metadata are damaged.
    """
    with damaged(str(path)):
        return {key: shape for key, shape in _walk(path, "") if len(shape) >= 2}


def is_zarr(path: Folder) -> bool:
    """Whether a folder is a zarr array or group; its name may say so in place of a metadata file."""
    return any((path / name).is_file() for name in _FILES) or path.name.endswith(".zarr")


def read_node(folder: Folder) -> Node:
    """What a folder's zarr metadata tell, version 3 or 2."""
    if (folder / "zarr.json").is_file():
        metadata = read_json(folder / "zarr.json")
        shape = tuple(metadata["shape"]) if metadata["node_type"] == "array" else None
        return Node(folder, shape, metadata.get("attributes", {}), metadata.get("dimension_names"), 3)
    attributes = read_json(folder / ".zattrs") if (folder / ".zattrs").is_file() else {}
    shape = tuple(read_json(folder / ".zarray")["shape"]) if (folder / ".zarray").is_file() else None
    return Node(folder, shape, attributes, attributes.get("_ARRAY_DIMENSIONS"))


def _walk(folder: Folder, key: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Keys and shapes of the arrays and images at a folder and below."""
    node = read_node(folder)
    if node.shape is not None:
        yield key, node.shape
        return
    levels = set()
    if node.multiscale is not None:
        yield key, level_node(node, 0).shape or ()
        levels = {entry["path"].split("/")[0] for entry in node.multiscale["datasets"]}
    for name in _inside(folder):
        if name not in levels and key.count("/") < _DEEPEST:
            yield from _walk(folder / name, f"{key}/{name}".lstrip("/"))


def _inside(folder: Folder) -> list[str]:
    """Names of the folders in a folder in order; hidden ones and links, which may lead back, are left out."""
    if isinstance(folder, Url):
        return _consolidated(folder)
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith("."))


def _consolidated(url: Url) -> list[str]:
    """Names of the arrays below a remote group, where they are all listed in one file."""
    if (url / ".zmetadata").is_file():
        listed = read_json(url / ".zmetadata")["metadata"]
        return sorted(key.removesuffix("/.zarray") for key in listed if key.endswith("/.zarray"))
    metadata = read_json(url / "zarr.json") if (url / "zarr.json").is_file() else {}
    listed = (metadata.get("consolidated_metadata") or {}).get("metadata", {})
    return sorted(key for key, node in listed.items() if node["node_type"] == "array")


def level_node(image: Node, number: int) -> Node:
    """The array of a level of an image.

    Raises:
        DataError: It is not there.
    """
    assert image.multiscale is not None
    path = image.multiscale["datasets"][number]["path"]
    level = read_node(image.folder / path)
    if level.shape is None:
        raise DataError(f"{image.folder}: level {path} of the image is not there. Copy or export it again.")
    return level


def image_of(node: Node) -> tuple[Node, int] | None:
    """The image of which an array is a level, and the level's number."""
    folder, path = node.folder.absolute(), ""
    for _ in range(2):
        path, folder = f"{folder.name}/{path}".strip("/"), folder.parent
        image = read_node(folder) if is_zarr(folder) else Node(folder)
        levels = [entry["path"] for entry in (image.multiscale or {"datasets": []})["datasets"]]
        if path in levels:
            return image, levels.index(path)
    return None


def image_axes(image: Node, count: int) -> list[str]:
    """Name of each axis of an image.

    Raises:
        DataError: The metadata do not fit an array of ``count`` axes.
    """
    assert image.multiscale is not None
    given = image.multiscale.get("axes") or list("tczyx")[-count:]
    names = [str(a["name"] if isinstance(a, Mapping) else a).lower() for a in given]
    if named_letters(names, count) is None:
        raise DataError(f"{image.folder}: axes {names} do not describe an array with {count} axes in y and x. Mend its metadata.")
    return names


def image_levels(image: Node, names: Sequence[str]) -> list[Level]:
    """The levels of an image, finest first: scale and translation, times the axes' units."""
    assert image.multiscale is not None
    given = image.multiscale.get("axes") or [None] * len(names)
    units = [a.get("unit") if isinstance(a, Mapping) else None for a in given]
    return [_level(entry, image.multiscale, names, units) for entry in image.multiscale["datasets"]]


def _level(entry: Mapping[str, Any], multiscale: Mapping[str, Any], names: Sequence[str], units: Sequence[str | None]) -> Level:
    """One level: its own transformations, then those of the image."""
    scale, start, told = [1.0] * len(names), [0.0] * len(names), False
    for step in [*entry.get("coordinateTransformations", []), *multiscale.get("coordinateTransformations", [])]:
        if step.get("type") == "scale":
            scale = [a * b for a, b in zip(scale, step["scale"], strict=True)]
            start = [a * b for a, b in zip(start, step["scale"], strict=True)]
        elif step.get("type") == "translation":
            start, told = [a + b for a, b in zip(start, step["translation"], strict=True)], True
    sizes = {a: in_nm(s, u) for a, s, u in zip(names, scale, units, strict=True)}
    starts = {a: in_nm(s, u) for a, s, u in zip(names, start, units, strict=True)}
    return Level(
        entry["path"],
        usable([sizes.get(a, math.nan) for a in "zyx"]),
        finite([starts.get(a, math.nan) for a in "zyx"]) if told else None,
    )


def declared_voxel_size(node: Node) -> ZyxFloat | None:
    """Voxel size from the attributes of an array, else of the groups above it."""
    size = from_attributes(node.attributes)
    folder = node.folder.absolute().parent
    while size is None and is_zarr(folder):
        size = from_attributes(read_node(folder).attributes)
        folder = folder.parent
    return size


def read_json(path: Folder) -> dict[str, Any]:
    """The record in a small file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} does not hold a record")
    return content
