"""The contour of each object."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat
from pytc_auto.targets.neighbors import BoolArray, near_another, steps_within


def boundary_from_labels(labels_zyx: npt.NDArray[Any], voxel_size_nm: ZyxFloat, width_nm: float) -> BoolArray:
    """Tell which voxels lie on the contour of an object, half of its width on either side.

    A voxel is boundary if a voxel with a different label (another id, or background where this one is an object, or the
    reverse) lies within ``width_nm / 2`` of it, center to center; the voxels on either side of a border always are.
    From an anisotropy of 1.5 on, each section has its own contours.

    Args:
        labels_zyx: Instance ids, (Z, Y, X), 0 is background.
        voxel_size_nm: z, y, x.
        width_nm: Of the whole contour, across.
    """
    return near_another(labels_zyx, _steps(voxel_size_nm, width_nm), background=True)


def boundary_mask(unlabeled_zyx: BoolArray, voxel_size_nm: ZyxFloat, width_nm: float) -> BoolArray:
    """Tell where the boundary is known: at labeled voxels that have no unlabeled one within its half width."""
    if not unlabeled_zyx.any():
        return np.ones(unlabeled_zyx.shape, np.bool_)
    return ~(unlabeled_zyx | near_another(unlabeled_zyx, _steps(voxel_size_nm, width_nm), background=True))


def _steps(voxel_size_nm: ZyxFloat, width_nm: float) -> list[tuple[int, int, int]]:
    """At least the single steps, even for a width of 0."""
    return steps_within(voxel_size_nm, max(width_nm / 2, 1e-3 * min(voxel_size_nm)))
