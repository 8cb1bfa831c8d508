"""Fragments to segments: merge across the borders with the highest mean affinity first."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MEAN_AFFINITY = "OneMinus<MeanAffinity<RegionGraphType, ScoreValue>>"
"""Compiled into waterz' wheels; another scoring function might need a compiler."""

_STDOUT = threading.Lock()


@dataclass(frozen=True, eq=False)
class Merges:
    """What was merged, in order.

    Attributes:
        pairs: (M, 2): the first of a pair swallows the second.
        scores: (M,) the highest score so far, 1 - mean affinity. waterz scores a border that got better only when its old
            score comes up, so a merge may score lower than the one before it.
        fragments: Highest fragment id.
    """

    pairs: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    fragments: int

    def lookup(self, threshold: float) -> npt.NDArray[np.int64]:
        """The segment of each fragment, (fragments + 1,), after all merges up to the first that scores ``threshold`` or more."""
        parent = np.arange(self.fragments + 1)
        done = np.searchsorted(self.scores, np.float32(threshold), side="left")
        parent[self.pairs[:done, 1]] = self.pairs[:done, 0]
        while True:
            above = parent[parent]
            if np.array_equal(above, parent):
                return parent
            parent = above


def merges(affinities_kzyx: npt.NDArray[np.float32], fragments_zyx: npt.NDArray[Any]) -> Merges:
    """Agglomerate once, for every threshold from 0 to 1.

    Two neighbors are merged while the score of their border, 1 - the mean affinity over its faces, is under the threshold,
    the lowest score first; a merged border has the mean of all its faces.

    Args:
        affinities_kzyx: One-step affinities on z, y and x; the value lies on the voxel with the higher index.
        fragments_zyx: Ids from 1; 0 takes no part.

    Source:
        Funke et al. 2019, TPAMI 41(7), through waterz.
    """
    import waterz

    count = int(fragments_zyx.max(initial=0))
    if not count:
        return Merges(np.empty((0, 2), np.int64), np.empty(0), 0)
    with _silence():
        _, history = next(
            waterz.agglomerate(
                np.ascontiguousarray(affinities_kzyx, np.float32),
                [1.0],
                fragments=np.array(fragments_zyx, np.uint64, order="C"),
                return_merge_history=True,
                scoring_function=MEAN_AFFINITY,
            )
        )
    pairs = np.array([(merge["a"], merge["b"]) for merge in history], np.int64).reshape(-1, 2)
    scores = np.maximum.accumulate(np.array([merge["score"] for merge in history], np.float64))
    return Merges(pairs, scores, count)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep waterz from telling its progress on standard output, some of it through Python, some past it."""
    with _STDOUT, redirect_stdout(io.StringIO()):
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)
