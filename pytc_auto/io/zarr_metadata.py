"""What the metadata files of zarr version 2 and 3 and of OME-Zarr tell. No chunk is read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytc_auto.errors import DataError
from pytc_auto.geometry import ZyxFloat
from pytc_auto.io.container import Contents
from pytc_auto.io.volume import damaged
from pytc_auto.io.voxel_size import from_attributes, in_nm, usable


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
        yield key, level(node).shape or ()
        levels = {entry["path"].split("/")[0] for entry in node.multiscale["datasets"]}
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith(".") and child.name not in levels:
            yield from _walk(child, f"{key}/{child.name}".lstrip("/"))


def level(node: Node) -> Node:
    """The finest level of an image.

    Raises:
        DataError: It is not there.
    """
    assert node.multiscale is not None
    path = node.multiscale["datasets"][0]["path"]
    level = read_node(node.folder / path)
    if level.shape is None:
        raise DataError(f"{node.folder}: the image's finest level, {path}, is not there. Copy or export it again.")
    return level


def axis_letters(node: Node, count: int) -> str:
    """Name of each axis of an image, one letter each; those in space are z, y and x.

    Raises:
        DataError: The metadata do not fit an array of ``count`` axes.
    """
    assert node.multiscale is not None
    given = node.multiscale.get("axes") or list("tczyx")[-count:]
    names = [str(a["name"] if isinstance(a, Mapping) else a).lower() for a in given]
    letters = "".join(name if name in ("z", "y", "x") else chr(ord("A") + i) for i, name in enumerate(names))
    if len(letters) != count or not {"y", "x"} <= set(letters):
        raise DataError(f"{node.folder}: axes {names} do not describe an array with {count} axes in y and x. Mend its metadata.")
    return letters


def multiscale_voxel_size(multiscale: Mapping[str, Any], axes: str) -> ZyxFloat | None:
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
    return usable([sizes.get(a, math.nan) for a in "zyx"])


def declared_voxel_size(node: Node) -> ZyxFloat | None:
    """Voxel size from the attributes of an array, else of the groups above it."""
    size = from_attributes(node.attributes)
    folder = node.folder.absolute().parent
    while size is None and is_zarr(folder):
        size = from_attributes(read_node(folder).attributes)
        folder = folder.parent
    return size


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} does not hold a record")
    return content
