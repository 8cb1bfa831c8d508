"""Blobs: seeds where foreground stands clear of boundary, grown over the foreground."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


def seeded_segments(
    foreground_zyx: Float32,
    boundary_zyx: Float32,
    distance_zyx: Float32 | None = None,
    *,
    seed_threshold: float,
    foreground_threshold: float,
    distance_threshold: float = 0.0,
) -> npt.NDArray[np.uint32]:
    """Instances by watershed, of the distance where there is one, else of foreground minus boundary.

    Args:
        foreground_zyx: Probability to be inside any instance.
        boundary_zyx: Probability to be near another instance or background.
        distance_zyx: From 0 at the border of an instance to 1 far inside; negative in the background.
        seed_threshold: Where foreground minus boundary is above it, 6-connected voxels are a seed.
        foreground_threshold: Foreground above it is covered, as far as it is connected to a seed.
        distance_threshold: The distance of a seed's voxels is above it, too.

    Returns:
        (Z, Y, X), ids from 1, 0 is background.
    """
    import cc3d
    from skimage.segmentation import watershed

    core = foreground_zyx - boundary_zyx
    seed, height = core > seed_threshold, core
    if distance_zyx is not None:
        seed, height = seed & (distance_zyx > distance_threshold), distance_zyx
    seeds = cc3d.connected_components(seed, connectivity=6)
    return watershed(-height, seeds.astype(np.int32), mask=foreground_zyx > foreground_threshold).astype(np.uint32)
