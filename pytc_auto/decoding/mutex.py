"""Mutex watershed: one-step affinities attract, long ones repel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.watershed import neighbors
from pytc_auto.geometry import Zyx, ZyxFloat, anisotropy, cutting_axis

LEAST_VOXELS = 20
"""Smaller segments are specks of an eroded border, which the segments beside them grow over."""
STRIDE = 3
"""Repelling edges start at every third voxel per axis (thick sections: in the plane); all of them cost several times as much."""
THICK = 1.5


def mutex_segments(
    affinities_kzyx: npt.NDArray[np.float32],
    offsets: Sequence[Zyx],
    bias: float,
    *,
    inside_zyx: npt.NDArray[np.float32],
    axes: Sequence[int],
    voxel_size_nm: ZyxFloat,
) -> npt.NDArray[np.uint32]:
    """Segments of a volume.

    Args:
        affinities_kzyx: One channel per offset, in 0 … 1.
        offsets: Of the channels; those as long as the volume link nothing.
        bias: A one-step affinity above it attracts, a longer one below it repels.
        inside_zyx: How surely a voxel lies inside an instance; borders are filled from the surest voxels on.
        axes: On which voxels are neighbors.
        voxel_size_nm: (z, y, x).

    Returns:
        (Z, Y, X), ids from 1 that fill everything; all 0 where every segment is a speck.

    Source:
        Wolf et al. 2018, ECCV, through mwatershed.
    """
    import mwatershed

    inner = [all(abs(i) < n for i, n in zip(offset, affinities_kzyx.shape[1:], strict=True)) for offset in offsets]
    if not all(inner):
        affinities_kzyx, offsets = affinities_kzyx[inner], [offset for offset, links in zip(offsets, inner, strict=True) if links]
    thin = [STRIDE] * 3
    if anisotropy(voxel_size_nm) >= THICK:
        thin[cutting_axis(voxel_size_nm)] = 1
    strides = [thin if _is_far(offset) else [1, 1, 1] for offset in offsets]
    weights = _weights(affinities_kzyx, offsets, strides, bias)
    segments = mwatershed.agglom(weights, [list(o) for o in offsets], strides=strides)
    return _grown(segments, inside_zyx, axes)


def _is_far(offset: Zyx) -> bool:
    return sum(map(abs, offset)) > 1


def _weights(
    affinities_kzyx: npt.NDArray[np.float32], offsets: Sequence[Zyx], strides: Sequence[Sequence[int]], bias: float
) -> npt.NDArray[np.float64]:
    """How much each edge attracts, or repels where it is far and the weight is below 0.

    0 between strides, which mwatershed counts from the first voxel whose edge ends in the volume.
    """
    weights_kzyx = np.zeros(affinities_kzyx.shape, np.float64)
    for weights_zyx, affinities_zyx, offset, stride in zip(weights_kzyx, affinities_kzyx, offsets, strides, strict=True):
        counted = tuple(slice(max(0, -step), None, apart) for step, apart in zip(offset, stride, strict=True))
        clip = np.minimum if _is_far(offset) else np.maximum
        for weights_yx, affinities_yx in zip(weights_zyx[counted], affinities_zyx[counted], strict=True):  # fit the cache
            np.subtract(affinities_yx, bias, out=weights_yx, dtype=np.float64)
            clip(weights_yx, 0, out=weights_yx)
    return weights_kzyx


def _grown(
    segments_zyx: npt.NDArray[np.uint64], inside_zyx: npt.NDArray[np.float32], axes: Sequence[int]
) -> npt.NDArray[np.uint32]:
    """Specks are given up, and the others grow over them; only what lies beside specks is flooded."""
    from skimage.segmentation import watershed

    segments = segments_zyx.view(np.int64)  # the number of one of its voxels
    keep = np.bincount(segments.reshape(-1)) >= LEAST_VOXELS
    keep[0] = False
    seeds = np.take((np.cumsum(keep) * keep).astype(np.int32), segments)
    across = neighbors(axes, 1)
    beside = _with_neighbors(seeds == 0, axes)
    return np.where(beside, watershed(-inside_zyx, seeds * beside, connectivity=across, mask=beside), seeds).astype(np.uint32)


def _with_neighbors(mask_zyx: npt.NDArray[np.bool_], axes: Sequence[int]) -> npt.NDArray[np.bool_]:
    """The voxels of a mask and those across their faces."""
    found = mask_zyx.copy()
    for axis in axes:
        before, behind = ((*[slice(None)] * axis, end) for end in (slice(None, -1), slice(1, None)))
        found[before] |= mask_zyx[behind]
        found[behind] |= mask_zyx[before]
    return found


def same_segments(
    one_zyx: npt.NDArray[np.integer[Any]], other_zyx: npt.NDArray[np.integer[Any]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which segments of two segmentations of the same voxels are the same: each has more than half of the other.

    Args:
        one_zyx: Ids, 0 is background.
        other_zyx: Ids of the same extent.

    Returns:
        Those of the first, and for each that of the second.
    """
    stride = int(other_zyx.max(initial=0)) + 1
    keys, shared = np.unique(one_zyx.reshape(-1).astype(np.int64) * stride + other_zyx.reshape(-1), return_counts=True)
    one, other = keys // stride, keys % stride
    of_one, of_other = np.bincount(one_zyx.reshape(-1)), np.bincount(other_zyx.reshape(-1))
    same = (2 * shared > np.maximum(of_one[one], of_other[other])) & (one > 0) & (other > 0)
    return one[same], other[same]
