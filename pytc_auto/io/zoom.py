"""A volume seen on a finer or coarser grid as PyTorch Connectomics v1 saw it: by scipy's zoom, which joins corner to corner.

The first and the last voxel of both grids lie on each other, so a step on one is (n - 1) / (m - 1) on the other. Images are cubic
splines, whose coefficients depend on all voxels, but on those that are far hardly: a halo is read around a box.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx
from pytc_auto.io.volume import Array, Volume

HALO = 14
"""Voxels beyond those between which a spline lies; a coefficient's share falls by a factor of 3.7 a voxel."""
TAPS = 2
DIGITS = 9
"""Of a factor; more are the rounding of its inverse."""


def zoomed_shape(shape: Zyx, zoom: ZyxFloat) -> Zyx:
    """Extents times factors, rounded as v1 did, at least 1."""
    return zyx([max(1, round(n * round(z, DIGITS))) for n, z in zip(shape, zoom, strict=True)])


def step(source: int, target: int) -> float:
    """Voxels of an axis of ``source`` voxels per voxel of the same axis with ``target`` voxels."""
    return (source - 1) / (target - 1) if source > 1 and target > 1 else 1.0


def nearest(source: int, target: int) -> npt.NDArray[np.intp]:
    """For each voxel of an axis of ``target`` voxels the nearest one of the same axis with ``source`` voxels."""
    places = np.floor(np.arange(target) * step(source, target) + 0.5).astype(np.intp)
    return np.minimum(places, source - 1)


class _Zoomed(Volume):
    """A volume on another grid of a shape."""

    def __init__(self, volume: Volume, shape: Zyx) -> None:
        self.volume = volume
        self.source = volume.source
        self.dtype = volume.dtype
        self.shape = shape
        self.voxel_size_nm = volume.voxel_size_nm
        self.offset_nm = volume.offset_nm
        self.random_access = volume.random_access


class ZoomedImage(_Zoomed):
    """An image on another grid: cubic splines, rounded to the stored dtype and cut off at its ends.

    Args:
        volume: What is zoomed.
        shape: Of the other grid, (z, y, x).
    """

    def _read(self, box: Box) -> Array:
        from scipy import ndimage

        if not box.size:
            return np.empty(box.shape, self.dtype)
        axes = list(zip(self.volume.shape, self.shape, box.start, box.stop, strict=True))
        steps = [step(n, m) for n, m, _, _ in axes]
        around = [_around(n, m, s, a, b) for (n, m, a, b), s in zip(axes, steps, strict=True)]
        read = Box(zyx([a for a, _ in around]), zyx([b for _, b in around]))
        coefficients = ndimage.spline_filter(self.volume.read(read), order=3, output=np.float64, mode="mirror")
        offset = [a * s - first for a, s, first in zip(box.start, steps, read.start, strict=True)]
        # With one factor an axis scipy takes the way of its zoom, and warns that it did something else before version 0.18.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            zoomed: Array = ndimage.affine_transform(
                coefficients, steps, offset, box.shape, output=self.dtype, order=3, mode="mirror", prefilter=False
            )
        return zoomed


class ZoomedLabels(_Zoomed):
    """Labels on another grid: those of the nearest voxel.

    Args:
        volume: Labels.
        index: For each voxel of the other grid, axis by axis, the one of the labels that it takes.
    """

    def __init__(self, volume: Volume, index: Sequence[npt.NDArray[np.intp]]) -> None:
        super().__init__(volume, zyx([len(positions) for positions in index]))
        self.index = list(index)

    def _read(self, box: Box) -> Array:
        if not box.size:
            return np.empty(box.shape, self.dtype)
        taken = [positions[part] for positions, part in zip(self.index, box.slices, strict=True)]
        start, stop = zyx([int(i[0]) for i in taken]), zyx([int(i[-1]) + 1 for i in taken])
        found = self.volume.read(Box(start, stop))
        return found[np.ix_(*(i - a for i, a in zip(taken, start, strict=True)))]


def _around(extent: int, zoomed: int, size: float, start: int, stop: int) -> tuple[int, int]:
    """The voxels that an axis of a box is made from."""
    if extent == zoomed:
        return start, stop
    low, high = int(start * size) - TAPS - HALO, int((stop - 1) * size) + 1 + TAPS + HALO
    return max(0, low), min(extent, high)
