"""Affinities to fragments: many small pieces, hardly one of which crosses a membrane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Box, ZyxFloat, anisotropy, cutting_axis

Float32 = npt.NDArray[np.float32]
Ids = npt.NDArray[np.uint32]

FLAT = 3.0
"""From this anisotropy on each section is flooded by itself."""
FAR = 1e6
"""A step, in voxels, that no distance within a section reaches."""
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


@dataclass(frozen=True, eq=False)
class Fragments:
    """What a watershed makes.

    Attributes:
        ids_zyx: Ids from 1 that fill everything; 0 in a volume, or a section flooded by itself, where nothing is inside.
        seeds: (N + 1, 3) the first voxel of the seed of each fragment.
    """

    ids_zyx: Ids
    seeds: npt.NDArray[np.int64]


def fragments_from_affinities(
    affinities_kzyx: Float32, voxel_size_nm: ZyxFloat, axes: Sequence[int], *, flooded: Box | None = None
) -> Fragments:
    """Watershed of the mean affinity from its smoothed maxima.

    Args:
        affinities_kzyx: One-step affinities on z, y and x, (3, Z, Y, X).
        voxel_size_nm: (z, y, x); from an anisotropy of 3 on each section along the cutting axis is flooded by itself.
        axes: Those that have affinities; each has at least two voxels. On the others voxels are no neighbors.
        flooded: Where fragments are wanted, the whole by default; around it only the distance to the membrane is measured.

    Returns:
        The fragments of what is flooded, seeds in its voxels.

    Source:
        Funke et al. 2019, TPAMI 41(7), with the flooding on affinities instead of distances, which loses fewer thin neurites.
    """
    import edt
    from scipy import ndimage
    from skimage.segmentation import watershed

    if anisotropy(voxel_size_nm) >= FLAT:
        axes = [axis for axis in axes if axis != cutting_axis(voxel_size_nm)]
    inside, unit = interior(affinities_kzyx, axes), min(voxel_size_nm)
    steps = tuple(s / unit if axis in axes else FAR for axis, s in enumerate(voxel_size_nm))
    distance = edt.edt(inside > INSIDE, anisotropy=steps, black_border=False)
    distance[distance >= FAR] = 0  # no membrane to be seen
    if flooded is not None:
        inside, distance = inside[flooded.slices], distance[flooded.slices]
    sigma, size = zip(*((SEED_SIGMA, 3) if axis in axes else (0, 1) for axis in range(3)), strict=True)
    landscape = ndimage.gaussian_filter(inside + np.float32(DISTANCE_WEIGHT) * distance, sigma)
    peaks = (landscape == ndimage.maximum_filter(landscape, size)) & (landscape > LEAST_SEED)
    seeds, count = ndimage.label(peaks, neighbors(axes, 3))
    found: npt.NDArray[Any] = watershed(-inside, seeds, connectivity=neighbors(axes, 1))
    return Fragments(found.astype(np.uint32, copy=False), _first_voxels(seeds, count))


def _first_voxels(seeds_zyx: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """(count + 1, 3): where each id occurs first."""
    places, flat = np.flatnonzero(seeds_zyx)[::-1], np.zeros(count + 1, np.int64)
    flat[seeds_zyx.reshape(-1)[places]] = places  # of several places the last one stays, which is the first in the array
    return np.stack(np.unravel_index(flat, seeds_zyx.shape), 1)


def neighbors(axes: Sequence[int], most: int) -> npt.NDArray[np.bool_]:
    """(3, 3, 3): which voxels around the middle one are its neighbors.

    Args:
        axes: On which a neighbor may lie one voxel off.
        most: On how many axes at once: 1: across faces, 3: across corners as well.
    """
    off = np.abs(np.indices((3, 3, 3)) - 1)
    still = [axis for axis in range(3) if axis not in axes]
    fits: npt.NDArray[np.bool_] = (off.sum(0) <= most) & ~off[still].any(0)
    return fits
