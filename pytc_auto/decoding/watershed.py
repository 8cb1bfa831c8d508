"""Affinities to fragments: many small pieces, none of which crosses a membrane."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat, anisotropy, cutting_axis

Array = npt.NDArray[Any]
INSIDE = 0.5
SMOOTH_SIGMA = 0.6
FLAT = 3.0


def boundary_map(affinities_kzyx: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean of the one-step affinities of a voxel, those of both of its sides, (Z, Y, X) in 0 … 1."""
    total = np.zeros(affinities_kzyx.shape[1:], np.float32)
    for axis, affinity in enumerate(affinities_kzyx):
        total += affinity
        ahead = np.concatenate([np.delete(affinity, 0, axis), np.take(affinity, [-1], axis)], axis)
        total += ahead
    return (total / (2 * len(affinities_kzyx))).astype(np.float32)


def fragments_from_affinities(affinities_kzyx: npt.NDArray[np.float32], voxel_size_nm: ZyxFloat) -> npt.NDArray[np.uint64]:
    """Watershed of the distance to the boundary, from its maxima; fills the volume.

    Args:
        affinities_kzyx: One-step affinities on z, y, x, (3, Z, Y, X).
        voxel_size_nm: (z, y, x); from an anisotropy of 3 each section is distanced by itself.

    Returns:
        (Z, Y, X), ids from 1.
    """
    import cc3d
    import edt
    from scipy import ndimage
    from skimage.segmentation import watershed

    inside = boundary_map(affinities_kzyx)
    mask = inside > INSIDE
    distance = np.zeros(mask.shape, np.float32)
    if anisotropy(voxel_size_nm) >= FLAT:
        cut = cutting_axis(voxel_size_nm)
        plane = tuple(s for i, s in enumerate(voxel_size_nm) if i != cut)
        source, target = np.moveaxis(mask, cut, 0), np.moveaxis(distance, cut, 0)
        for number, section in enumerate(source):
            target[number] = edt.edt(np.ascontiguousarray(section), anisotropy=plane, black_border=False)
        sigma = [0.0 if i == cut else SMOOTH_SIGMA for i in range(3)]
        footprint = np.ones([1 if i == cut else 3 for i in range(3)], bool)
    else:
        distance = edt.edt(mask, anisotropy=voxel_size_nm, black_border=False)
        sigma, footprint = [SMOOTH_SIGMA] * 3, np.ones((3, 3, 3), bool)
    distance = np.minimum(distance, 1e6)
    smooth = ndimage.gaussian_filter(distance, sigma)
    peaks = (smooth == ndimage.maximum_filter(smooth, footprint=footprint)) & mask
    seeds = cc3d.connected_components(peaks, connectivity=26)
    height = -smooth - inside * 1e-3
    return watershed(height, seeds.astype(np.int32)).astype(np.uint64)
