"""How often each affinity occurs at the borders of regions, and the affinity that a share of a border's faces does not exceed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

LEVELS = 256
ROUNDING = 1e-9
"""A share of so many faces is a whole number of them."""
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Histograms:
    """Of E borders, each with its faces counted in 256 equal levels of affinity from 0 to 1; of no border if none was asked for.

    Only levels that occur are kept: those of the first border from the lowest on, then those of the second …

    Attributes:
        filled: (E,) how many levels occur at each border.
        levels: (M,) uint8.
        counts: (M,) faces of that level.
    """

    filled: Counts = field(default_factory=lambda: np.empty(0, np.int64))
    levels: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    counts: Counts = field(default_factory=lambda: np.empty(0, np.int64))

    def joined(self, rows: Counts, borders: int) -> Histograms:
        """The same faces after border i has become ``rows[i]`` of so many borders, or has gone where that is -1."""
        entry = np.repeat(rows, self.filled)
        stay = entry >= 0
        return counted(entry[stay], self.levels[stay], self.counts[stay], borders)

    def of(self, border: int) -> Counts:
        """(256,) faces of each level at one border."""
        stop = self.starts[border + 1]
        here = slice(self.starts[border], stop)
        return np.bincount(self.levels[here], self.counts[here], LEVELS).astype(np.int64)

    @cached_property
    def starts(self) -> Counts:
        """(E + 1,) where the levels of each border begin."""
        return np.concatenate([[0], np.cumsum(self.filled)])

    def quantiles(self, quantile: float) -> npt.NDArray[np.float64]:
        """(E,) the affinity of each border, as ``quantile_of`` gives it."""
        before = np.concatenate([[0], np.cumsum(self.counts)])
        starts = self.starts
        first, faces = before[starts[:-1]], np.diff(before[starts])
        entry = np.searchsorted(before[1:], first + _rank(quantile, faces))
        return affinity_of(self.levels[entry])


def counted(rows: Counts, levels: npt.NDArray[np.uint8], counts: Counts, borders: int) -> Histograms:
    """Histograms of so many borders from faces, each with its border and its level; entries may be of several faces."""
    from scipy.sparse import coo_array

    table = coo_array((counts, (rows, levels)), shape=(borders, LEVELS)).tocsr()
    table.sum_duplicates()
    return Histograms(np.diff(table.indptr).astype(np.int64), table.indices.astype(np.uint8), table.data.astype(np.int64))


def levels_of(affinities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The level of each affinity, 0 … 255."""
    return np.clip(affinities * LEVELS, 0, LEVELS - 1).astype(np.uint8)


def affinity_of(levels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The middle of each level."""
    return (levels + 0.5) / LEVELS


def quantile_of(counts: Counts, quantile: float) -> float:
    """The affinity that the given share of a border's faces is under or at, and no more than that share is under.

    Args:
        counts: (256,) faces of each level.
        quantile: In 0 … 1; 0.5 is the median, the upper one of an even number.

    Source:
        The quantile of waterz' histograms of all faces (Funke et al. 2019, TPAMI 41(7)).
    """
    before = np.cumsum(counts)
    return float(affinity_of(np.searchsorted(before, _rank(quantile, before[-1:])))[0])


def _rank(quantile: float, faces: Counts) -> Counts:
    """Which face it is, from 1 on, counted from the lowest affinity."""
    return np.minimum(np.floor(quantile * faces + ROUNDING).astype(np.int64) + 1, faces)
