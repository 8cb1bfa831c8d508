"""Write OME-Zarr 0.5: an image of predictions with labels inside, voxel sizes and pyramids.

Source: https://ngff.openmicroscopy.org/0.5
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr

from pytc_auto.geometry import Box, Zyx, ZyxFloat, blocks, zyx

Array = npt.NDArray[Any]
Attributes = Mapping[str, object]
VERSION = "0.5"
SMALL = 256
BLOCK: Zyx = (128, 256, 256)


def create_image(
    path: Path, *, shape_czyx: Sequence[int], chunks: Sequence[int], dtype: Any, voxel_size_nm: ZyxFloat, attributes: Attributes
) -> zarr.Array:
    """An image group at ``path`` with one empty level, axes c, z, y, x.

    Args:
        path: Folder; it may exist and hold labels.
        shape_czyx: Of the level.
        chunks: Of the level.
        dtype: Of the level.
        voxel_size_nm: (z, y, x).
        attributes: Kept under the key ``pytc``.
    """
    group = zarr.open_group(path, mode="a", zarr_format=3)
    group.attrs.update({"ome": _metadata([voxel_size_nm], path.name, channels=True), "pytc": dict(attributes)})
    return group.create_array("0", shape=tuple(shape_czyx), chunks=tuple(chunks), dtype=dtype, dimension_names=["c", "z", "y", "x"])


def open_image_array(path: Path) -> zarr.Array:
    """The finest level of an image group, for reading and writing."""
    return zarr.open_array(path / "0", mode="r+")


def create_labels(
    path: Path, name: str, *, shape: Sequence[int], chunks: Sequence[int], dtype: Any, voxel_size_nm: ZyxFloat, attributes: Attributes
) -> zarr.Array:
    """A label image ``labels/NAME`` inside the image group at ``path``, axes z, y, x.

    Args:
        path: Folder of the image group.
        name: Of the labels.
        shape: (Z, Y, X).
        chunks: Of the finest level.
        dtype: Unsigned integer.
        voxel_size_nm: (z, y, x).
        attributes: Kept under the key ``pytc``.
    """
    group = zarr.open_group(path, mode="a", zarr_format=3)
    labels = group.require_group("labels")
    labels.attrs["ome"] = {"version": VERSION, "labels": [name]}
    image = labels.create_group(name, overwrite=True)
    ome = _metadata([voxel_size_nm], name, channels=False)
    image.attrs.update({"ome": {**ome, "image-label": {"source": {"image": "../../"}}}, "pytc": dict(attributes)})
    return image.create_array("0", shape=tuple(shape), chunks=tuple(chunks), dtype=dtype, dimension_names=["z", "y", "x"])


def add_pyramid(path: Path, *, kind: Literal["image", "labels"]) -> None:
    """Coarser levels until no axis is longer than 256 voxels; each halves the axes within twice the finest voxel size.

    Images are averaged; a label is that of the block's first voxel. Block by block, in bounded memory.

    Args:
        path: Image or label group with level 0.
        kind: What it holds.
    """
    group = zarr.open_group(path, mode="r+")
    ome = dict(group.attrs["ome"])
    scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    sizes: list[ZyxFloat] = [(scale[-3], scale[-2], scale[-1])]
    fine = group["0"]
    while max(fine.shape[-3:]) > SMALL:
        factor = zyx([2 if s < 2 * min(sizes[-1]) and n > 1 else 1 for s, n in zip(sizes[-1], fine.shape[-3:], strict=True)])
        fine = _level(group, fine, str(len(sizes)), factor, kind)
        sizes.append((sizes[-1][0] * factor[0], sizes[-1][1] * factor[1], sizes[-1][2] * factor[2]))
    ome.update(_metadata(sizes, ome["multiscales"][0]["name"], channels=len(fine.shape) == 4))
    group.attrs["ome"] = ome


def remove_image(path: Path) -> None:
    """Drop the levels and the metadata of an image group, keep its labels."""
    group = zarr.open_group(path, mode="r+")
    for name in [p.name for p in path.iterdir() if p.is_dir() and p.name.isdecimal()]:
        shutil.rmtree(path / name)
    group.attrs.pop("ome", None)


def _level(group: Any, fine: Any, name: str, factor: Zyx, kind: str) -> Any:
    """One coarser level."""
    lead = fine.shape[:-3]
    shape = zyx([-(-n // f) for n, f in zip(fine.shape[-3:], factor, strict=True)])
    chunks = (*fine.chunks[:-3], *(min(n, c) for n, c in zip(shape, fine.chunks[-3:], strict=True)))
    names = ["c", "z", "y", "x"][-fine.ndim :]
    if name in group:
        del group[name]
    coarse = group.create_array(name, shape=(*lead, *shape), chunks=chunks, dtype=fine.dtype, dimension_names=names)
    every = tuple(slice(None) for _ in lead)
    for box in blocks(Box.of_shape(shape), BLOCK):
        source = tuple(slice(a * f, min(b * f, n)) for a, b, f, n in zip(box.start, box.stop, factor, fine.shape[-3:], strict=True))
        coarse[(*every, *box.slices)] = _reduced(np.asarray(fine[(*every, *source)]), factor, kind)
    return coarse


def _reduced(values: Array, factor: Zyx, kind: str) -> Array:
    """Mean, or the first voxel of each block; the edge is repeated."""
    if kind == "labels":
        return values[(..., *(slice(None, None, f) for f in factor))]
    lead = values.ndim - 3
    missing = [(0, 0)] * lead + [(0, -n % f) for n, f in zip(values.shape[-3:], factor, strict=True)]
    padded = np.pad(values, missing, mode="edge")
    split = [*values.shape[:-3]] + [n for e, f in zip(padded.shape[-3:], factor, strict=True) for n in (e // f, f)]
    mean = padded.reshape(split).mean((lead + 1, lead + 3, lead + 5), dtype=np.float32)
    return np.rint(mean).astype(values.dtype) if np.issubdtype(values.dtype, np.integer) else mean.astype(values.dtype)


def _metadata(sizes: Sequence[ZyxFloat], name: str, *, channels: bool) -> dict[str, Any]:
    """The multiscales record."""
    axes: list[dict[str, str]] = [{"name": "c", "type": "channel"}] if channels else []
    axes += [{"name": n, "type": "space", "unit": "nanometer"} for n in "zyx"]
    lead = [1.0] if channels else []
    datasets = [
        {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": [*lead, *map(float, size)]}]}
        for level, size in enumerate(sizes)
    ]
    return {"version": VERSION, "multiscales": [{"name": name, "axes": axes, "datasets": datasets}]}
