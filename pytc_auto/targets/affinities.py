"""Does a voxel belong to the same object as the one a step away?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError
from pytc_auto.geometry import Zyx
from pytc_auto.targets.neighbors import BoolArray, paired


def affinities_from_labels(labels_zyx: npt.NDArray[Any], offsets: Sequence[Zyx]) -> BoolArray:
    """Tell for each voxel whether its neighbor at each offset is the same instance.

    Channel k at voxel v links v and v + offset k.

    Args:
        labels_zyx: Instance ids, (Z, Y, X), 0 is background.
        offsets: K signed steps in voxels.

    Returns:
        (K, Z, Y, X). False where the neighbor lies outside or either voxel is background.

    Raises:
        DataError: An offset is as long as the volume on its axis.

    Source:
        Turaga et al. 2010, Neural Computation 22(2).
    """
    _check(labels_zyx.shape, offsets)
    affinities = np.zeros((len(offsets), *labels_zyx.shape), np.bool_)
    inside = labels_zyx != 0
    for channel, offset in zip(affinities, offsets, strict=True):
        here, there = paired(labels_zyx.shape, offset)
        np.equal(labels_zyx[here], labels_zyx[there], out=channel[here])
        channel[here] &= inside[here]
    return affinities


def affinity_mask(unlabeled_zyx: BoolArray, offsets: Sequence[Zyx]) -> BoolArray:
    """Tell where an affinity is known: both voxels lie in the crop and are labeled.

    Args:
        unlabeled_zyx: (Z, Y, X).
        offsets: K signed steps in voxels.

    Returns:
        (K, Z, Y, X).

    Raises:
        DataError: An offset is as long as the volume on its axis.
    """
    _check(unlabeled_zyx.shape, offsets)
    mask = np.zeros((len(offsets), *unlabeled_zyx.shape), np.bool_)
    labeled = ~unlabeled_zyx
    whole = bool(labeled.all())
    for channel, offset in zip(mask, offsets, strict=True):
        here, there = paired(unlabeled_zyx.shape, offset)
        channel[here] = True if whole else labeled[here] & labeled[there]
    return mask


def _check(shape: Sequence[int], offsets: Sequence[Zyx]) -> None:
    long = [list(o) for o in offsets if any(abs(i) >= n for i, n in zip(o, shape, strict=True))]
    if long:
        raise DataError(
            f"labels of {list(shape)} voxels (z, y, x) are too small for the offsets {long}. Use a larger crop or shorter ones."
        )
