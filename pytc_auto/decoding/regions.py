"""Which fragments touch, how much, and how strongly; merging on that graph instead of on voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RegionGraph:
    """Regions 1 … N of a volume and their borders; region 0, background, has none.

    Attributes:
        sizes: (N + 1,) voxels of each region.
        pairs: (E, 2) regions that touch, the lower id first, sorted.
        contacts: (E,) voxel faces between them.
        affinities: (E,) sum of the affinities over these faces.
    """

    sizes: Index
    pairs: Index
    contacts: npt.NDArray[np.float64]
    affinities: npt.NDArray[np.float64]

    def joined(self, lookup: Index) -> RegionGraph:
        """The graph after region i has become ``lookup[i]``; ids stay within 0 … N."""
        count = len(self.sizes)
        pairs = np.sort(lookup[self.pairs], axis=1)
        keep = (pairs[:, 0] != pairs[:, 1]) & (pairs[:, 0] > 0)
        edges = _summed(pairs[keep], count, [self.contacts[keep], self.affinities[keep]])
        sizes = np.bincount(lookup, self.sizes, count).astype(np.int64)
        return RegionGraph(sizes, edges[0], edges[1], edges[2])


def region_graph(
    regions_zyx: npt.NDArray[Any],
    axes: Sequence[int] = (0, 1, 2),
    affinities_kzyx: npt.NDArray[np.float32] | None = None,
    *,
    highest: int = 0,
) -> RegionGraph:
    """The graph of a volume.

    Args:
        regions_zyx: Ids 0 … N.
        axes: On which voxels are neighbors.
        affinities_kzyx: One-step affinities on z, y and x; the value lies on the voxel with the higher index. None: all 1.
        highest: N, where the highest id does not occur.
    """
    sizes = np.bincount(regions_zyx.reshape(-1), minlength=highest + 1)
    pairs, values = [np.empty((0, 2), np.int64)], [np.empty(0, np.float32)]
    for axis in axes:
        moved = np.moveaxis(regions_zyx, axis, 0)
        before, after = moved[:-1], moved[1:]
        border = (before != after) & (before > 0) & (after > 0)
        pairs.append(np.sort(np.stack([before[border], after[border]], 1).astype(np.int64), axis=1))
        if affinities_kzyx is None:
            values.append(np.ones(len(pairs[-1]), np.float32))
        else:
            values.append(np.moveaxis(affinities_kzyx[axis], axis, 0)[1:][border])
    affinity = np.concatenate(values)
    edges = _summed(np.concatenate(pairs), len(sizes), [np.ones(len(affinity)), affinity])
    return RegionGraph(sizes.astype(np.int64), edges[0], edges[1], edges[2])


def absorb_small(graph: RegionGraph, min_size: int, *, by: Literal["affinity", "contact"]) -> Index:
    """Give each region under ``min_size`` voxels to a neighbor, until none under it has one.

    The neighbor is the one with the highest mean affinity, or with the longest common border. Two regions that are both
    large enough are never joined.

    Returns:
        (N + 1,) the region each region belongs to, the largest of those joined; 0 where a small region has no neighbor.
    """
    lookup = np.arange(len(graph.sizes))
    while True:
        small = (graph.sizes < min_size) & (graph.sizes > 0)
        small[0] = False
        edges = _best_edges(graph, small, by)
        if not len(edges):
            break
        roots = _roots(graph.pairs[edges], graph.sizes)
        lookup, graph = roots[lookup], graph.joined(roots)
    lookup[small[lookup]] = 0
    return lookup


def _best_edges(graph: RegionGraph, small: npt.NDArray[np.bool_], by: Literal["affinity", "contact"]) -> npt.NDArray[np.intp]:
    """For each small region that has neighbors the edge to the best one."""
    score = graph.contacts if by == "contact" else graph.affinities / graph.contacts
    number = np.tile(np.arange(len(graph.pairs)), 2)
    region = graph.pairs.T.reshape(-1)
    chosen = small[region]
    region, number = region[chosen], number[chosen]
    order = np.lexsort((number, -score[number], region))
    first = np.unique(region[order], return_index=True)[1]
    return np.unique(number[order][first])


def _roots(pairs: Index, sizes: Index) -> Index:
    """The largest region of each group that the pairs connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(sizes)
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    order = np.lexsort((np.arange(count), -sizes, group))
    largest = order[np.unique(group[order], return_index=True)[1]]
    return largest[group].astype(np.int64)


def _summed(pairs: Index, count: int, values: Sequence[npt.NDArray[Any]]) -> tuple[Index, npt.NDArray[Any], npt.NDArray[Any]]:
    """Distinct pairs, and each of the two values added up over them."""
    keys, inverse = np.unique(pairs[:, 0] * count + pairs[:, 1], return_inverse=True)
    first, second = (np.bincount(inverse, v, len(keys)) for v in values)
    return np.stack([keys // count, keys % count], 1), first, second
