"""A gap between objects that touch, so that affinities made from them can be thresholded."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat
from pytc_auto.targets.neighbors import near_another, steps_within

Id = TypeVar("Id", bound=np.integer)


def erode_borders(labels_zyx: npt.NDArray[Id], voxel_size_nm: ZyxFloat, erode_nm: float) -> npt.NDArray[Id]:
    """Set voxels near another object to background.

    A voxel becomes 0 if a voxel of another id (not 0) lies within ``erode_nm`` of it, center to center. A border with
    background stays as it is. Objects that touch lose at least one voxel each, whatever ``erode_nm`` is, unless it is 0.
    From an anisotropy of 1.5 on, each section is eroded by itself. Voxels outside the array count as background.

    Args:
        labels_zyx: Instance ids, (Z, Y, X), 0 is background.
        voxel_size_nm: z, y, x.
        erode_nm: 0 leaves the labels as they are.

    Returns:
        (Z, Y, X), the dtype of the input.
    """
    steps = steps_within(voxel_size_nm, erode_nm)
    if not steps:
        return labels_zyx.copy()
    return labels_zyx * ~near_another(labels_zyx, steps, background=False)
