"""Where classes occur, in coarse blocks: a small table instead of lists of coordinates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.data.folds import Region
from pytc_auto.data.volumes import LabelledVolume
from pytc_auto.geometry import Box, Zyx, ZyxFloat, blocks, zyx
from pytc_auto.schema.plan import ClassLabels, InstanceLabels
from pytc_auto.targets.labels import class_indices, unlabeled_in

BLOCK_VOXELS = 16
"""Edge of a block in the plane; along a coarser axis as many voxels as are as long."""
BLOCKS_AT_ONCE = 8
"""Blocks along each axis that are read together when the table is built."""

ReadClasses = Callable[[npt.NDArray[Any], npt.NDArray[np.bool_]], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Occupancy:
    """Which blocks of some regions hold a voxel of which class.

    Attributes:
        volumes: The regions belong to them.
        regions: Where to look.
        block: Shape of a block; blocks start at the region's start.
        classes: Classes that occur anywhere, without class 0.
        tables: For each region (C, Z, Y, X) over its blocks, bool; row c tells of class ``classes[c]``.
        read_classes: Raw labels and unlabeled mask to class indices; 0 where unlabeled.
    """

    volumes: Sequence[LabelledVolume]
    regions: Sequence[Region]
    block: Zyx
    classes: tuple[int, ...]
    tables: tuple[npt.NDArray[np.bool_], ...]
    read_classes: ReadClasses

    def draw_voxel(self, rng: np.random.Generator) -> tuple[Region, Zyx] | None:
        """Draw a class, a block that holds it and a voxel of it, each uniformly; None where no class occurs.

        Returns:
            A region, and a voxel in its volume.
        """
        if not self.classes:
            return None
        row = int(rng.integers(len(self.classes)))
        counts = np.cumsum([int(table[row].sum()) for table in self.tables])
        chosen = int(rng.integers(counts[-1]))
        number = int(np.searchsorted(counts, chosen, side="right"))
        table = self.tables[number][row]
        position = np.flatnonzero(table)[chosen - (int(counts[number - 1]) if number else 0)]
        start = [i * b for i, b in zip(np.unravel_index(position, table.shape), self.block, strict=True)]
        region = self.regions[number]
        box = Box.of_shape(self.block, start).shift(region.box.start).intersect(region.box)
        hits = np.flatnonzero(self._classes_in(region, box) == self.classes[row])
        voxel = np.unravel_index(hits[int(rng.integers(len(hits)))], box.shape)
        return region, zyx([a + int(v) for a, v in zip(box.start, voxel, strict=True)])

    def _classes_in(self, region: Region, box: Box) -> npt.NDArray[np.uint8]:
        return _read(self.volumes[region.volume], region, box, self.read_classes)


def occupancy(
    volumes: Sequence[LabelledVolume],
    regions: Sequence[Region],
    labels: InstanceLabels | ClassLabels,
    voxel_size_nm: ZyxFloat,
) -> Occupancy:
    """Read the labels of all regions once, piece by piece, and note which block holds what.

    Args:
        volumes: The regions belong to them.
        regions: Where to look; nothing outside is read.
        labels: For classes, all but the first declared one count; for instances, all that is not background is class 1.
        voxel_size_nm: Of the working grid.

    Raises:
        DataError: A value that no class has.
    """
    block = block_shape(voxel_size_nm)
    read_classes, count = _class_reader(labels)
    tables = [_table(volumes[r.volume], r, block, count, read_classes) for r in regions]
    present = tuple(c for c in range(1, count) if any(bool(table[c - 1].any()) for table in tables))
    rows = [c - 1 for c in present]
    return Occupancy(volumes, regions, block, present, tuple(table[rows] for table in tables), read_classes)


def block_shape(voxel_size_nm: ZyxFloat) -> Zyx:
    """Voxels of a block, about as long on each axis in nanometers."""
    finest = min(voxel_size_nm)
    return zyx([max(1, round(BLOCK_VOXELS * finest / s)) for s in voxel_size_nm])


def _class_reader(labels: InstanceLabels | ClassLabels) -> tuple[ReadClasses, int]:
    """How raw labels become class indices, and how many classes there are."""
    if isinstance(labels, ClassLabels):
        return _Classes(labels), len(labels.values)
    return _Foreground(labels), 2


@dataclass(frozen=True)
class _Classes:
    labels: ClassLabels

    def __call__(self, raw_zyx: npt.NDArray[Any], unlabeled_zyx: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        return class_indices(raw_zyx, self.labels, unlabeled_zyx).index_zyx


@dataclass(frozen=True)
class _Foreground:
    labels: InstanceLabels

    def __call__(self, raw_zyx: npt.NDArray[Any], unlabeled_zyx: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        away = unlabeled_in(raw_zyx, [0, *self.labels.background, *self.labels.unlabeled], unlabeled_zyx)
        return (~away).view(np.uint8)


def _read(volume: LabelledVolume, region: Region, box: Box, read_classes: ReadClasses) -> npt.NDArray[np.uint8]:
    found = volume.read_labels(box, within=region.box)
    return read_classes(found.labels_zyx, found.unlabeled_zyx)


def _table(volume: LabelledVolume, region: Region, block: Zyx, count: int, read_classes: ReadClasses) -> npt.NDArray[np.bool_]:
    """(C - 1, Z, Y, X) over the blocks of a region: does the block hold class 1, 2, …?"""
    shape = [-(-n // b) for n, b in zip(region.box.shape, block, strict=True)]
    table = np.zeros((count - 1, *shape), np.bool_)
    for box in _pieces(region.box, block):
        classes = _read(volume, region, box, read_classes)
        first = [(a - o) // b for a, o, b in zip(box.start, region.box.start, block, strict=True)]
        index = Box.of_shape([-(-n // b) for n, b in zip(box.shape, block, strict=True)], first).slices
        for value in range(1, count):
            table[value - 1][index] = _any_per_block(classes == value, block)
    return table


def _pieces(box: Box, block: Zyx) -> Iterator[Box]:
    """Cut a region into boxes of several blocks each."""
    return blocks(box, zyx([b * BLOCKS_AT_ONCE for b in block]))


def _any_per_block(hit_zyx: npt.NDArray[np.bool_], block: Zyx) -> npt.NDArray[np.bool_]:
    """Reduce each block to one value; the last on each axis may be smaller."""
    for axis, (extent, size) in enumerate(zip(hit_zyx.shape, block, strict=True)):
        hit_zyx = np.logical_or.reduceat(hit_zyx, np.arange(0, extent, size), axis=axis)
    return hit_zyx
