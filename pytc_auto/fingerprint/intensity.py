"""Gray values of the images, of all voxels and section by section."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pytc_auto.fingerprint.percentiles import Floats, weighted_percentiles
from pytc_auto.geometry import Box
from pytc_auto.io.volume import Array, Volume
from pytc_auto.schema.fingerprint import IntensityFacts

PERCENTILES = (0.5, 5, 25, 50, 75, 95, 99.5)
MOST_DRAWN = 2**22
"""Values kept of an image whose values are too many to be counted one by one."""


@dataclass(frozen=True)
class GrayValues:
    """What is kept of an image.

    Attributes:
        dtype: Of the image.
        values: (N,) gray values: each possible one, or random ones where they cannot all be counted.
        counts: (N,) voxels that each of them stands for.
        section_voxels: (S,) finite voxels that were read of each section along the cutting axis.
        section_mean: (S,), nan where none was read.
        section_std: (S,), nan where none was read.
    """

    dtype: np.dtype[np.generic]
    values: Floats
    counts: Floats
    section_voxels: Floats
    section_mean: Floats
    section_std: Floats


def read_gray_values(
    image: Volume,
    boxes: Sequence[Box],
    axis: int,
    rng: np.random.Generator,
    *,
    walk: Callable[[Sequence[Box]], Iterable[Box]] = iter,
) -> GrayValues:
    """Read an image box by box.

    Args:
        image: Integers, floats or booleans; values that are not finite are left out.
        boxes: Where to read; they do not overlap.
        axis: The cutting axis.
        rng: Draws the values that are kept of an image that is not of 8 or 16 bit integers.
        walk: Gives the boxes one after another; it may tell how far the reading is.
    """
    kept = _Counts(image.dtype) if _countable(image.dtype) else _Draws(sum(b.size for b in boxes), rng)
    moments = np.zeros((3, image.shape[axis]))
    center = None
    for box in walk(boxes):
        block = _plain(image.read(box))
        kept.add(block)
        for section, values in _sections(block, box, axis):
            if not values.size:
                continue
            if center is None:
                center = float(values[0])
            shifted = values.astype(np.float64) - center
            moments[:, section] += values.size, shifted.sum(), float(np.dot(shifted, shifted))
    voxels = moments[0]
    with np.errstate(invalid="ignore"):
        mean = moments[1] / voxels
        std = np.sqrt(np.maximum(moments[2] / voxels - mean**2, 0))
    return GrayValues(image.dtype, *kept.table(), voxels, mean + (center or 0.0), std)


def intensity_facts(images: Sequence[GrayValues]) -> IntensityFacts | None:
    """Pool the images, each with as many voxels as were read of it. None if no value is finite."""
    voxels = np.concatenate([i.section_voxels for i in images])
    read = voxels > 0
    if not read.any():
        return None
    means = np.concatenate([i.section_mean for i in images])[read]
    stds = np.concatenate([i.section_std for i in images])[read]
    mean = float(np.average(means, weights=voxels[read]))
    variance = float(np.average(stds**2 + (means - mean) ** 2, weights=voxels[read]))
    values, counts = np.concatenate([i.values for i in images]), np.concatenate([i.counts for i in images])
    histogram = None
    if all(i.dtype == np.uint8 for i in images):
        histogram = np.sum([i.counts for i in images], axis=0).astype(np.int64).tolist()
    return IntensityFacts(
        histogram=histogram,
        percentiles=weighted_percentiles(values, counts, PERCENTILES),
        mean=mean,
        std=float(np.sqrt(variance)),
    )


def _countable(dtype: np.dtype[np.generic]) -> bool:
    return dtype.kind in "biu" and dtype.itemsize <= 2


def _plain(block: Array) -> Array:
    return block.view(np.uint8) if block.dtype == np.bool_ else block


def _sections(block: Array, box: Box, axis: int) -> Iterator[tuple[int, Array]]:
    """The finite values of each section of a block, flat."""
    for number, section in enumerate(np.moveaxis(block, axis, 0), start=box.start[axis]):
        values = section.ravel()
        yield number, values[np.isfinite(values)] if values.dtype.kind == "f" else values


class _Counts:
    """How often each value of an 8 or 16 bit integer occurs."""

    def __init__(self, dtype: np.dtype[np.generic]) -> None:
        limits = np.iinfo(np.uint8 if dtype == np.bool_ else dtype.name)
        self.lowest = int(limits.min)
        self.counts = np.zeros(int(limits.max) - self.lowest + 1, np.int64)

    def add(self, block: Array) -> None:
        shifted = block.ravel().astype(np.intp) - self.lowest
        self.counts += np.bincount(shifted, minlength=len(self.counts))

    def table(self) -> tuple[Floats, Floats]:
        return np.arange(len(self.counts), dtype=np.float64) + self.lowest, self.counts.astype(np.float64)


class _Draws:
    """Random values of the blocks, as many of each as its share of all voxels."""

    def __init__(self, total: int, rng: np.random.Generator) -> None:
        self.share = min(1.0, MOST_DRAWN / max(1, total))
        self.rng = rng
        self.drawn: list[Floats] = []
        self.voxels: list[Floats] = []

    def add(self, block: Array) -> None:
        values = block.ravel()
        if self.share < 1:
            values = values[self.rng.integers(0, values.size, max(1, round(values.size * self.share)))]
        weight = block.size / values.size
        values = values.astype(np.float64)
        values = values[np.isfinite(values)]
        self.drawn.append(values)
        self.voxels.append(np.full(values.size, weight))

    def table(self) -> tuple[Floats, Floats]:
        return np.concatenate(self.drawn), np.concatenate(self.voxels)
