"""How far it is to the nearest voxel of another label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import edt
import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat
from pytc_auto.targets.neighbors import BoolArray

Float32 = npt.NDArray[np.float32]
EQUAL = 1e-4
"""Two distances that differ by less than this share are the same; edt computes in single precision."""


@dataclass(frozen=True)
class Distances:
    """A distance, or what is made of it, for each voxel.

    Attributes:
        values_zyx: (Z, Y, X), float32.
        known_zyx: (Z, Y, X), bool. False where voxels that nobody labeled could change the value.
    """

    values_zyx: Float32
    known_zyx: BoolArray


def distance_to_another(labels_zyx: npt.NDArray[Any], unlabeled_zyx: BoolArray, voxel_size_nm: ZyxFloat) -> Distances:
    """Measure in nm, center to center, how far the nearest voxel of another instance or of background is.

    For a background voxel that is the nearest voxel of any instance. The faces of the array are no borders. A distance is
    known where the nearest other label is nearer than any unlabeled voxel.

    Args:
        labels_zyx: Instance ids, (Z, Y, X), 0 is background.
        unlabeled_zyx: (Z, Y, X).
        voxel_size_nm: z, y, x.

    Returns:
        Distances; inf where the array holds no other label; 0 where unlabeled; where not known, that to the unlabeled voxel.
    """
    coded = labels_zyx.astype(np.uint32) + 1
    coded[unlabeled_zyx] = 0
    nearest: Float32 = edt.edt(coded, anisotropy=voxel_size_nm, black_border=False)
    if not unlabeled_zyx.any():
        return Distances(nearest, np.ones(labels_zyx.shape, np.bool_))
    unlabeled: Float32 = edt.edt(coded > 0, anisotropy=voxel_size_nm, black_border=False)
    return Distances(nearest, nearest < unlabeled * np.float32(1 - EQUAL))
