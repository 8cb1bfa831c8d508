"""Write OME-Zarr 0.5 (zarr version 3).

A result is one group: OUT is the image of the predictions (c, z, y, x), OUT/labels/NAME are its labels (z, y, x).
Level 0 is the finest. What only we write stands under the attribute ``pytc``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import ZstdCodec

from pytc_auto.errors import OutputError
from pytc_auto.geometry import Zyx, ZyxFloat

CHUNK: Zyx = (64, 64, 64)
"""Voxels of a chunk, for whoever has no reason to choose another."""

COMPRESSION = 1
"""Of zstd. Level 3 takes twice the time for predictions that are 5 % smaller, and for labels that are as large (docs/log.md)."""

_IMAGE_OF_LABELS = "../../"


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
    array = create_level(group, "0", shape=shape_czyx, chunks=chunks, dtype=dtype)
    metadata = {"version": "0.5", "multiscales": [multiscale(path.name, "czyx", [voxel_size_nm], translation_nm)]}
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
    array = create_level(group, "0", shape=shape, chunks=chunks, dtype=dtype)
    metadata = {
        "version": "0.5",
        "multiscales": [multiscale(name, "zyx", [voxel_size_nm], translation_nm)],
        "image-label": {"source": {"image": _IMAGE_OF_LABELS}},
    }
    group.attrs.update({"ome": metadata, "pytc": dict(attributes)})
    known = parent.attrs.asdict().get("ome", {}).get("labels", [])
    parent.attrs["ome"] = {"version": "0.5", "labels": sorted({*known, name})}
    return array


def replace_labels(path: Path, name: str, made: Path) -> None:
    """Put labels that were made in another group, MADE/labels/NAME on the same disk, into the place of PATH/labels/NAME.

    The old labels are moved aside at the last moment and then deleted. In a group that holds no image the new ones name none.
    """
    parent, old = _group(path / "labels"), made / "replaced"
    if "ome" not in _group(path).attrs:
        _name_no_image(_group(made / "labels" / name))
    shutil.rmtree(old, ignore_errors=True)
    if (path / "labels" / name).exists():
        (path / "labels" / name).rename(old)
    (made / "labels" / name).rename(path / "labels" / name)
    known = parent.attrs.asdict().get("ome", {}).get("labels", [])
    parent.attrs["ome"] = {"version": "0.5", "labels": sorted({*known, name})}
    shutil.rmtree(made)


def open_level(path: Path, level: int = 0, *, writable: bool = False) -> zarr.Array:
    """A level of an image or label group that is there.

    Raises:
        OutputError: It is not there.
    """
    try:
        return zarr.open_array(store=str(path / str(level)), mode="r+" if writable else "r")
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: has no level {level} ({error}). Make it again.") from error


def remove_image(path: Path) -> None:
    """Drop an image's voxels and their description from a group; its labels and the attribute ``pytc`` stay.

    What is left is a plain group around labels that name no image any more. May be repeated where it was broken off.
    """
    group = zarr.open_group(store=str(path), mode="r+")
    _change(group, {name: value for name, value in group.attrs.asdict().items() if name != "ome"})
    for name in group["labels"].attrs.asdict()["ome"]["labels"] if "labels" in group else ():
        _name_no_image(group[f"labels/{name}"])
    for level in path.iterdir():
        if level.name.partition(".")[0].isdecimal():
            shutil.rmtree(level, ignore_errors=True)


def _name_no_image(labels: zarr.Group) -> None:
    """Let labels stand alone."""
    attributes = labels.attrs.asdict()
    _change(labels, {**attributes, "ome": {**attributes["ome"], "image-label": {}}})


def _change(group: zarr.Group, attributes: dict[str, Any]) -> None:
    """Write a group's attributes if they are not what they were."""
    if group.attrs.asdict() != attributes:
        group.attrs.put(attributes)


def _group(path: Path) -> zarr.Group:
    """The group at a path, made if it is not there.

    Raises:
        OutputError: Something else is there, or it cannot be written.
    """
    try:
        return zarr.open_group(store=str(path), mode="a", zarr_format=3)
    except (OSError, ValueError, TypeError) as error:
        raise OutputError(f"{path}: cannot be written as OME-Zarr ({error}). Give another output folder.") from error


def create_level(
    group: zarr.Group,
    name: str,
    *,
    shape: Sequence[int],
    chunks: Sequence[int],
    dtype: Any,
) -> zarr.Array:
    """An empty level, (C, Z, Y, X) or (Z, Y, X), its chunks clipped to the shape.

    Raises:
        OutputError: It is there already.
    """
    if name in group:
        raise OutputError(f"{group.store_path}: has an image already. Remove the folder, or give another output folder.")
    return group.create_array(
        name,
        shape=tuple(shape),
        chunks=tuple(max(1, min(c, n)) for c, n in zip(chunks, shape, strict=True)),
        dtype=dtype,
        compressors=ZstdCodec(level=COMPRESSION),
        fill_value=0,
        dimension_names=list("czyx"[-len(shape) :]),
    )


def multiscale(name: str, axes: str, sizes: Sequence[ZyxFloat], translation_nm: ZyxFloat | None) -> dict[str, Any]:
    """OME's description of an image whose levels have these voxel sizes, finest first.

    A translation is that of a level's first center: that of a coarser level lies half of what its voxel is longer further on. Of
    the finest level it is left out where nobody knows it; it then is 0, as OME has it.
    """
    channels = len(axes) - 3
    kinds = [{"name": a, "type": "channel"} if a == "c" else {"name": a, "type": "space", "unit": "nanometer"} for a in axes]
    levels = []
    for number, size in enumerate(sizes):
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": [*[1.0] * channels, *map(float, size)]}]
        if translation_nm is not None or number:
            origin = translation_nm or (0.0, 0.0, 0.0)
            center = [t + (s - finest) / 2 for t, s, finest in zip(origin, size, sizes[0], strict=True)]
            steps.append({"type": "translation", "translation": [*[0.0] * channels, *center]})
        levels.append({"path": str(number), "coordinateTransformations": steps})
    return {"name": name, "axes": kinds, "datasets": levels}
