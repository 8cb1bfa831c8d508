"""Fragments to segments: merge across the borders with the highest mean affinity first."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

MEAN_AFFINITY = "OneMinus<MeanAffinity<RegionGraphType, ScoreValue>>"


def agglomerated(
    affinities_kzyx: npt.NDArray[np.float32], fragments_zyx: npt.NDArray[np.uint64], thresholds: Sequence[float]
) -> Iterator[npt.NDArray[np.uint64]]:
    """One segmentation per threshold, in the order given; thresholds must ascend.

    Two neighbors are merged while 1 - the mean affinity of their common border is under the threshold.

    Args:
        affinities_kzyx: One-step affinities on z, y, x; the value lies on the voxel with the higher index.
        fragments_zyx: Ids from 1.
        thresholds: Ascending, in 0 … 1.

    Source:
        Funke et al. 2019, TPAMI 41(7), through waterz.
    """
    import waterz

    affinities = np.ascontiguousarray(affinities_kzyx, np.float32)
    with _silent():
        results = waterz.agglomerate(affinities, list(thresholds), fragments=fragments_zyx.copy(), scoring_function=MEAN_AFFINITY)
    for _ in thresholds:
        with _silent():
            segments = next(results)
        yield segments.copy()


@contextmanager
def _silent() -> Iterator[None]:
    """Keep waterz quiet, which tells its progress on the process's standard output, past Python."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
