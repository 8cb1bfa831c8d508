"""Affinities to fragments: many small pieces, hardly one of which crosses a membrane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat, anisotropy, cutting_axis

Float32 = npt.NDArray[np.float32]
Ids = npt.NDArray[np.uint32]

FLAT = 3.0
"""From this anisotropy on each section is flooded by itself."""
INSIDE = 0.5
"""Where the distance to the membrane is measured: voxels with at least this mean affinity."""
SEED_SIGMA = 0.7
"""Of the Gaussian, in voxels, that takes noise out before maxima are sought."""
DISTANCE_WEIGHT = 0.05
"""What a voxel of distance to the membrane counts beside the mean affinity. Little: it only breaks plateaus, where the
network is sure of the inside of two objects that leak into one another."""
LEAST_SEED = 0.1
"""Maxima below it are background."""


def interior(affinities_kzyx: Float32, axes: Sequence[int]) -> Float32:
    """How surely a voxel lies inside an instance: the mean affinity to its neighbors on both sides.

    The value of an affinity lies on the voxel with the higher index; taking both sides puts the map back on the voxels,
    so that a border lies in its middle. At a face of the volume the only link on that axis counts twice.

    Args:
        affinities_kzyx: One-step affinities on z, y and x, (3, Z, Y, X).
        axes: Those that count; each has at least two voxels.

    Returns:
        (Z, Y, X) in 0 … 1; all 1 without axes.
    """
    if not axes:
        return np.ones(affinities_kzyx.shape[1:], np.float32)
    total = np.zeros(affinities_kzyx.shape[1:], np.float32)
    for axis in axes:
        link, sums = np.moveaxis(affinities_kzyx[axis], axis, 0), np.moveaxis(total, axis, 0)
        sums[1:] += link[1:]
        sums[:-1] += link[1:]
        sums[0] += link[1]
        sums[-1] += link[-1]
    return total / np.float32(2 * len(axes))


def fragments_from_affinities(affinities_kzyx: Float32, voxel_size_nm: ZyxFloat, axes: Sequence[int]) -> Ids:
    """Watershed of the mean affinity from its smoothed maxima.

    Args:
        affinities_kzyx: One-step affinities on z, y and x, (3, Z, Y, X).
        voxel_size_nm: (z, y, x); from an anisotropy of 3 on each section along the cutting axis is flooded by itself.
        axes: Those that have affinities; each has at least two voxels.

    Returns:
        (Z, Y, X), ids from 1 that fill everything; all 0 where nothing is inside an instance.

    Source:
        Funke et al. 2019, TPAMI 41(7), with the flooding on affinities instead of distances, which loses fewer thin neurites.
    """
    if anisotropy(voxel_size_nm) < FLAT:
        return _flooded(interior(affinities_kzyx, axes), voxel_size_nm)
    cut = cutting_axis(voxel_size_nm)
    inside = np.moveaxis(interior(affinities_kzyx, [a for a in axes if a != cut]), cut, 0)
    plane = [s for axis, s in enumerate(voxel_size_nm) if axis != cut]
    fragments, last = np.zeros(inside.shape, np.uint32), 0
    for number, section in enumerate(inside):
        found = _flooded(section, plane)
        fragments[number] = np.where(found, found + np.uint32(last), 0)
        last = max(last, int(fragments[number].max()))
    return np.ascontiguousarray(np.moveaxis(fragments, 0, cut))


def _flooded(inside: Float32, voxel_size: Sequence[float]) -> Ids:
    """Fragments of a volume or of one section."""
    import edt
    from scipy import ndimage
    from skimage.segmentation import watershed

    unit = min(voxel_size)
    mask = np.ascontiguousarray(inside > INSIDE)
    distance = edt.edt(mask, anisotropy=tuple(s / unit for s in voxel_size), black_border=False)
    distance[np.isinf(distance)] = 0  # no membrane anywhere
    landscape = ndimage.gaussian_filter(inside + np.float32(DISTANCE_WEIGHT) * distance, SEED_SIGMA)
    peaks = (landscape == ndimage.maximum_filter(landscape, 3)) & (landscape > LEAST_SEED)
    seeds, _ = ndimage.label(peaks, np.ones((3,) * inside.ndim))
    found: npt.NDArray[Any] = watershed(-inside, seeds)
    return found.astype(np.uint32)
