"""How near a voxel is to the skeleton of its instance, compared to its border."""

from __future__ import annotations

from typing import Any

import cc3d
import edt
import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.targets.distance import Distances, Float32, distance_to_another
from pytc_auto.targets.neighbors import BoolArray

POWER = 0.8
OUTSIDE = -1.0
LEAST_VOXELS = 32
"""An instance of which smoothing leaves no more than this is thinned as it is."""


def skeleton_distance(
    labels_zyx: npt.NDArray[Any], unlabeled_zyx: BoolArray, voxel_size_nm: ZyxFloat, sigma_nm: float
) -> Distances:
    """Give (b / (s + b)) ** 0.8, with b the distance to the border of the instance and s that to its skeleton.

    It has one ridge, of equal height everywhere, along an instance of any width. The skeleton is that of the smoothed
    instance, thinned on the voxel grid. The faces of the array are no borders.

    Args:
        labels_zyx: Instances as 1 … n, (Z, Y, X), 0 is background.
        unlabeled_zyx: (Z, Y, X). A value is known where no such voxel is as near as the border; what an instance is like
            beyond them does not count, as beyond the faces.
        voxel_size_nm: z, y, x.
        sigma_nm: Of the Gaussian that smooths an instance before it is thinned.

    Returns:
        Values above 0 and up to 1 in instances, -1 in the background, float32.

    Source:
        Lin et al. 2023, MICCAI (arXiv:2310.05262), as in PyTorch Connectomics v1.
    """
    border = distance_to_another(labels_zyx, unlabeled_zyx, voxel_size_nm)
    values = np.full(labels_zyx.shape, OUTSIDE, np.float32)
    sigmas = [sigma_nm / s for s in voxel_size_nm]
    for number, found in enumerate(cc3d.statistics(labels_zyx.astype(np.uint32, copy=False))["bounding_boxes"][1:], 1):
        box = _grown(found, labels_zyx.shape)
        inside = labels_zyx[box] == number
        if not inside.any():
            continue
        depth = border.values_zyx[box]
        away = edt.edt(~_skeleton(inside, sigmas, depth), anisotropy=voxel_size_nm, black_border=False)
        values[box][inside] = (1 + away[inside] / depth[inside]) ** np.float32(-POWER)
    return Distances(values, ~unlabeled_zyx & (border.known_zyx | (labels_zyx == 0)))


def _grown(box: tuple[slice, slice, slice], shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """One voxel more on each side that is no face of the array, so that smoothing finds nothing beyond."""
    start, stop = zip(*((s.start, s.stop) for s in box), strict=True)
    return Box(start, stop).grow((1, 1, 1)).intersect(Box.of_shape(shape)).slices


def _skeleton(inside_zyx: BoolArray, sigmas: list[float], depth_zyx: Float32) -> BoolArray:
    """Of one instance; its deepest voxel where thinning leaves nothing, as it does of some that are two voxels wide."""
    from skimage.morphology import skeletonize

    skeleton: BoolArray = skeletonize(_smoothed(inside_zyx, sigmas)) != 0
    if not skeleton.any():
        skeleton.flat[np.argmax(np.where(inside_zyx, depth_zyx, -1))] = True
    return skeleton


def _smoothed(inside_zyx: BoolArray, sigmas: list[float]) -> BoolArray:
    from scipy import ndimage

    smooth = inside_zyx
    for _ in range(2):
        smooth = ndimage.gaussian_filter(smooth.astype(np.float32), sigmas, mode="nearest") > 0.5
    smooth &= inside_zyx
    return smooth if smooth.sum() > LEAST_VOXELS else inside_zyx
