"""Smooth fields in nanometers: Gaussian interpolation between grids, and noise with a given correlation length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Zyx, ZyxFloat, zyx

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Grid:
    """Sample points on a regular grid: index i of an axis lies at ``origin_nm + i * voxel_size_nm``."""

    shape: Zyx
    voxel_size_nm: ZyxFloat
    origin_nm: ZyxFloat

    def positions_nm(self) -> list[npt.NDArray[np.float64]]:
        """Coordinates along z, y and x."""
        parts = zip(self.shape, self.voxel_size_nm, self.origin_nm, strict=True)
        return [start + step * np.arange(n, dtype=np.float64) for n, step, start in parts]

    def index(self, points_nm: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """The nearest grid point of each point, (N, 3); it may lie outside the grid."""
        return np.rint((points_nm - np.asarray(self.origin_nm)) / np.asarray(self.voxel_size_nm)).astype(np.int64)

    def inside(self, index_n3: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each index lies on the grid."""
        within: npt.NDArray[np.bool_] = np.all((index_n3 >= 0) & (index_n3 < np.asarray(self.shape)), axis=1)
        return within


def gaussian_matrix(targets_nm: npt.ArrayLike, sources_nm: npt.ArrayLike, sigma_nm: float) -> FloatArray:
    """Weights, (targets, sources), that take values at the sources to a Gaussian mean at each target."""
    offset = np.subtract.outer(np.asarray(targets_nm, np.float64), np.asarray(sources_nm, np.float64)) / sigma_nm
    weights = np.exp(-0.5 * np.square(offset))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def apply_matrices(values_zyx: npt.NDArray[np.generic], matrices: Sequence[FloatArray]) -> FloatArray:
    """Apply one matrix along each axis."""
    result = np.asarray(values_zyx, np.float32)
    for axis, matrix in enumerate(matrices):
        result = np.moveaxis(np.tensordot(matrix, result, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(result)


def resample(values_zyx: FloatArray, source: Grid, target: Grid, sigma_nm: float) -> FloatArray:
    """Values on one grid, smoothed, at the points of another."""
    axes = zip(target.positions_nm(), source.positions_nm(), strict=True)
    return apply_matrices(values_zyx, [gaussian_matrix(t, s, sigma_nm) for t, s in axes])


def smooth_noise(grid: Grid, correlation_nm: float, rng: np.random.Generator) -> FloatArray:
    """Gaussian noise of mean 0 and variance 1 that changes over about ``correlation_nm``.

    It is drawn in nanometers: grids that cover the same box get the same noise, whatever their voxel size.
    """
    matrices, counts = [], []
    for positions, step in zip(grid.positions_nm(), grid.voxel_size_nm, strict=True):
        low, high = positions[0] - step / 2, positions[-1] + step / 2
        count = int(np.ceil((high - low) / correlation_nm - 1e-6)) + 5
        sources = low + correlation_nm * (np.arange(count) - 2)
        matrix = gaussian_matrix(positions, sources, 0.7 * correlation_nm)
        matrices.append(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))
        counts.append(count)
    return apply_matrices(rng.standard_normal(zyx(counts), dtype=np.float32), matrices)
