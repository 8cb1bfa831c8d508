"""Blobs: seeds where foreground stands clear of boundary, grown over the foreground."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def seeded_segments(
    foreground_zyx: npt.NDArray[np.float32],
    boundary_zyx: npt.NDArray[np.float32],
    *,
    seed_threshold: float,
    foreground_threshold: float,
) -> npt.NDArray[np.uint32]:
    """Instances by watershed.

    Args:
        foreground_zyx: Probability to be inside any instance.
        boundary_zyx: Probability to be near another instance or background.
        seed_threshold: Where foreground minus boundary is above it, 6-connected voxels are a seed.
        foreground_threshold: Foreground above it is covered, as far as it is connected to a seed.

    Returns:
        (Z, Y, X), ids from 1, 0 is background.
    """
    import cc3d
    from skimage.segmentation import watershed

    core = foreground_zyx - boundary_zyx
    seeds = cc3d.connected_components(core > seed_threshold, connectivity=6)
    return watershed(-core, seeds.astype(np.int32), mask=foreground_zyx > foreground_threshold).astype(np.uint32)
