"""Which voxels are read: all of a small volume, seeded boxes of a large one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from pytc_auto.geometry import Box, Zyx, blocks, zyx

WHOLE_IMAGE_VOXELS = 2**28
WHOLE_LABEL_VOXELS = 2**27
SLAB_VOXELS = 2**23
"""Most voxels of an image that are in memory at once."""


def image_boxes(shape: Zyx, rng: np.random.Generator) -> list[Box]:
    """All of a small image, cut into slabs; of a large one 8 × 8 × 8 boxes of at most 64³ voxels.

    Boxes at the same place along an axis start at the same voxel, so sections are compared over the same places.
    """
    whole = Box.of_shape(shape)
    if whole.size <= WHOLE_IMAGE_VOXELS:
        return slabs(whole)
    return _grid(shape, parts=(8, 8, 8), side=(64, 64, 64), rng=rng)


def label_boxes(shape: Zyx, rng: np.random.Generator) -> list[Box]:
    """Small labels as one box; of large ones at most eight boxes of at most 256³ voxels."""
    whole = Box.of_shape(shape)
    if whole.size <= WHOLE_LABEL_VOXELS:
        return [whole]
    return _grid(shape, parts=[2 if n > 512 else 1 for n in shape], side=(256, 256, 256), rng=rng)


def label_columns(shape: Zyx, axis: int, rng: np.random.Generator) -> list[Box]:
    """Boxes that meet every section along an axis: all of small labels, of large ones 16 columns of 64² voxels."""
    whole = Box.of_shape(shape)
    if whole.size <= WHOLE_LABEL_VOXELS:
        return slabs(whole)
    parts = [1 if i == axis else 4 for i in range(3)]
    side = [shape[axis] if i == axis else 64 for i in range(3)]
    return [slab for column in _grid(shape, parts=parts, side=side, rng=rng) for slab in slabs(column)]


def slabs(region: Box) -> list[Box]:
    """A box cut into pieces of at most 8 Mi voxels: of whole sections along z where one fits."""
    _, y, x = region.shape
    columns = min(x, SLAB_VOXELS)
    rows = min(y, max(1, SLAB_VOXELS // columns))
    return list(blocks(region, (max(1, SLAB_VOXELS // (rows * columns)), rows, columns)))


def section_box(shape: Zyx, axis: int, section: int) -> Box:
    """One whole section along an axis."""
    start = [section if i == axis else 0 for i in range(3)]
    return Box(zyx(start), zyx([section + 1 if i == axis else n for i, n in enumerate(shape)]))


def _grid(shape: Zyx, *, parts: Sequence[int], side: Sequence[int], rng: np.random.Generator) -> list[Box]:
    """Boxes at every combination of the ranges drawn on each axis."""
    ranges = [_ranges(extent, part, length, rng) for extent, part, length in zip(shape, parts, side, strict=True)]
    return [Box(zyx([a for a, _ in place]), zyx([b for _, b in place])) for place in itertools.product(*ranges)]


def _ranges(extent: int, parts: int, length: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """A random range of at most ``length`` in each of ``parts`` equal parts of an axis."""
    edges = np.linspace(0, extent, min(parts, extent) + 1).astype(int).tolist()
    found = []
    for start, stop in itertools.pairwise(edges):
        size = min(length, stop - start)
        first = start + int(rng.integers(0, stop - start - size + 1))
        found.append((first, first + size))
    return found
