"""Write OME-Zarr 0.5 (zarr version 3).

A result is one group: OUT is the image of the predictions (c, z, y, x), OUT/labels/NAME are its labels (z, y, x).
Level 0 is the finest. What only we write stands under the attribute ``pytc``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import ZstdCodec

from pytc_auto.errors import OutputError
from pytc_auto.geometry import Box, Zyx, ZyxFloat, blocks, whole_chunks, zyx
from pytc_auto.io.scale import Kind, coarse_shape, coarse_voxel_size, coarsen, fine_box

CHUNK: Zyx = (64, 64, 64)
"""Voxels of a chunk, for whoever has no reason to choose another."""

_COARSEST = 256
_BLOCK: Zyx = (128, 128, 128)


def create_image(  # noqa: PLR0913
    path: Path,
    *,
    shape_czyx: Sequence[int],
    chunks: Sequence[int],
    dtype: Any,
    voxel_size_nm: ZyxFloat,
    translation_nm: ZyxFloat | None = None,
    attributes: Mapping[str, Any],
) -> zarr.Array:
    """Make an image group with an empty finest level; labels that are there stay.

    Args:
        path: The group; it may be there already.
        shape_czyx: (C, Z, Y, X).
        chunks: (C, Z, Y, X); clipped to the shape.
        dtype: Of the voxels.
        voxel_size_nm: (z, y, x).
        translation_nm: (z, y, x), where the first voxel's center lies; None leaves it out.
        attributes: Kept under ``pytc``.

    Returns:
        Level 0, filled with 0, to be written to.

    Raises:
        OutputError: The group has an image already, or cannot be written.
    """
    group = _group(path)
    array = _create_level(group, "0", shape=shape_czyx, chunks=chunks, dtype=dtype)
    metadata = {"version": "0.5", "multiscales": [_multiscale(path.name, "czyx", [voxel_size_nm], translation_nm)]}
    group.attrs.update({"ome": metadata, "pytc": dict(attributes)})
    return array


def create_labels(  # noqa: PLR0913
    path: Path,
    name: str,
    *,
    shape: Zyx,
    chunks: Zyx,
    dtype: Any,
    voxel_size_nm: ZyxFloat,
    translation_nm: ZyxFloat | None = None,
    attributes: Mapping[str, Any],
) -> zarr.Array:
    """Make PATH/labels/NAME with an empty finest level.

    Args:
        path: The group the labels belong to; made if it is not there.
        name: Of the labels.
        shape: (Z, Y, X).
        chunks: (Z, Y, X); clipped to the shape.
        dtype: Of integers.
        voxel_size_nm: (z, y, x).
        translation_nm: (z, y, x), where the first voxel's center lies; None leaves it out.
        attributes: Kept under ``pytc``.

    Returns:
        Level 0, filled with 0, to be written to.

    Raises:
        OutputError: These labels are there already, or cannot be written.
    """
    _group(path)
    parent = _group(path / "labels")
    group = _group(path / "labels" / name)
    array = _create_level(group, "0", shape=shape, chunks=chunks, dtype=dtype)
    metadata = {"version": "0.5", "multiscales": [_multiscale(name, "zyx", [voxel_size_nm], translation_nm)], "image-label": {}}
    group.attrs.update({"ome": metadata, "pytc": dict(attributes)})
    known = parent.attrs.asdict().get("ome", {}).get("labels", [])
    parent.attrs["ome"] = {"version": "0.5", "labels": sorted({*known, name})}
    return array


def open_level(path: Path, level: int = 0, *, writable: bool = False) -> zarr.Array:
    """A level of an image or label group that is there.

    Raises:
        OutputError: It is not there.
    """
    try:
        return zarr.open_array(store=str(path / str(level)), mode="r+" if writable else "r")
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: has no level {level} ({error}). Make it again.") from error


def add_pyramid(group_path: Path, *, kind: Kind) -> None:
    """Make the coarser levels of an image or of labels, block by block, and note them in the metadata.

    Each level halves the axes that are less than twice as coarse as the finest, until no axis has more than 256 voxels. What
    a coarse voxel is stands at ``scale.coarsen``. Coarser levels that are there are made anew.

    Args:
        group_path: The image or label group; its level 0 is complete.
        kind: Of the voxels.
    """
    group = zarr.open_group(store=str(group_path), mode="r+")
    metadata = group.attrs.asdict()["ome"]
    described = metadata["multiscales"][0]
    axes = "".join(axis["name"] for axis in described["axes"])
    sizes = [_nanometers(described["datasets"][0])]
    fine = open_level(group_path)
    while max(fine.shape[-3:]) > _COARSEST:
        factor = _halving(zyx(fine.shape[-3:]), sizes[-1])
        shape = (*fine.shape[:-3], *coarse_shape(fine.shape[-3:], factor))
        coarse = _create_level(group, str(len(sizes)), shape=shape, chunks=fine.chunks, dtype=fine.dtype, overwrite=True)
        _fill(coarse, fine, factor, kind)
        sizes.append(coarse_voxel_size(sizes[-1], factor))
        fine = coarse
    described = _multiscale(described["name"], axes, sizes, _translation(described["datasets"][0]))
    group.attrs["ome"] = {**metadata, "multiscales": [described]}


def remove_image(path: Path) -> None:
    """Drop an image's voxels and their description from a group; its labels and the attribute ``pytc`` stay."""
    group = zarr.open_group(store=str(path), mode="r+")
    metadata = group.attrs.asdict().get("ome", {})
    group.attrs["ome"] = {k: v for k, v in metadata.items() if k != "multiscales"}
    for described in metadata.get("multiscales", []):
        for level in described["datasets"]:
            del group[level["path"]]


def _group(path: Path) -> zarr.Group:
    """The group at a path, made if it is not there.

    Raises:
        OutputError: Something else is there, or it cannot be written.
    """
    try:
        return zarr.open_group(store=str(path), mode="a", zarr_format=3)
    except (OSError, ValueError, TypeError) as error:
        raise OutputError(f"{path}: cannot be written as OME-Zarr ({error}). Give another output folder.") from error


def _create_level(
    group: zarr.Group,
    name: str,
    *,
    shape: Sequence[int],
    chunks: Sequence[int],
    dtype: Any,
    overwrite: bool = False,
) -> zarr.Array:
    """An empty level, (C, Z, Y, X) or (Z, Y, X).

    Raises:
        OutputError: It is there already.
    """
    if name in group and not overwrite:
        raise OutputError(f"{group.store_path}: has an image already. Remove the folder, or give another output folder.")
    return group.create_array(
        name,
        shape=tuple(shape),
        chunks=tuple(max(1, min(c, n)) for c, n in zip(chunks, shape, strict=True)),
        dtype=dtype,
        compressors=ZstdCodec(level=3),
        fill_value=0,
        dimension_names=list("czyx"[-len(shape) :]),
        overwrite=overwrite,
    )


def _multiscale(name: str, axes: str, sizes: Sequence[ZyxFloat], translation_nm: ZyxFloat | None) -> dict[str, Any]:
    """OME's description of an image whose levels have these voxel sizes.

    A translation is that of a level's first center: that of a coarser level lies half of what its voxel is longer further on.
    """
    channels = len(axes) - 3
    kinds = [{"name": a, "type": "channel"} if a == "c" else {"name": a, "type": "space", "unit": "nanometer"} for a in axes]
    levels = []
    for number, size in enumerate(sizes):
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": [*[1.0] * channels, *map(float, size)]}]
        if translation_nm is not None:
            center = [t + (s - finest) / 2 for t, s, finest in zip(translation_nm, size, sizes[0], strict=True)]
            steps.append({"type": "translation", "translation": [*[0.0] * channels, *center]})
        levels.append({"path": str(number), "coordinateTransformations": steps})
    return {"name": name, "axes": kinds, "datasets": levels}


def _nanometers(level: Mapping[str, Any]) -> ZyxFloat:
    """Voxel size of a level that was written here."""
    z, y, x = level["coordinateTransformations"][0]["scale"][-3:]
    return z, y, x


def _translation(level: Mapping[str, Any]) -> ZyxFloat | None:
    """Where a level that was written here starts, if it tells."""
    for step in level["coordinateTransformations"][1:]:
        z, y, x = step["translation"][-3:]
        return z, y, x
    return None


def _halving(shape: Zyx, voxel_size_nm: ZyxFloat) -> Zyx:
    """2 on the axes that the next level halves; an axis of one voxel is left alone."""
    finest = min(s for s, n in zip(voxel_size_nm, shape, strict=True) if n > 1)
    return zyx([2 if n > 1 and s < 2 * finest else 1 for s, n in zip(voxel_size_nm, shape, strict=True)])


def _fill(coarse: zarr.Array, fine: zarr.Array, factor: Zyx, kind: Kind) -> None:
    """Write a level from the next finer one, in blocks of whole chunks."""
    block = whole_chunks(_BLOCK, zyx(coarse.chunks[-3:]))
    for channel in itertools.product(*(range(n) for n in coarse.shape[:-3])):
        for box in blocks(Box.of_shape(coarse.shape[-3:]), block):
            source = fine[(*channel, *fine_box(box, factor, zyx(fine.shape[-3:])).slices)]
            coarse[(*channel, *box.slices)] = coarsen(source, factor, kind=kind)
