"""F1 of the boundaries of classes, within a tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import edt
import numpy as np
import numpy.typing as npt

from pytc_auto.evaluation.contingency import Labels
from pytc_auto.evaluation.region import Voxels
from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx
from pytc_auto.targets.neighbors import paired

BoolArray = npt.NDArray[np.bool_]
FACES: tuple[Zyx, ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
VOXELS = 2
"""The tolerance that is taken where none is given, in voxels of the finest axis."""
SLACK = 1e-4
"""Distances are of 32 bits; by this share a distance may be over the tolerance."""


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
        return zyx([1 + math.floor(self.nm * (1 + SLACK) / s) for s in self.voxel_size_nm])


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
    truth, found = voxels.truth_zyx, voxels.segmentation_zyx
    edges = _edges(found, voxels.ignore_zyx), _edges(truth, voxels.ignore_zyx)
    values = {int(v) for labels, edge in zip((found, truth), edges, strict=True) for v in np.unique(labels[edge])}
    counts = {v: _counts(edges[0] & (found == v), edges[1] & (truth == v), inner, tolerance) for v in sorted(values)}
    return {v: c for v, c in counts.items() if c.found or c.true}


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


def _counts(found: BoolArray, true: BoolArray, inner: Box, tolerance: Tolerance) -> Boundary:
    mine, theirs = found[inner.slices], true[inner.slices]
    return Boundary(
        found=int(np.count_nonzero(mine)),
        found_near=int(np.count_nonzero(mine & _near(true, tolerance)[inner.slices])) if mine.any() else 0,
        true=int(np.count_nonzero(theirs)),
        true_near=int(np.count_nonzero(theirs & _near(found, tolerance)[inner.slices])) if theirs.any() else 0,
    )


def _near(boundary: BoolArray, tolerance: Tolerance) -> BoolArray:
    """Voxels within the tolerance of a boundary voxel."""
    if not boundary.any():
        return boundary
    distance = edt.edt(~boundary, anisotropy=tolerance.voxel_size_nm, black_border=False)
    return np.asarray(distance <= tolerance.nm * (1 + SLACK), np.bool_)
