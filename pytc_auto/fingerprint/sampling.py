"""Which voxels are looked at: all of them where a volume is small, seeded boxes otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.io.volume import Volume

WHOLE_VOXELS = 256_000_000
BOXES = 64
BOX_VOXELS = 4_000_000


def sampled_boxes(volume: Volume, rng: np.random.Generator) -> list[Box]:
    """One box of the whole volume, or a number of random boxes of a few million voxels each."""
    if volume.box.size <= WHOLE_VOXELS:
        return [volume.box]
    side = round(BOX_VOXELS ** (1 / 3))
    shape = _box_shape(volume.shape, side)
    return [
        Box.of_shape(shape, [int(rng.integers(0, e - n + 1)) for e, n in zip(volume.shape, shape, strict=True)])
        for _ in range(BOXES)
    ]


def _box_shape(extent: Zyx, side: int) -> Zyx:
    """A cube, flattened where the volume is thin."""
    shape = [min(e, side) for e in extent]
    room = BOX_VOXELS / math.prod(shape)
    free = [i for i in range(3) if shape[i] < extent[i]]
    for i in free:
        shape[i] = min(extent[i], int(shape[i] * room ** (1 / len(free))))
    return zyx(shape)


def sections(volume: Volume, axis: int) -> Iterator[tuple[int, Box]]:
    """The sections of a volume along an axis."""
    for number in range(volume.shape[axis]):
        start = [number if i == axis else 0 for i in range(3)]
        stop = [number + 1 if i == axis else volume.shape[i] for i in range(3)]
        yield number, Box(zyx(start), zyx(stop))
