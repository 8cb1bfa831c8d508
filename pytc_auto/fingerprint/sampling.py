"""Which voxels are read: all of a small volume, seeded boxes of a large one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytc_auto.geometry import Box, Zyx, blocks, zyx
from pytc_auto.io.volume import Volume

WHOLE_IMAGE_VOXELS = 2**28
IMAGE_VOXELS = 2**27
IMAGE_BOX_VOXELS = 2**18
WHOLE_LABEL_VOXELS = 2**28
LABEL_VOXELS = 2**27
LABEL_BOX_VOXELS = 2**24
"""Most voxels of labels that are in memory at once."""
CENSUS_VOXELS = 2**29
"""Labels of so many voxels are passed over whole."""
COLUMNS = 16
COLUMN_VOXELS = 2**12
SECTION_VOXELS = 2**28
MOST_SECTIONS = 4096
RUNS = 16
"""Of more sections, so many runs of consecutive ones are looked at."""
WINDOW_VOXELS = 2**18
SMALL_WINDOW_VOXELS = 2**14
LEAST_WINDOWS = 4
DECODED_VOXELS = 2**30
"""Most voxels that are decoded for a sample; large chunks allow fewer boxes."""
MOST_CELLS = 2**16
"""Of more chunks only some are considered at all."""
SLAB_VOXELS = 2**22
"""Voxels of an image that are in memory at once."""
MOST_CHUNK = 4
"""Chunks that hold more times that are read in parts."""


@dataclass(frozen=True)
class Windows:
    """Where sections are compared.

    Attributes:
        axis: Along which the sections lie.
        runs: Half-open ranges of consecutive sections.
        windows: Boxes one section thick at section 0, that do not overlap.
    """

    axis: int
    runs: list[tuple[int, int]]
    windows: list[Box]

    @property
    def sections(self) -> list[int]:
        """All sections that are looked at, in order."""
        return [s for start, stop in self.runs for s in range(start, stop)]

    def box(self, window: Box, start: int, stop: int) -> Box:
        """A window in a range of sections."""
        first, last = list(window.start), list(window.stop)
        first[self.axis], last[self.axis] = start, stop
        return Box(zyx(first), zyx(last))


def image_boxes(image: Volume, rng: np.random.Generator, *, full: bool = False) -> list[Box]:
    """All of a small image, cut into slabs; of a large one seeded boxes of 64³ voxels, or as many."""
    if full or image.box.size <= WHOLE_IMAGE_VOXELS:
        return tiles(image, SLAB_VOXELS)
    each = min(IMAGE_BOX_VOXELS, max(4096, IMAGE_VOXELS // 512))
    return sampled_boxes(image.shape, image.chunks, rng, each=each, total=IMAGE_VOXELS)


def label_boxes(labels: Volume, rng: np.random.Generator, *, full: bool = False) -> list[Box]:
    """Small labels in boxes of at most 16 Mi voxels, of large ones eight such boxes."""
    size = labels.box.size
    if full or size <= WHOLE_LABEL_VOXELS:
        return list(blocks(labels.box, _even(labels.shape, box_shape(labels.shape, LABEL_BOX_VOXELS))))
    each = min(LABEL_BOX_VOXELS, max(2**15, LABEL_VOXELS // 8))
    return sampled_boxes(labels.shape, labels.chunks, rng, each=each, total=LABEL_VOXELS)


def census_blocks(labels: Volume) -> list[Box]:
    """All of the labels, in blocks of at most 16 Mi voxels; z slowest."""
    return tiles(labels, LABEL_BOX_VOXELS)


def can_be_counted(voxels: int) -> bool:
    """Whether there is time to pass over so many voxels of labels."""
    return voxels <= CENSUS_VOXELS


def label_columns(labels: Volume, axis: int, rng: np.random.Generator, *, full: bool = False) -> list[Box]:
    """Boxes that meet every section along an axis: all of small labels, of large ones 16 columns of 64² voxels."""
    if full or labels.box.size <= WHOLE_LABEL_VOXELS:
        return tiles(labels, SLAB_VOXELS)
    plane = zyx([1 if i == axis else n for i, n in enumerate(labels.shape)])
    chunks = labels.chunks and zyx([1 if i == axis else n for i, n in enumerate(labels.chunks)])
    columns = sampled_boxes(plane, chunks, rng, each=COLUMN_VOXELS, total=COLUMNS * COLUMN_VOXELS)
    windows = Windows(axis, [(0, labels.shape[axis])], columns)
    return [slab for column in columns for slab in slabs(windows.box(column, 0, labels.shape[axis]))]


def section_windows(volume: Volume, axis: int, rng: np.random.Generator, *, full: bool = False) -> Windows:
    """Windows in the plane that are looked at in every section: the whole plane where that is not too much."""
    sections = volume.shape[axis]
    runs = [(0, sections)]
    if sections > MOST_SECTIONS and not full:
        edges = np.linspace(0, sections, RUNS + 1).astype(int).tolist()
        runs = [(a, a + MOST_SECTIONS // RUNS) for a in edges[:-1]]
    total = SECTION_VOXELS // max(1, sum(b - a for a, b in runs))
    each = min(WINDOW_VOXELS, max(SMALL_WINDOW_VOXELS, total // LEAST_WINDOWS))
    plane = zyx([1 if i == axis else n for i, n in enumerate(volume.shape)])
    if math.prod(plane) <= total:
        return Windows(axis, runs, list(blocks(Box.of_shape(plane), _even(plane, box_shape(plane, each)))))
    chunks = volume.chunks and zyx([1 if i == axis else n for i, n in enumerate(volume.chunks)])
    return Windows(axis, runs, sampled_boxes(plane, chunks, rng, each=each, total=max(total, each)))


def sampled_boxes(shape: Zyx, chunks: Zyx | None, rng: np.random.Generator, *, each: int, total: int) -> list[Box]:
    """Boxes that do not overlap, evenly spread over a volume; each lies in as few chunks as possible.

    Args:
        shape: Of the volume.
        chunks: In which it is stored.
        rng: Chooses the boxes.
        each: Voxels of a box, at most.
        total: Voxels of all boxes, about; fewer where the chunks around them would be too much to decode.
    """
    whole = Box.of_shape(shape)
    side = box_shape(shape, each)
    box = math.prod(side)
    if chunks is None:
        return _spread(whole, side, max(1, round(total / box)), rng)
    cell = zyx([_cell(n, s, c) for n, s, c in zip(shape, side, chunks, strict=True)])
    cells = (
        list(blocks(whole, cell)) if math.prod(shape) < MOST_CELLS * math.prod(cell) else _spread(whole, cell, MOST_CELLS, rng)
    )
    side = zyx([min(s, c) for s, c in zip(side, cell, strict=True)])
    count = max(1, min(len(cells), round(total / math.prod(side)), DECODED_VOXELS // math.prod(cell)))
    chosen = [cells[i] for i in _strata(len(cells), count, rng)]
    share = total / sum(c.size for c in chosen)
    return [inside for c in chosen for inside in _spread(c, side, _times(share * c.size, side, c), rng)]


def _cell(extent: int, side: int, chunk: int) -> int:
    """A chunk, or as many as a box spans, so that an axis is cut nearly evenly."""
    chunks = -(-extent // chunk)
    cells = -(-chunks // max(1, side // chunk))
    return min(extent, -(-chunks // cells) * chunk)


def _times(voxels: float, side: Zyx, cell: Box) -> int:
    """How many boxes of a cell have so many voxels; at the volume's end a cell may be thinner than a box."""
    return max(1, round(voxels / math.prod(min(s, n) for s, n in zip(side, cell.shape, strict=True))))


def _spread(region: Box, side: Zyx, count: int, rng: np.random.Generator) -> list[Box]:
    """At most so many boxes in different parts of a region, z slowest."""
    parts = [max(1, n // s) for n, s in zip(region.shape, side, strict=True)]
    places = _strata(math.prod(parts), min(count, math.prod(parts)), rng)
    found = []
    for index in np.stack(np.unravel_index(places, parts), axis=1).tolist():
        start, stop = [], []
        for i, first, n, p, s in zip(index, region.start, region.shape, parts, side, strict=True):
            low, high = n * i // p, n * (i + 1) // p
            start.append(first + low + int(rng.integers(0, max(0, high - low - s) + 1)))
            stop.append(min(start[-1] + s, first + high))
        found.append(Box(zyx(start), zyx(stop)))
    return found


def _strata(things: int, count: int, rng: np.random.Generator) -> list[int]:
    """So many of the numbers below ``things``, one of each equal part."""
    edges = np.arange(count + 1) * things // count
    return [int(i) for i in rng.integers(edges[:-1], edges[1:])]


def box_shape(shape: Sequence[int], voxels: int) -> Zyx:
    """The most cubic box of at most so many voxels that fits into a volume."""
    side = [0, 0, 0]
    left = float(voxels)
    for rank, axis in enumerate(np.argsort(shape, kind="stable").tolist()):
        side[axis] = max(1, min(shape[axis], int(left ** (1 / (3 - rank)) + 1e-9)))
        left /= side[axis]
    return zyx(side)


def tiles(volume: Volume, voxels: int) -> list[Box]:
    """A volume cut into blocks of about so many voxels, of whole chunks unless these are far larger; z slowest."""
    if volume.chunks is None:
        return slabs(volume.box, voxels)
    side = [min(c, n) for c, n in zip(volume.chunks, volume.shape, strict=True)]
    if math.prod(side) > MOST_CHUNK * voxels:
        return list(blocks(volume.box, box_shape(volume.shape, voxels)))
    while True:
        grown = [[s + c if i == axis else s for i, s in enumerate(side)] for axis, c in enumerate(volume.chunks)]
        fits = [g for i, g in enumerate(grown) if side[i] < volume.shape[i] and math.prod(g) <= voxels]
        if not fits:
            return list(blocks(volume.box, zyx(side)))
        side = min(fits, key=lambda g: max(g) - min(g))


def slabs(region: Box, voxels: int = SLAB_VOXELS) -> list[Box]:
    """A box cut into pieces of at most so many voxels: of whole sections along z where one fits."""
    _, y, x = region.shape
    columns = min(x, voxels)
    rows = min(y, max(1, voxels // columns))
    return list(blocks(region, (max(1, voxels // (rows * columns)), rows, columns)))


def section_box(shape: Zyx, axis: int, section: int) -> Box:
    """One whole section along an axis."""
    start = [section if i == axis else 0 for i in range(3)]
    return Box(zyx(start), zyx([section + 1 if i == axis else n for i, n in enumerate(shape)]))


def cut_runs(start: int, stop: int, length: int) -> list[tuple[int, int]]:
    """A range cut at multiples of a length."""
    edges = sorted({start, *range(-(-start // length) * length, stop, length), stop})
    return list(itertools.pairwise(edges))


def _even(shape: Sequence[int], side: Sequence[int]) -> Zyx:
    """A block that cuts each axis into nearly equal parts of at most ``side``."""
    return zyx([-(-n // -(-n // s)) for n, s in zip(shape, side, strict=True)])
