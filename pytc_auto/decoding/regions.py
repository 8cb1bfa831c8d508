"""Which regions touch, how much, and how strongly; merging on that graph instead of on voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.histograms import Histograms, counted, levels_of
from pytc_auto.geometry import Zyx

Index = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegionGraph:
    """Regions 1 … N of a volume and their borders; region 0, background, has none.

    Attributes:
        sizes: (N + 1,) voxels of each region.
        pairs: (E, 2) regions that touch, the lower id first, each pair once.
        contacts: (E,) voxel faces between them.
        affinities: (E,) sum of the affinities over these faces.
        histograms: Of the affinities, where they were asked for.
    """

    sizes: Index
    pairs: Index
    contacts: Float64
    affinities: Float64
    histograms: Histograms = field(default_factory=Histograms)

    def joined(self, lookup: Index) -> RegionGraph:
        """The graph after region i has become ``lookup[i]``; ids stay within 0 … N."""
        count = len(self.sizes)
        pairs = np.sort(lookup[self.pairs], axis=1)
        keep = (pairs[:, 0] != pairs[:, 1]) & (pairs[:, 0] > 0)
        edges = _summed(pairs[keep], count, [self.contacts[keep], self.affinities[keep]])
        sizes = np.bincount(lookup, self.sizes, count).astype(np.int64)
        joined = RegionGraph(sizes, edges[0], edges[1], edges[2])
        if not len(self.histograms.filled):
            return joined
        rows = np.full(len(pairs), -1)
        rows[keep] = _rows(pairs[keep], joined.pairs, count)
        return replace(joined, histograms=self.histograms.joined(rows, len(joined.pairs)))

    def without_histograms(self) -> RegionGraph:
        """The same with sums alone."""
        return replace(self, histograms=Histograms())


def region_graph(
    regions_zyx: npt.NDArray[Any],
    axes: Sequence[int] = (0, 1, 2),
    affinities_kzyx: npt.NDArray[np.float32] | None = None,
    *,
    highest: int = 0,
    before: Zyx = (0, 0, 0),
    histograms: bool = False,
) -> RegionGraph:
    """The graph of a volume, or of a block of it.

    Args:
        regions_zyx: Ids 0 … N.
        axes: On which voxels are neighbors.
        affinities_kzyx: One-step affinities on z, y and x; the value lies on the voxel with the higher index. None: all 1.
        highest: N, where the highest id does not occur.
        before: Of a block: how many planes of ``regions_zyx``, 0 or 1 on each axis, belong to the blocks before it. Faces to
            them count, their voxels and the faces between these do not. The affinities are those of the block alone.
        histograms: Of the affinities of each border, too.
    """
    block = tuple(slice(n, None) for n in before)
    sizes = region_sizes(regions_zyx[block], max(highest, int(regions_zyx.max(initial=0))))
    pairs, values = [np.empty((0, 2), np.int64)], [np.empty(0, np.float32)]
    for axis in axes:
        lower, upper = _neighbors(regions_zyx, axis, before)
        border = np.nonzero((lower != upper) & (lower > 0) & (upper > 0))
        one, other = lower[border], upper[border]
        pairs.append(np.stack([np.minimum(one, other), np.maximum(one, other)], 1).astype(np.int64))
        if affinities_kzyx is None:
            values.append(np.ones(len(one), np.float32))
        else:
            values.append(affinities_kzyx[axis][_from(axis, 1 - before[axis])][border])
    affinity, faces = np.concatenate(values), np.concatenate(pairs)
    edges = _summed(faces, len(sizes), [np.ones(len(affinity)), affinity])
    graph = RegionGraph(sizes, edges[0], edges[1], edges[2])
    if not histograms:
        return graph
    rows = _rows(faces, graph.pairs, len(sizes))
    found = counted(rows, levels_of(affinity), np.ones(len(rows), np.int64), len(graph.pairs))
    return replace(graph, histograms=found)


def region_sizes(regions_zyx: npt.NDArray[Any], highest: int) -> Index:
    """(highest + 1,) voxels of each region: of each run of equal ids in a section its length."""
    ids, lengths = [np.empty(0, regions_zyx.dtype)], [np.empty(0, np.int64)]
    for regions_yx in regions_zyx:
        flat = regions_yx.reshape(-1)
        last = np.append(np.flatnonzero(flat[1:] != flat[:-1]), len(flat) - 1)
        ids.append(flat[last])
        lengths.append(np.diff(last, prepend=-1))
    return np.bincount(np.concatenate(ids), np.concatenate(lengths), highest + 1).astype(np.int64)


def _neighbors(regions_zyx: npt.NDArray[Any], axis: int, before: Zyx) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The regions on both sides of every face across an axis; the second lie in the block."""
    inner = regions_zyx[tuple(slice(None if i == axis else n, None) for i, n in enumerate(before))]
    return inner[(*_from(axis, 0)[:axis], slice(None, -1))], inner[_from(axis, 1)]


def _from(axis: int, start: int) -> tuple[slice, ...]:
    """An array from some index on an axis on."""
    return (*[slice(None)] * axis, slice(start, None))


def grouped(pairs: Index, count: int) -> Index:
    """What 0 … count - 1 become when the pairs are joined: the lowest of each group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    return np.unique(group, return_index=True)[1][group].astype(np.int64)


def same_seed(seeds: Index) -> Index:
    """What regions become when those of the same seed are one, the first of them; 0 is no seed."""
    _, first, group = np.unique(seeds, return_index=True, return_inverse=True)
    return np.where(seeds > 0, first[group], np.arange(len(seeds)))


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


def numbered(lookup: Index, sizes: Index) -> npt.NDArray[Any]:
    """The same lookup with ids 1, 2, 3 … in place of those that have voxels; 0 stays.

    Args:
        lookup: (N + 1,) what each region has become.
        sizes: (N + 1,) voxels of each region.

    Returns:
        uint32 where the ids fit, else uint64.
    """
    seen = np.unique(lookup[sizes > 0])
    seen = seen[seen > 0]
    dtype = np.uint32 if len(seen) <= np.iinfo(np.uint32).max else np.uint64
    number = np.zeros(len(lookup), dtype)
    number[seen] = np.arange(1, len(seen) + 1, dtype=dtype)
    return number[lookup]


def _best_edges(graph: RegionGraph, small: npt.NDArray[np.bool_], by: Literal["affinity", "contact"]) -> npt.NDArray[np.intp]:
    """For each small region that has neighbors the edge to the best one."""
    near = np.flatnonzero(small[graph.pairs].any(1))
    score = graph.contacts[near] if by == "contact" else graph.affinities[near] / graph.contacts[near]
    number = np.tile(np.arange(len(near)), 2)
    region = graph.pairs[near].T.reshape(-1)
    chosen = small[region]
    region, number = region[chosen], number[chosen]
    order = np.lexsort((number, -score[number], region))
    first = np.unique(region[order], return_index=True)[1]
    return near[np.unique(number[order][first])]


def _roots(pairs: Index, sizes: Index) -> Index:
    """The largest region of each group that the pairs connect."""
    group = grouped(pairs, len(sizes))
    order = np.lexsort((np.arange(len(sizes)), -sizes, group))
    first = np.unique(group[order], return_index=True)
    largest = np.zeros(len(sizes), np.int64)
    largest[first[0]] = order[first[1]]
    return largest[group]


def _summed(pairs: Index, count: int, values: Sequence[npt.NDArray[Any]]) -> tuple[Index, Float64, Float64]:
    """Distinct pairs, sorted, and each of the two values added up over them."""
    from scipy.sparse import coo_array

    both = values[0] + 1j * values[1]
    table = coo_array((both, (pairs[:, 0], pairs[:, 1])), shape=(count, count)).tocsr()
    table.sum_duplicates()
    lower = np.repeat(np.arange(count), np.diff(table.indptr))
    return np.stack([lower, table.indices], 1).astype(np.int64, copy=False), table.data.real.copy(), table.data.imag.copy()


def _rows(pairs: Index, distinct: Index, count: int) -> Index:
    """Where each pair stands among the distinct, sorted ones."""
    return np.searchsorted(distinct[:, 0] * count + distinct[:, 1], pairs[:, 0] * count + pairs[:, 1])
