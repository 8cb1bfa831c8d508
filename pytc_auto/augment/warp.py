"""Affine and elastic deformation, resampled once.

MONAI's Affined takes 25 ms for image and labels of 64³ voxels on one core, of which the nearest neighbor through a float
grid is 11; torch's grid_sample and a plain gather take 8 and 1, and the gather keeps ids that a float cannot hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.augment.affine import Matrix, affine_margin
from pytc_auto.augment.crop import Crop, Image
from pytc_auto.augment.elastic import ElasticDraw, displacement, elastic_margin
from pytc_auto.geometry import Zyx, zyx

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Warp:
    """A deformation about the middle of a crop; at least one of the two.

    Attributes:
        matrix: From ``draw_affine``.
        elastic: From ``draw_elastic``; it displaces what ``matrix`` gives.
    """

    matrix: Matrix | None
    elastic: ElasticDraw | None


def warp_margin(warp: Warp, shape: Zyx) -> Zyx:
    """How many voxels more than ``shape`` the source needs on either side of each axis."""
    turned = affine_margin(warp.matrix, shape) if warp.matrix is not None else (0, 0, 0)
    bent = elastic_margin(warp.elastic) if warp.elastic is not None else (0, 0, 0)
    return zyx([a + b for a, b in zip(turned, bent, strict=True)])


def apply_warp(crop: Crop, warp: Warp, shape: Zyx) -> Crop:
    """Resample about the middle of a crop: the image between voxels, the labels from the nearest voxel.

    Args:
        crop: The source. Beyond its rim the image is reflected and the labels are unlabeled.
        warp: What happens.
        shape: Of the result.
    """
    positions = [_positions(warp, extent, shape, axis) for axis, extent in enumerate(crop.shape)]
    flat, outside = _nearest(positions, crop.shape)
    labels = np.ascontiguousarray(crop.labels_zyx).reshape(-1).take(flat)
    unlabeled = np.ascontiguousarray(crop.unlabeled_zyx).reshape(-1).take(flat)
    image = _between(crop.image_zyx, positions)
    if outside is None:
        return Crop(image, labels, unlabeled)
    return Crop(image, np.where(outside, 0, labels).astype(labels.dtype), unlabeled | outside)


def _positions(warp: Warp, extent: int, shape: Zyx, axis: int) -> Float32:
    """Source position on one axis for each voxel of the result, (Z, Y, X) of ``shape``."""
    row = warp.matrix[axis] if warp.matrix is not None else np.eye(3)[axis]
    z, y, x = ((row[i] * (np.arange(n) - (n - 1) / 2)).astype(np.float32) for i, n in enumerate(shape))
    middle = np.float32((extent - 1) / 2)
    position: Float32 = ((z + middle)[:, None, None] + y[:, None]) + x
    if warp.elastic is not None and warp.elastic.points_3kzyx[axis].any():
        position += displacement(warp.elastic, axis, shape)
    return position


def _nearest(positions: list[Float32], source: Zyx) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_] | None]:
    """Flat index of the nearest source voxel, and where the position is outside the source; None: nowhere."""
    flat = np.zeros(positions[0].shape, np.int64)
    outside: npt.NDArray[np.bool_] | None = None
    for position, extent in zip(positions, source, strict=True):
        index = np.rint(position).astype(np.int32)
        if index.min() < 0 or index.max() >= extent:
            beyond = (index < 0) | (index >= extent)
            outside = beyond if outside is None else outside | beyond
            np.clip(index, 0, extent - 1, out=index)
        flat *= extent
        flat += index
    return flat, outside


def _between(image_zyx: npt.NDArray[Any], positions: list[Float32]) -> Image:
    """Trilinear values; torch's grid has its axes in the order x, y, z and runs from -1 to 1."""
    import torch

    grid = np.empty((*positions[0].shape, 3), np.float32)
    for axis, (position, extent) in enumerate(zip(positions, image_zyx.shape, strict=True)):
        np.multiply(position, np.float32(2 / max(extent - 1, 1)), out=grid[..., 2 - axis])
        grid[..., 2 - axis] -= np.float32(1)
    source = torch.from_numpy(np.ascontiguousarray(image_zyx))[None, None]
    result = torch.nn.functional.grid_sample(
        source, torch.from_numpy(grid)[None], mode="bilinear", padding_mode="reflection", align_corners=True
    )
    image: Image = result[0, 0].numpy()
    return image
