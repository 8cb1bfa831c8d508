"""Gray values of the images: histogram, moments, padding, saturation, noise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pytc_auto.fingerprint.percentiles import Floats, weighted_percentiles
from pytc_auto.geometry import Box
from pytc_auto.io.volume import Array, Volume
from pytc_auto.schema.fingerprint import IntensityFacts

PERCENTILES = (0.5, 5, 25, 50, 75, 95, 99.5)
MOST_DRAWN = 2**22
"""Values kept of an image whose values are too many to be counted one by one."""
TILE = 8
LEAST_PADDING = 1e-3
"""Share of the voxels in constant tiles of one value from which on it may be padding."""
LEAST_ON_EDGES = 0.05
"""Share of the volume's edges in the plane that padding fills."""
NOISE_SIDE = 512
NOISE_TILE = 14
NOISE_SECTIONS = 4


@dataclass(frozen=True)
class NotFinite:
    """Voxels of an image that are NaN or infinite.

    Attributes:
        voxels: How many of those that were read.
        section: The first one with some, along the cutting axis, counted from 0.
        read: Voxels that were read.
    """

    voxels: int
    section: int
    read: int


@dataclass(frozen=True)
class GrayValues:
    """What is kept of an image.

    Attributes:
        dtype: Of the image.
        values: (N,) gray values: each possible one, or random ones where they cannot all be counted.
        counts: (N,) voxels that each of them stands for.
        mean: Of all finite voxels that were read; nan if there are none.
        std: The same.
        noise: (M, 2) noise of tiles in the plane, and their voxels.
        constant: Voxels in constant tiles, by value.
        voxels: That were read, finite or not.
        boxes: In how many boxes.
        not_finite: What of it is no number; None where all are.
    """

    dtype: np.dtype[np.generic]
    values: Floats
    counts: Floats
    mean: float
    std: float
    noise: Floats
    constant: dict[float, int]
    voxels: int
    boxes: int
    not_finite: NotFinite | None = None

    def count(self, value: float) -> float:
        """Voxels of one value, about."""
        return float(self.counts[self.values == value].sum())

    @property
    def padding_candidate(self) -> float | None:
        """The value that fills enough constant tiles to be padding, if it lies at the image's edges."""
        value, voxels = max(self.constant.items(), key=lambda item: item[1], default=(0.0, 0))
        return value if voxels >= LEAST_PADDING * self.voxels else None


@dataclass(frozen=True)
class Filled:
    """Voxels of one value that show nothing: of padding, or of a blank section."""

    value: float
    voxels: float


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
    moments = _Moments()
    constant: Counter[float] = Counter()
    noise, lost = [], np.zeros(image.shape[axis], np.int64)
    for box in walk(boxes):
        block = image.read(box)
        block = np.moveaxis(block.view(np.uint8) if block.dtype == np.bool_ else block, axis, 0)
        if block.dtype.kind == "f":
            lost[box.start[axis] : box.stop[axis]] += block[0].size - np.isfinite(block).sum(axis=(1, 2))
        kept.add(block)
        moments.add(block)
        constant.update(_constant_tiles(block))
        noise.append(_noise(block))
    values, counts = kept.table()
    read = sum(b.size for b in boxes)
    return GrayValues(
        dtype=image.dtype,
        values=values,
        counts=counts,
        mean=moments.mean,
        std=moments.std,
        noise=np.concatenate(noise),
        constant=dict(constant),
        voxels=read,
        boxes=len(boxes),
        not_finite=NotFinite(int(lost.sum()), int(np.flatnonzero(lost)[0]), read) if lost.any() else None,
    )


def find_padding(
    image: Volume, gray: GrayValues, axis: int, sections: Sequence[int], blank: Sequence[Filled] = ()
) -> Filled | None:
    """The constant value that fills a part of the image's edges in the plane.

    Args:
        image: To look at its edges.
        gray: Of the image.
        axis: The cutting axis.
        sections: Some that show something.
        blank: The sections that do not.
    """
    value = gray.padding_candidate
    if value is None or not sections:
        return None
    chosen = [sections[i] for i in np.linspace(0, len(sections) - 1, min(4, len(sections))).astype(int)]
    found = read = 0
    for section in chosen:
        for edge in _edges(image.box, axis, section):
            block = np.moveaxis(image.read(edge), axis, 0)
            found += _constant_tiles(block).get(value, 0)
            read += block.size
    if not read or found < LEAST_ON_EDGES * read:
        return None
    gone = sum(b.voxels for b in blank if b.value == value)
    tiles, voxels = gray.constant[value] - gone, gray.count(value) - gone
    return Filled(value, max(0.0, voxels if tiles >= 0.5 * voxels else tiles))


@dataclass(frozen=True)
class Image:
    """What is known of the gray values of one image.

    Attributes:
        gray: All that was read.
        padding: What of it is padding, if anything.
        blank: What of it are blank sections.
    """

    gray: GrayValues
    padding: Filled | None = None
    blank: Sequence[Filled] = ()

    @property
    def shown(self) -> tuple[Floats, Floats]:
        """The values that occur, and their counts, where the image shows something."""
        counts = self.gray.counts.copy()
        for filled in self._filled:
            counts[self.gray.values == filled.value] *= max(0.0, 1 - filled.voxels / max(1.0, self.gray.count(filled.value)))
        return self.gray.values[counts > 0], counts[counts > 0]

    @property
    def moments(self) -> tuple[float, float]:
        """Mean and variance where the image shows something."""
        known = float(self.gray.counts.sum())
        shares = [(f.value, f.voxels / known) for f in self._filled if f.voxels]
        left = 1 - sum(share for _, share in shares)
        if not shares or left <= 0:
            return self.gray.mean, self.gray.std**2
        mean = (self.gray.mean - sum(share * value for value, share in shares)) / left
        square = (self.gray.std**2 + self.gray.mean**2 - sum(share * value**2 for value, share in shares)) / left
        return mean, max(0.0, square - mean**2)

    @property
    def _filled(self) -> list[Filled]:
        """What shows nothing, by value."""
        total: dict[float, float] = {}
        for filled in (*self.blank, *([self.padding] if self.padding else [])):
            total[filled.value] = total.get(filled.value, 0.0) + filled.voxels
        return [Filled(value, voxels) for value, voxels in total.items()]


def intensity_facts(images: Sequence[Image], *, inverted: bool | None = None, voxels: int = 0) -> IntensityFacts | None:
    """Pool the images, each with as many voxels as were read of it. None if no value is finite.

    Args:
        images: At least one.
        inverted: Whether membranes are bright.
        voxels: Of all images, read or not; 0 if all were read.
    """
    tables = [i.shown for i in images]
    values, counts = (np.concatenate(columns) for columns in zip(*tables, strict=True))
    if not counts.sum():
        return None
    known = [(float(c.sum()), *i.moments) for (_, c), i in zip(tables, images, strict=True) if c.sum()]
    total = sum(w for w, _, _ in known)
    mean = sum(w * m for w, m, _ in known) / total
    square = sum(w * (v + (m - mean) ** 2) for w, m, v in known) / total
    read = sum(i.gray.voxels for i in images)
    padding = [i.padding for i in images if i.padding]
    noise = np.concatenate([i.gray.noise for i in images])
    ends = (values == values.min()) | (values == values.max())
    return IntensityFacts(
        histogram=_histogram(images),
        percentiles=weighted_percentiles(values, counts, PERCENTILES),
        mean=mean,
        std=math.sqrt(max(0.0, square)),
        padding_value=max(padding, key=lambda p: p.voxels).value if padding else None,
        padding_fraction=min(1.0, sum(p.voxels for p in padding) / read),
        saturated_fraction=min(1.0, float(counts[ends].sum() / counts.sum())),
        noise_std=weighted_percentiles(noise[:, 0], noise[:, 1], (50,))["p50"] if len(noise) else None,
        inverted=inverted,
        sampled_fraction=min(1.0, read / voxels) if voxels else 1.0,
        boxes=sum(i.gray.boxes for i in images),
    )


def _histogram(images: Sequence[Image]) -> list[int] | None:
    if any(i.gray.dtype != np.uint8 for i in images):
        return None
    return [int(n) for n in np.sum([i.gray.counts for i in images], axis=0)]


def _countable(dtype: np.dtype[np.generic]) -> bool:
    return dtype.kind in "biu" and dtype.itemsize <= 2


def _constant_tiles(block: Array) -> dict[float, int]:
    """Voxels of each value in tiles of 8 × 8 that hold nothing else, (S, A, B) sections."""
    a, b = (n // TILE * TILE for n in block.shape[1:])
    columns = block[:, :a, :b]
    shape = (len(block), a // TILE, TILE, b // TILE, TILE)
    lowest = np.minimum.reduce(np.minimum.reduce(columns.reshape(shape), axis=2), axis=3)
    highest = np.maximum.reduce(np.maximum.reduce(columns.reshape(shape), axis=2), axis=3)
    values, counts = np.unique(lowest[(lowest == highest) & np.isfinite(lowest)], return_counts=True)
    return {float(v): int(n) * TILE**2 for v, n in zip(values, counts, strict=True)}


def _edges(whole: Box, axis: int, section: int) -> list[Box]:
    """Strips along the four edges of a section, wide enough for tiles."""
    start, stop = list(whole.start), list(whole.stop)
    start[axis], stop[axis] = section, section + 1
    plane = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    found = []
    for across in (i for i in range(3) if i != axis):
        width = min(TILE, plane.shape[across])
        step = [0, 0, 0]
        step[across] = plane.shape[across] - width
        strip = [width if i == across else n for i, n in enumerate(plane.shape)]
        found += [Box.of_shape(strip, plane.start), Box.of_shape(strip, plane.start).shift(step)]
    return found


def _noise(block: Array) -> Floats:
    """Standard deviation of the noise in tiles of some sections of a block, and their voxels, (M, 2).

    The mean absolute response to the difference of two Laplacians, which is 0 on straight edges and ramps. What the texture adds
    is made small by the median over all tiles.

    Source:
        Immerkær 1996, Computer Vision and Image Understanding 64(2).
    """
    chosen = block[:: max(1, len(block) // NOISE_SECTIONS), :NOISE_SIDE, :NOISE_SIDE].astype(np.float32)
    if block.dtype.kind == "f":
        chosen[np.isinf(chosen)] = np.nan
    rows = chosen[:, :-2] - 2 * chosen[:, 1:-1] + chosen[:, 2:]
    response = np.abs(rows[:, :, :-2] - 2 * rows[:, :, 1:-1] + rows[:, :, 2:])
    a, b = (n // NOISE_TILE for n in response.shape[1:])
    if not a or not b:
        return np.zeros((0, 2))
    tiles = response[:, : a * NOISE_TILE, : b * NOISE_TILE].reshape(len(response), a, NOISE_TILE, b, NOISE_TILE)
    sigma = math.sqrt(math.pi / 2) / 6 * tiles.mean(axis=(2, 4)).ravel().astype(np.float64)
    sigma = sigma[np.isfinite(sigma) & (sigma > 0)]
    return np.stack([sigma, np.full(len(sigma), float(NOISE_TILE**2))], axis=1)


class _Moments:
    """Mean and deviation of what is added, block by block."""

    def __init__(self) -> None:
        self.count, self.center, self.sum, self.squares = 0, 0.0, 0.0, 0.0

    def add(self, block: Array) -> None:
        values = block.ravel()
        if values.dtype.kind == "f":
            values = values[np.isfinite(values)]
        if not values.size:
            return
        if not self.count:
            self.center = float(values[0])
        shifted = values.astype(np.float64)
        shifted -= self.center
        self.count += values.size
        self.sum += float(shifted.sum())
        self.squares += float(np.dot(shifted, shifted))

    @property
    def mean(self) -> float:
        return self.center + self.sum / self.count if self.count else math.nan

    @property
    def std(self) -> float:
        if not self.count:
            return math.nan
        return math.sqrt(max(0.0, self.squares / self.count - (self.sum / self.count) ** 2))


class _Counts:
    """How often each value of an 8 or 16 bit integer occurs."""

    def __init__(self, dtype: np.dtype[np.generic]) -> None:
        limits = np.iinfo(np.uint8 if dtype == np.bool_ else dtype.name)
        self.lowest = int(limits.min)
        self.counts = np.zeros(int(limits.max) - self.lowest + 1, np.int64)

    def add(self, block: Array) -> None:
        shifted = block.ravel().astype(np.intp)
        shifted -= self.lowest
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
