"""F1 of the boundaries of classes, within a tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from pytc_auto.evaluation.contingency import Labels
from pytc_auto.evaluation.region import Voxels
from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx
from pytc_auto.targets.neighbors import paired

BoolArray = npt.NDArray[np.bool_]
FACES: tuple[Zyx, ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
VOXELS = 2
"""The tolerance that is taken where none is given, in voxels of the finest axis."""
SLACK = 1e-6
"""By this share, and by this many nm, a distance may be over the tolerance: sums of lengths are not exact."""


@dataclass(frozen=True)
class Boundary:
    """Boundary voxels of one class, counted; those of blocks that do not overlap add up.

    Attributes:
        found: Of the segmentation.
        found_near: Of these, how many lie within the tolerance of one of the truth.
        true: Of the truth.
        true_near: Of these, how many lie within the tolerance of one of the segmentation.
    """

    found: int = 0
    found_near: int = 0
    true: int = 0
    true_near: int = 0

    def __add__(self, other: Boundary) -> Boundary:
        """The voxels of both together."""
        return Boundary(
            self.found + other.found,
            self.found_near + other.found_near,
            self.true + other.true,
            self.true_near + other.true_near,
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of the shares that lie near; 0 where only one side has a boundary, 1 where neither has."""
        if not self.found or not self.true:
            return float(self.found == self.true)
        precision, recall = self.found_near / self.found, self.true_near / self.true
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclass(frozen=True)
class Tolerance:
    """How far apart two boundaries may be and still agree.

    Attributes:
        nm: From the center of one boundary voxel to that of another, in a straight line.
        voxel_size_nm: z, y, x.
    """

    nm: float
    voxel_size_nm: ZyxFloat

    @property
    def halo(self) -> Zyx:
        """How far around a block voxels change its counts: the tolerance, and the neighbor that makes a boundary."""
        return zyx([1 + math.floor(self.bound / s) for s in self.voxel_size_nm])

    @property
    def bound(self) -> float:
        """Shorter distances are near."""
        return self.nm * (1 + SLACK) + SLACK


def boundary_counts(voxels: Voxels, inner: Box, tolerance: Tolerance) -> dict[int, Boundary]:
    """Count the boundary voxels of each class.

    A boundary voxel of a class has the class, and a neighbor across one of its six faces has not. The faces of the volume are
    no boundary; a voxel that is ignored neither is boundary nor makes its neighbors so.

    Args:
        voxels: A block with its halo, as far as the region has one.
        inner: The block, from the first voxel of its halo.
        tolerance: How near counts.

    Returns:
        By raw value, for those that have a boundary in the block.

    Source:
        Csurka et al. 2013, BMVC, with the whole volume in place of an image.
    """
    found, true = (_contours(a, voxels.ignore_zyx, inner) for a in (voxels.segmentation_zyx, voxels.truth_zyx))
    values = sorted({int(v) for contours in (found, true) for v in np.unique(contours.values)})
    counts = {v: _counts(found.of(v), true.of(v), tolerance) for v in values}
    return {v: c for v, c in counts.items() if c.found or c.true}


@dataclass(frozen=True, eq=False)
class _Contours:
    """The boundary voxels of all classes.

    Attributes:
        at: (N, 3), z, y, x.
        values: (N,) raw values.
        counts: (N,) whether they lie in the block, not in its halo.
    """

    at: npt.NDArray[np.intp]
    values: Labels
    counts: BoolArray

    def of(self, value: int) -> _Contours:
        """Those of one class."""
        mine = self.values == value
        return _Contours(self.at[mine], self.values[mine], self.counts[mine])


def _contours(labels_zyx: Labels, ignore_zyx: BoolArray | None, inner: Box) -> _Contours:
    edges = _edges(labels_zyx, ignore_zyx)
    at = np.argwhere(edges)
    return _Contours(at, labels_zyx[edges], np.all((at >= inner.start) & (at < inner.stop), axis=1))


def _edges(labels_zyx: Labels, ignore_zyx: BoolArray | None) -> BoolArray:
    """Voxels with a neighbor of another value."""
    edges = np.zeros(labels_zyx.shape, np.bool_)
    for step in FACES:
        here, there = paired(labels_zyx.shape, step)
        pair = labels_zyx[here] != labels_zyx[there]
        if ignore_zyx is not None:
            pair &= ~(ignore_zyx[here] | ignore_zyx[there])
        edges[here] |= pair
        edges[there] |= pair
    return edges


def _counts(found: _Contours, true: _Contours, tolerance: Tolerance) -> Boundary:
    return Boundary(
        found=int(np.count_nonzero(found.counts)),
        found_near=_near(found, true, tolerance),
        true=int(np.count_nonzero(true.counts)),
        true_near=_near(true, found, tolerance),
    )


def _near(these: _Contours, those: _Contours, tolerance: Tolerance) -> int:
    """How many of these, in the block, lie within the tolerance of one of those."""
    here = these.at[these.counts] * np.array(tolerance.voxel_size_nm)
    if not len(here) or not len(those.at):
        return 0
    distance, _ = cKDTree(those.at * np.array(tolerance.voxel_size_nm)).query(here, distance_upper_bound=tolerance.bound)
    return int(np.count_nonzero(np.isfinite(distance)))
