"""How deep a voxel lies inside of its instance, or outside of all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat
from pytc_auto.targets.distance import Distances, distance_to_another
from pytc_auto.targets.neighbors import BoolArray

UNSEEN = 0.05
"""A value is known if what is not labeled can change it by this much at most."""


def signed_distance(
    labels_zyx: npt.NDArray[Any], unlabeled_zyx: BoolArray, voxel_size_nm: ZyxFloat, scale_nm: float
) -> Distances:
    """Give tanh(distance / scale), the distance to the nearest voxel of another label; negative in the background.

    A value is known where no unlabeled voxel is as near as the nearest other label, or where even the distance to the
    unlabeled voxel puts it within 0.05 of 1 or -1. The faces of the array are no borders.

    Args:
        labels_zyx: Instance ids, (Z, Y, X), 0 is background. Instances that touch have a border between them.
        unlabeled_zyx: (Z, Y, X).
        voxel_size_nm: z, y, x.
        scale_nm: The distance whose value is tanh(1) = 0.76.

    Returns:
        Values from -1 to 1, float32.

    Source:
        As target 6 of PyTorch Connectomics v1, but with borders between instances, and in nm.
    """
    nearest = distance_to_another(labels_zyx, unlabeled_zyx, voxel_size_nm)
    depth = np.tanh(nearest.values_zyx / np.float32(scale_nm))
    known = ~unlabeled_zyx & (nearest.known_zyx | (depth >= 1 - UNSEEN))
    return Distances(np.where(labels_zyx != 0, depth, -depth), known)
