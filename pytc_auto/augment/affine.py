"""Rotation and scaling in nanometers.

MONAI's Affined takes 25 ms for image and labels of 64³ voxels on one core, of which the nearest neighbor through a float
grid is 11; torch's grid_sample and a plain gather take 8 and 1, and the gather keeps ids that a float cannot hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.augment.crop import Crop, Image
from pytc_auto.geometry import Zyx, ZyxFloat, anisotropy, cutting_axis, zyx
from pytc_auto.schema.plan import Affine

Matrix = npt.NDArray[np.float64]
SECTIONS_FROM = 1.5
"""From this anisotropy on, only the plane is scaled: the distance of sections is that of the knife."""


def draw_affine(effect: Affine, voxel_size_nm: ZyxFloat, rng: np.random.Generator) -> Matrix | None:
    """Draw a rotation about each axis and one scale.

    Returns:
        (3, 3): where a step of the result, in voxels, points in the source. None where the effect does not happen.
    """
    if rng.random() >= effect.probability:
        return None
    angles = [np.deg2rad(rng.uniform(-most, most)) for most in effect.rotation_degrees]
    scale = 1 + rng.uniform(-effect.scale, effect.scale)
    return affine_matrix(angles, scale, voxel_size_nm)


def affine_matrix(angles: npt.ArrayLike, scale: float, voxel_size_nm: ZyxFloat) -> Matrix:
    """Turn about z, then y, then x, and enlarge by ``scale``, in nanometers.

    The matrix is given in voxels: S⁻¹ · R · S with the voxel size on the diagonal of S, so that nothing is sheared.

    Args:
        angles: About z, y, x, in radians.
        scale: Above 1, things look larger. From an anisotropy of 1.5 on, in the plane only.
        voxel_size_nm: z, y, x.

    Returns:
        (3, 3): where a step of the result, in voxels, points in the source.
    """
    size = np.asarray(voxel_size_nm, np.float64)
    zoom = np.full(3, 1 / scale)
    if anisotropy(voxel_size_nm) >= SECTIONS_FROM:
        zoom[cutting_axis(voxel_size_nm)] = 1.0
    rotation = np.eye(3)
    for axis, angle in enumerate(np.asarray(angles, np.float64)):
        rotation = rotation @ _rotation(axis, float(angle))
    matrix: Matrix = (rotation * zoom) * size[None, :] / size[:, None]
    return matrix


def _rotation(axis: int, angle: float) -> Matrix:
    """Turn in the plane of the other two axes."""
    i, j = (k for k in range(3) if k != axis)
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix


def affine_margin(matrix: Matrix, shape: Zyx) -> Zyx:
    """How many voxels more than ``shape`` the source needs on either side of each axis."""
    half = (np.asarray(shape) - 1) / 2
    reach = np.abs(matrix) @ half
    return zyx([max(0, int(np.ceil(r - h - 1e-9))) for r, h in zip(reach, half, strict=True)])


def apply_affine(crop: Crop, matrix: Matrix, shape: Zyx) -> Crop:
    """Resample about the middle of a crop: the image between voxels, the labels from the nearest voxel.

    Args:
        crop: The source. Beyond its rim the image is reflected and the labels are unlabeled.
        matrix: From ``draw_affine``.
        shape: Of the result.
    """
    flat, outside = _nearest(matrix, crop.shape, shape)
    labels = np.ascontiguousarray(crop.labels_zyx).reshape(-1).take(flat)
    unlabeled = np.ascontiguousarray(crop.unlabeled_zyx).reshape(-1).take(flat)
    return Crop(_between(crop.image_zyx, matrix, shape), np.where(outside, 0, labels).astype(labels.dtype), unlabeled | outside)


def _positions(matrix: Matrix, extent: int, shape: Zyx, axis: int) -> npt.NDArray[np.float32]:
    """Source position on one axis for each voxel of the result, (Z, Y, X) of ``shape``."""
    z, y, x = ((matrix[axis, i] * (np.arange(n) - (n - 1) / 2)).astype(np.float32) for i, n in enumerate(shape))
    middle = np.float32((extent - 1) / 2)
    position: npt.NDArray[np.float32] = ((z + middle)[:, None, None] + y[:, None]) + x
    return position


def _nearest(matrix: Matrix, source: Zyx, shape: Zyx) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Flat index of the nearest source voxel, and whether the position is outside the source."""
    flat = np.zeros(shape, np.int64)
    outside = np.zeros(shape, np.bool_)
    for axis, extent in enumerate(source):
        index = np.rint(_positions(matrix, extent, shape, axis)).astype(np.int32)
        if index.min() < 0 or index.max() >= extent:
            outside |= (index < 0) | (index >= extent)
            np.clip(index, 0, extent - 1, out=index)
        flat *= extent
        flat += index
    return flat, outside


def _between(image_zyx: npt.NDArray[Any], matrix: Matrix, shape: Zyx) -> Image:
    """Trilinear values; torch's grid has its axes in the order x, y, z and runs from -1 to 1."""
    import torch

    grid = np.empty((*shape, 3), np.float32)
    for axis, extent in enumerate(image_zyx.shape):
        position = _positions(matrix, extent, shape, axis)
        position *= np.float32(2 / max(extent - 1, 1))
        np.subtract(position, np.float32(1), out=grid[..., 2 - axis])
    source = torch.from_numpy(np.ascontiguousarray(image_zyx))[None, None]
    result = torch.nn.functional.grid_sample(
        source, torch.from_numpy(grid)[None], mode="bilinear", padding_mode="reflection", align_corners=True
    )
    image: Image = result[0, 0].numpy()
    return image
