"""A smooth random displacement: cubic B-splines through control points, so that it has no kinks and no fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.augment.place import Place
from pytc_auto.geometry import Zyx, ZyxFloat, zyx
from pytc_auto.schema.augmentation import Elastic

Float32 = npt.NDArray[np.float32]
MOST = 2.0
"""Control points are displaced by at most so many standard deviations."""


@dataclass(frozen=True)
class ElasticDraw:
    """Control points.

    Attributes:
        grid: Their distance in voxels, z, y, x.
        points_3kzyx: Displacement in voxels on z, y, x, (3, points on z, on y, on x); 0 along the cutting axis of flat data.
    """

    grid: ZyxFloat
    points_3kzyx: Float32


def draw_elastic(effect: Elastic, place: Place, rng: np.random.Generator) -> ElasticDraw | None:
    """Draw as many control points as the crop needs; None where the effect does not happen."""
    if rng.random() >= effect.probability:
        return None
    grid, sigma = place.voxels(effect.grid_nm), np.array(place.voxels(effect.displacement_nm))
    if place.flat:
        sigma[place.axis] = 0
    count = [int(np.ceil(n / g)) + 3 for n, g in zip(place.shape, grid, strict=True)]
    points = np.clip(rng.standard_normal((3, *count)), -MOST, MOST) * sigma[:, None, None, None]
    return ElasticDraw(grid, points.astype(np.float32))


def elastic_margin(draw: ElasticDraw) -> Zyx:
    """How many voxels more the source needs on either side of each axis: a spline stays within its control points."""
    return zyx([int(np.ceil(np.abs(points).max())) for points in draw.points_3kzyx])


def displacement(draw: ElasticDraw, axis: int, shape: Zyx) -> Float32:
    """Displacement on an axis of each voxel of a crop with the drawn extent or a larger one about the same middle, (Z, Y, X)."""
    z, y, x = (_spline(n, g, k) for n, g, k in zip(shape, draw.grid, draw.points_3kzyx.shape[1:], strict=True))
    found: Float32 = np.einsum("kji,zk->zji", draw.points_3kzyx[axis], z) @ x.T
    return np.matmul(y, found)


def _spline(extent: int, grid: float, points: int) -> Float32:
    """Weight of each control point at each voxel, (extent, points); beyond the last points it goes on as there."""
    at = (np.arange(extent) - (extent - 1) / 2) / grid + (points - 1) / 2
    away = np.abs(np.clip(at, 1, points - 2)[:, None] - np.arange(points)[None])
    near, far = 2 / 3 - away**2 + away**3 / 2, (2 - away) ** 3 / 6
    return np.where(away < 1, near, np.where(away < 2, far, 0)).astype(np.float32)
