"""Mutex watershed: one-step affinities attract, long ones repel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Zyx

LEAST_VOXELS = 20
STRIDE = 3
"""Repelling edges start at every third voxel per axis; all of them cost three to seven times as much."""


def mutex_segments(affinities_kzyx: npt.NDArray[np.float32], offsets: Sequence[Zyx], bias: float) -> npt.NDArray[np.uint64]:
    """Segments of a volume, ids from 1.

    Args:
        affinities_kzyx: One channel per offset, in 0 … 1.
        offsets: Of the channels.
        bias: An affinity above it attracts, one below repels.

    Source:
        Wolf et al. 2018, ECCV, through mwatershed.
    """
    import mwatershed

    long = [sum(map(abs, o)) > 1 for o in offsets]
    strides = [[STRIDE] * 3 if far else [1, 1, 1] for far in long]
    weights = affinities_kzyx.astype(np.float64) - bias
    for channel, far in enumerate(long):
        weights[channel] = np.minimum(weights[channel], 0) if far else np.maximum(weights[channel], 0)
    segments = mwatershed.agglom(weights, [list(o) for o in offsets], strides=strides)
    return _grown(segments, affinities_kzyx[[not far for far in long]])


def _grown(segments_zyx: npt.NDArray[np.uint64], near_kzyx: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """Borders were eroded for the training, so their voxels are specks: the segments beside them grow over them."""
    from skimage.segmentation import watershed

    sizes = np.bincount(segments_zyx.ravel().astype(np.int64))
    keep = sizes >= LEAST_VOXELS
    keep[0] = False
    if not keep.any():
        return segments_zyx
    lookup = np.cumsum(keep) * keep
    return watershed(-near_kzyx.mean(0), lookup[segments_zyx].astype(np.int32)).astype(np.uint64)
