"""Rotation and scaling in nanometers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytc_auto.augment.place import Place
from pytc_auto.geometry import Zyx, zyx
from pytc_auto.schema.augmentation import Affine

Matrix = npt.NDArray[np.float64]


def draw_affine(effect: Affine, place: Place, rng: np.random.Generator) -> Matrix | None:
    """Draw a rotation about each axis and one scale.

    Returns:
        (3, 3): where a step of the result, in voxels, points in the source. None where the effect does not happen.
    """
    if rng.random() >= effect.probability:
        return None
    angles = [np.deg2rad(rng.uniform(-most, most)) for most in effect.rotation_degrees]
    return affine_matrix(angles, 1 + rng.uniform(-effect.scale, effect.scale), place)


def affine_matrix(angles: npt.ArrayLike, scale: float, place: Place) -> Matrix:
    """Turn about z, then y, then x, and enlarge by ``scale``, in nanometers.

    The matrix is given in voxels: S⁻¹ · R · S with the voxel size on the diagonal of S, so that nothing is sheared.

    Args:
        angles: About z, y, x, in radians.
        scale: Above 1, things look larger. In sections only the plane is scaled: their distance is that of the knife.
        place: Has the voxel size.

    Returns:
        (3, 3): where a step of the result, in voxels, points in the source.
    """
    size = np.asarray(place.voxel_size_nm, np.float64)
    zoom = np.full(3, 1 / scale)
    if place.sectioned:
        zoom[place.axis] = 1.0
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
