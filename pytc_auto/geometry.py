"""Boxes, blocks and cube symmetries in zyx voxels. No I/O."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Zyx = tuple[int, int, int]
ZyxFloat = tuple[float, float, float]
AXES = "zyx"
T = TypeVar("T")
DType = TypeVar("DType", bound=np.generic)


def zyx(values: Sequence[int]) -> Zyx:
    """Three integers as a plain tuple.

    Raises:
        ValueError: There are not three of them.
    """
    if len(values) != 3:
        raise ValueError(f"wanted three values in z, y, x order, got {list(values)}")
    return int(values[0]), int(values[1]), int(values[2])


@dataclass(frozen=True, order=True)
class Box:
    """A half-open region in voxels, absolute in its volume."""

    start: Zyx
    stop: Zyx

    def __post_init__(self) -> None:
        if any(b < a for a, b in zip(self.start, self.stop, strict=True)):
            raise ValueError(f"a box is half-open, every stop must be at least its start, got {self}")

    def __str__(self) -> str:
        return "[" + ", ".join(f"{a}:{b}" for a, b in zip(self.start, self.stop, strict=True)) + "]"

    @classmethod
    def of_shape(cls, shape: Sequence[int], start: Sequence[int] = (0, 0, 0)) -> Box:
        """The box of a shape, from ``start``."""
        return cls(zyx(start), zyx([a + n for a, n in zip(start, shape, strict=True)]))

    @property
    def shape(self) -> Zyx:
        """Voxels per axis."""
        return zyx([b - a for a, b in zip(self.start, self.stop, strict=True)])

    @property
    def size(self) -> int:
        """Voxels in all."""
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index for an array that ends in z, y, x."""
        z, y, x = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    def shift(self, offset: Sequence[int]) -> Box:
        """The same box moved by ``offset``."""
        return Box.of_shape(self.shape, [a + o for a, o in zip(self.start, offset, strict=True)])

    def relative_to(self, origin: Sequence[int]) -> Box:
        """The same box in coordinates that start at ``origin``."""
        return self.shift([-o for o in origin])

    def grow(self, margin: Sequence[int]) -> Box:
        """The box with ``margin`` voxels more on either side of each axis."""
        return Box(
            zyx([a - m for a, m in zip(self.start, margin, strict=True)]),
            zyx([b + m for b, m in zip(self.stop, margin, strict=True)]),
        )

    def intersect(self, other: Box) -> Box:
        """The common region; empty (size 0) where there is none."""
        start = [max(a, b) for a, b in zip(self.start, other.start, strict=True)]
        stop = [min(a, b) for a, b in zip(self.stop, other.stop, strict=True)]
        return Box(zyx(start), zyx([max(a, b) for a, b in zip(start, stop, strict=True)]))

    def contains(self, other: Box) -> bool:
        """Whether the other box lies inside this one."""
        return self.intersect(other) == other


def blocks(region: Box, block: Zyx) -> Iterator[Box]:
    """Cut a region into blocks, z slowest; the last on each axis may be smaller."""
    ranges = [range(a, b, n) for a, b, n in zip(region.start, region.stop, block, strict=True)]
    for start in itertools.product(*ranges):
        yield Box.of_shape(block, start).intersect(region)


def whole_chunks(block: Zyx, chunk: Zyx) -> Zyx:
    """A block of as many whole chunks as fit into this one, at least one: two such blocks have no chunk in common.

    >>> whole_chunks((150, 64, 20), (64, 64, 64))
    (128, 64, 64)
    """
    return zyx([max(1, n // c) * c for n, c in zip(block, chunk, strict=True)])


def patch_starts(extent: int, patch: int, step: int) -> list[int]:
    """Where patches start along one axis, from 0, the last moved inward.

    An extent shorter than the patch has one patch at 0, which the reader pads.
    """
    if extent <= patch:
        return [0]
    return [*range(0, extent - patch, step), extent - patch]


def patch_grid(shape: Zyx, patch: Zyx, overlap: float) -> list[Box]:
    """The patches that cover a volume: one grid anchored at its origin.

    Args:
        shape: Extent of the volume.
        patch: Extent of a patch; it may be larger than the volume.
        overlap: Share of a patch that it has in common with the next, 0 ≤ overlap < 1.
    """
    steps = [max(1, round(n * (1 - overlap))) for n in patch]
    starts = [patch_starts(e, n, s) for e, n, s in zip(shape, patch, steps, strict=True)]
    return [Box.of_shape(patch, start) for start in itertools.product(*starts)]


SECTIONS_FROM = 1.5
"""From this anisotropy on, a volume is a stack of sections: what happens to one, or is measured in it, ends with it."""
FLAT_FROM = 3.0
"""From this anisotropy on, nothing is tilted or bent along the cutting axis."""


def cutting_axis(voxel_size_nm: Sequence[float]) -> int:
    """Index of the coarsest axis, z on ties."""
    return int(np.argmax(voxel_size_nm))


def anisotropy(voxel_size_nm: Sequence[float]) -> float:
    """Coarsest voxel size over the geometric mean of the other two."""
    cut = cutting_axis(voxel_size_nm)
    rest = [s for i, s in enumerate(voxel_size_nm) if i != cut]
    return float(voxel_size_nm[cut] / math.sqrt(rest[0] * rest[1]))


@dataclass(frozen=True)
class Symmetry:
    """One of the cube's 48: axes are permuted, then some are flipped.

    Axis i of the result is axis ``axes[i]`` of the input, reversed where ``flips[i]``.
    """

    axes: Zyx = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    def apply(self, array: npt.NDArray[DType]) -> npt.NDArray[DType]:
        """Transform an array that ends in z, y, x. Gives a view."""
        lead = array.ndim - 3
        moved = array.transpose(*range(lead), *(lead + a for a in self.axes))
        return np.flip(moved, tuple(lead + i for i, f in enumerate(self.flips) if f))

    @property
    def inverse(self) -> Symmetry:
        """The symmetry that undoes this one."""
        back = zyx([self.axes.index(i) for i in range(3)])
        return Symmetry(back, (self.flips[back[0]], self.flips[back[1]], self.flips[back[2]]))

    def offset(self, offset: Sequence[int]) -> Zyx:
        """Where a step in the input points in the result."""
        return zyx([-offset[a] if f else offset[a] for a, f in zip(self.axes, self.flips, strict=True)])

    def permute(self, values: Sequence[T]) -> tuple[T, T, T]:
        """A value for each axis, in the order of the result's axes."""
        return values[self.axes[0]], values[self.axes[1]], values[self.axes[2]]


ALL_SYMMETRIES = tuple(
    Symmetry(zyx(axes), (bool(flips[0]), bool(flips[1]), bool(flips[2])))
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
)


def symmetry_group(
    voxel_size_nm: Sequence[float],
    patch: Zyx,
    *,
    per_axis: Sequence[Zyx] = (),
    offsets: Sequence[Zyx] = (),
) -> tuple[Symmetry, ...]:
    """The symmetries that map voxel size, patch, strides and offsets onto themselves.

    Args:
        voxel_size_nm: Equal within 5 % counts as equal; from an anisotropy of 1.5 the cutting axis is never exchanged.
        patch: What the network sees at once.
        per_axis: More triples that must not change, such as strides and kernels of each stage.
        offsets: A set of steps; a step and its reverse count as the same.

    Returns:
        The group, the identity first.
    """
    known = {zyx(o) for o in offsets} | {zyx([-i for i in o]) for o in offsets}
    triples = [patch, *per_axis]

    def fits(symmetry: Symmetry) -> bool:
        sizes = symmetry.permute(voxel_size_nm)
        return (
            all(abs(a - b) <= 0.05 * max(a, b) for a, b in zip(sizes, voxel_size_nm, strict=True))
            and all(symmetry.permute(t) == tuple(t) for t in triples)
            and all(symmetry.offset(o) in known for o in offsets)
        )

    return tuple(s for s in ALL_SYMMETRIES if fits(s))
