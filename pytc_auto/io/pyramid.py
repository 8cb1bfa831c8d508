"""The coarser levels of an OME-Zarr image or of its labels, made block by block.

A level is listed in the metadata, and has its name, only when it is whole: a pyramid that is broken off is a shorter one.
"""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr

from pytc_auto.geometry import Box, Zyx, ZyxFloat, blocks, whole_chunks, zyx
from pytc_auto.io.ome_zarr import create_level, multiscale, open_level
from pytc_auto.io.remote import tensorstore
from pytc_auto.io.scale import Kind, coarse_shape, coarse_voxel_size, fine_box
from pytc_auto.io.volume import Array
from pytc_auto.progress import Progress, silent, walked

_COARSEST = 256
_BLOCK: Zyx = (128, 128, 128)
_PARTIAL = "part"


def add_pyramid(group_path: Path, *, kind: Kind, levels: int | None = None, progress: Progress = silent) -> int:
    """Make the coarser levels of an image or of labels, block by block, and note each in the metadata when it is whole.

    Each level halves the axes that are less than twice as coarse as the finest, until no axis has more than 256 voxels.
    Memory depends on the block alone. Coarser levels that are listed already are kept: who changes the finest level makes the
    group anew.

    Args:
        group_path: The image or label group; its level 0 is complete.
        kind: Of the voxels. See ``pooled``.
        levels: How many there shall be with the finest, whatever their extents; OME-Zarr wants an image and its labels to have
            equally many.
        progress: Told the voxels that are read of each level.

    Returns:
        How many levels there are.
    """
    group = zarr.open_group(store=str(group_path), mode="r+")
    described = group.attrs.asdict()["ome"]["multiscales"][0]
    sizes = [_nanometers(level) for level in described["datasets"]]
    fine = open_level(group_path, len(sizes) - 1)
    while max(fine.shape[-3:]) > _COARSEST if levels is None else len(sizes) < levels:
        factor = _halving(zyx(fine.shape[-3:]), sizes[-1])
        coarse = _unnamed_level(group, group_path, len(sizes), fine, factor)
        _fill(coarse, fine, factor, kind, progress)
        fine = _named_level(group_path, len(sizes))
        sizes.append(coarse_voxel_size(sizes[-1], factor))
        _note(group, described, sizes)
    return len(sizes)


def pooled(array_zyx: Array, factor: Zyx, *, kind: Kind) -> Array:
    """A coarser level of a pyramid.

    Args:
        array_zyx: (Z, Y, X), from the first voxel of a coarse voxel on; the last coarse voxel may be incomplete.
        factor: Voxels per coarse voxel on each axis.
        kind: A coarse voxel of an image is the mean of its voxels, rounded to even if the dtype is of integers. A coarse voxel of
            labels has the label that occurs most in it. Of two that occur equally often it is the first voxel's, else the lower:
            neither background nor segments grow from level to level.

    Returns:
        Shape over factor, rounded up, in the same dtype.
    """
    if kind == "image":
        return _downsampled(array_zyx, factor, "mean")
    lowest = _downsampled(array_zyx, factor, "mode")
    highest = ~_downsampled(~array_zyx, factor, "mode")
    first = array_zyx[tuple(slice(None, None, f) for f in factor)]
    return np.where(first == highest, highest, lowest)


def _downsampled(array_zyx: Array, factor: Zyx, method: Literal["mean", "mode"]) -> Array:
    """By tensorstore; of values that occur equally often the mode is the lowest."""
    library = tensorstore()
    coarse: Array = library.downsample(library.array(array_zyx), list(factor), method).read(order="C").result()
    return coarse


def _unnamed_level(group: zarr.Group, path: Path, number: int, fine: zarr.Array, factor: Zyx) -> zarr.Array:
    """The next level, empty, under another name."""
    name = f"{number}.{_PARTIAL}"
    for left_over in (name, str(number)):
        shutil.rmtree(path / left_over, ignore_errors=True)
    shape = (*fine.shape[:-3], *coarse_shape(fine.shape[-3:], factor))
    return create_level(group, name, shape=shape, chunks=fine.chunks, dtype=fine.dtype)


def _named_level(path: Path, number: int) -> zarr.Array:
    """The level under its name, now that it is whole."""
    (path / f"{number}.{_PARTIAL}").rename(path / str(number))
    return open_level(path, number)


def _fill(coarse: zarr.Array, fine: zarr.Array, factor: Zyx, kind: Kind, progress: Progress) -> None:
    """Write a level from the next finer one, in blocks of whole chunks."""
    block = whole_chunks(_BLOCK, zyx(coarse.chunks[-3:]))
    boxes = list(blocks(Box.of_shape(coarse.shape[-3:]), block))
    channels = list(itertools.product(*(range(n) for n in coarse.shape[:-3])))
    for channel in channels:
        for box in walked(f"coarsening to {' x '.join(map(str, coarse.shape))}", progress, boxes):
            source = fine[(*channel, *fine_box(box, factor, zyx(fine.shape[-3:])).slices)]
            coarse[(*channel, *box.slices)] = pooled(source, factor, kind=kind)


def _halving(shape: Zyx, voxel_size_nm: ZyxFloat) -> Zyx:
    """2 on the axes that the next level halves; an axis of one voxel is left alone."""
    finest = min((s for s, n in zip(voxel_size_nm, shape, strict=True) if n > 1), default=math.inf)
    return zyx([2 if n > 1 and s < 2 * finest else 1 for s, n in zip(voxel_size_nm, shape, strict=True)])


def _note(group: zarr.Group, described: Mapping[str, Any], sizes: list[ZyxFloat]) -> None:
    """List the levels in the metadata."""
    axes = "".join(axis["name"] for axis in described["axes"])
    listed = multiscale(described["name"], axes, sizes, _translation(described["datasets"][0]))
    group.attrs["ome"] = {**group.attrs.asdict()["ome"], "multiscales": [listed]}


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
