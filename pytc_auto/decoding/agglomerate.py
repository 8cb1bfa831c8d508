"""Regions to segments: merge across the borders with the highest affinity first, by their mean or by a quantile."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Protocol

import numpy as np

from pytc_auto.decoding.histograms import Counts, Histograms, quantile_of
from pytc_auto.decoding.regions import Float64, Index, RegionGraph, grouped

FRUITFUL = 0.02
"""Rounds go on while each joins at least this share of the borders that are left."""
FEW = 20_000
"""So few borders go into the queue at once."""


@dataclass(frozen=True, eq=False)
class Merges:
    """What was merged, each merge with its score; those that score less than a threshold make its segments.

    Attributes:
        pairs: (M, 2): one region of each of the two segments that were merged.
        scores: (M,) 1 - the affinity of the border that the two had.
        regions: Highest region id.
    """

    pairs: Index
    scores: Float64
    regions: int

    def lookup(self, threshold: float) -> Index:
        """The segment of each region, (regions + 1,): the lowest id of the regions merged with a score under the threshold."""
        return grouped(self.pairs[self.scores.astype(np.float32) < np.float32(threshold)], self.regions + 1)


def merges(graph: RegionGraph, quantile: float = 0) -> Merges:
    """Agglomerate once, for every threshold.

    Of all borders the one with the lowest score, 1 - the mean or a quantile of the affinities of its faces, is merged first; a
    merged border has the mean or quantile of all its faces, which is never under the lower of the two. So two segments of which
    each is the best neighbor of the other are merged sooner or later whatever else is, and all such pairs are merged at once,
    round by round; when rounds join little, as around a segment with thousands of neighbors, a queue goes on with what is left.

    Args:
        graph: Every two regions with faces in common once; with histograms for a quantile.
        quantile: In 0 … 1, as ``quantile_of`` counts it; 0 is the mean.

    Source:
        Funke et al. 2019, TPAMI 41(7), as waterz does it; the rounds: Murtagh 1983, Computer Journal 26(4).
    """
    found: list[tuple[Index, Float64]] = []
    while len(graph.pairs) > FEW:
        scores = _scores(graph, quantile)
        mutual = _mutual(graph.pairs, scores, len(graph.sizes))
        found.append((graph.pairs[mutual], scores[mutual]))
        lookup = np.arange(len(graph.sizes))
        lookup[graph.pairs[mutual, 1]] = graph.pairs[mutual, 0]
        fruitful = len(mutual) >= FRUITFUL * len(graph.pairs)
        graph = graph.joined(lookup)
        if not fruitful:
            break
    found.append(_queued(graph, quantile))
    pairs, scores = (np.concatenate(part) for part in zip(*found, strict=True))
    return Merges(pairs, scores, len(graph.sizes) - 1)


def _scores(graph: RegionGraph, quantile: float) -> Float64:
    """(E,) of each border."""
    return 1 - (graph.histograms.quantiles(quantile) if quantile > 0 else graph.affinities / graph.contacts)


def _mutual(pairs: Index, scores: Float64, count: int) -> Index:
    """The borders that are the best one of both regions."""
    order = np.argsort(-scores, kind="stable")
    best = np.full(count, -1)
    best[pairs[order].reshape(-1)] = np.repeat(order, 2)  # of several values for an index the last one, the lowest score, stays
    return np.flatnonzero((best[pairs] == np.arange(len(pairs))[:, None]).all(1))


class _Borders(Protocol):
    """What is known of each border while segments merge."""

    def score(self, edge: int) -> float:
        """Of a border with all its faces."""

    def add(self, kept: int, dropped: int) -> None:
        """Give the faces of one border to another."""


class _Means(_Borders):
    """Scores by the mean affinity."""

    def __init__(self, graph: RegionGraph) -> None:
        self.contacts, self.affinities = graph.contacts.tolist(), graph.affinities.tolist()

    def score(self, edge: int) -> float:
        return float(1 - self.affinities[edge] / self.contacts[edge])

    def add(self, kept: int, dropped: int) -> None:
        self.contacts[kept] += self.contacts[dropped]
        self.affinities[kept] += self.affinities[dropped]


class _Quantiles(_Borders):
    """Scores by a quantile of the affinities; a border that was merged has a histogram of its own, the others the given one."""

    def __init__(self, histograms: Histograms, quantile: float) -> None:
        self.given, self.quantile = histograms, quantile
        self.merged: dict[int, Counts] = {}

    def score(self, edge: int) -> float:
        return 1 - quantile_of(self._counts(edge), self.quantile)

    def add(self, kept: int, dropped: int) -> None:
        self.merged[kept] = self._counts(kept) + self._counts(dropped)
        self.merged.pop(dropped, None)

    def _counts(self, edge: int) -> Counts:
        found = self.merged.get(edge)
        return self.given.of(edge) if found is None else found


def _queued(graph: RegionGraph, quantile: float) -> tuple[Index, Float64]:
    """Merge one after another, the lowest score first.

    The score of a border is renewed when it comes up in the queue: it only gets higher.
    """
    borders = _Quantiles(graph.histograms, quantile) if quantile > 0 else _Means(graph)
    ends, scores = graph.pairs.tolist(), _scores(graph, quantile).tolist()
    around: dict[int, dict[int, int]] = {}
    for edge, (a, b) in enumerate(ends):
        around.setdefault(a, {})[b] = edge
        around.setdefault(b, {})[a] = edge
    queue = [(score, edge) for edge, score in enumerate(scores)]
    heapify(queue)
    stale, gone = bytearray(len(ends)), bytearray(len(ends))
    pairs, found = [], []
    while queue:
        score, edge = heappop(queue)
        if gone[edge]:
            continue
        if stale[edge]:
            stale[edge] = 0
            scores[edge] = borders.score(edge)
            heappush(queue, (scores[edge], edge))
            continue
        a, b = sorted(ends[edge], key=lambda end: len(around[end]), reverse=True)
        pairs.append((a, b))
        found.append(score)
        gone[edge] = 1
        here, other = around[a], around.pop(b)
        del here[b], other[a]
        for neighbor, of_other in other.items():
            there, kept = around[neighbor], of_other
            del there[b]
            if neighbor in here:
                kept, dropped = sorted((here[neighbor], of_other), key=scores.__getitem__)
                borders.add(kept, dropped)
                gone[dropped], stale[kept] = 1, 1
            here[neighbor] = there[a] = kept
            ends[kept] = (a, neighbor)
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(found, np.float64)
