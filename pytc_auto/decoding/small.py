"""Segments too small to be true."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def merge_small(
    segments_zyx: npt.NDArray[np.uint64], affinities_kzyx: npt.NDArray[np.float32], min_size: int
) -> npt.NDArray[np.uint64]:
    """Give each segment under ``min_size`` voxels to the neighbor with the highest mean affinity.

    Args:
        segments_zyx: Ids from 1.
        affinities_kzyx: One-step affinities on z, y, x.
        min_size: In voxels.

    Returns:
        Ids from 1, consecutive.
    """
    import fastremap

    dense, _ = fastremap.renumber(segments_zyx, in_place=False)
    if min_size <= 1:
        return dense.astype(np.uint64)
    sizes = np.bincount(dense.ravel())
    pairs, mean = _borders(dense.astype(np.int64), affinities_kzyx, sizes < min_size)
    parent = np.arange(len(sizes))
    for number in np.argsort(-mean, kind="stable"):
        a, b = (_root(parent, int(i)) for i in pairs[number])
        if a != b and min(sizes[a], sizes[b]) < min_size:
            small, large = (a, b) if sizes[a] < sizes[b] else (b, a)
            parent[small] = large
            sizes[large] += sizes[small]
    lookup = np.array([_root(parent, i) for i in range(len(parent))])
    return fastremap.renumber(lookup[dense], in_place=False)[0].astype(np.uint64)


def _borders(
    dense_zyx: npt.NDArray[np.int64], affinities_kzyx: npt.NDArray[np.float32], small: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Pairs of neighbors of which one is small, and the mean affinity between them."""
    keys, values, count = [], [], len(small)
    for axis, affinity in enumerate(affinities_kzyx):
        after = tuple(slice(1, None) if i == axis else slice(None) for i in range(3))
        before = tuple(slice(None, -1) if i == axis else slice(None) for i in range(3))
        a, b = dense_zyx[before], dense_zyx[after]
        chosen = (a != b) & (a > 0) & (b > 0) & (small[a] | small[b])
        low, high = np.minimum(a[chosen], b[chosen]), np.maximum(a[chosen], b[chosen])
        keys.append(low * count + high)
        values.append(affinity[after][chosen])
    unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(inverse, np.concatenate(values), minlength=len(unique))
    mean = total / np.maximum(np.bincount(inverse, minlength=len(unique)), 1)
    return np.stack([unique // count, unique % count], 1), mean


def _root(parent: npt.NDArray[np.intp], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = int(parent[node])
    return node


def remove_small(segments_zyx: npt.NDArray[np.uint64], min_size: int) -> npt.NDArray[np.uint64]:
    """Segments under ``min_size`` voxels become background."""
    import fastremap

    dense, _ = fastremap.renumber(segments_zyx, in_place=False)
    sizes = np.bincount(dense.ravel())
    keep = sizes >= min_size
    keep[0] = False
    return np.where(keep[dense], dense, 0).astype(np.uint64)
