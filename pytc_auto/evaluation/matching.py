"""Average precision of instances at thresholds of intersection over union."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.evaluation.contingency import Contingency, Counts

IOU_PERCENT = tuple(range(50, 100, 5))


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Segments and objects that share voxels, as indices, with shared voxels and voxels of either."""

    segment: npt.NDArray[np.intp]
    truth: npt.NDArray[np.intp]
    shared: Counts
    either: Counts
    segments: int
    truths: int


def average_precision(table: Contingency, iou_percent: Sequence[int] = IOU_PERCENT) -> dict[int, float]:
    """TP / (TP + FP + FN) of instances, as Cellpose and StarDist name it (no ranking by confidence).

    A segment and a true object match where their IoU is at least the threshold, each used once. 0 is background
    on both sides, but its voxels count in the sizes of what they overlap. Without instances on both sides
    everything is right.

    Args:
        table: Instance ids of segmentation and truth.
        iou_percent: Thresholds in percent; integers, so that an IoU of exactly 3/5 passes 60.

    Returns:
        Average precision per threshold.

    Source:
        Stringer et al. 2021, Nature Methods 18; Schmidt et al. 2018, MICCAI.
    """
    pairs = _instances(table)
    return {percent: _precision(pairs, percent) for percent in iou_percent}


def _instances(table: Contingency) -> _Pairs:
    keep = (table.segment_ids != 0) & (table.truth_ids != 0)
    segment = np.searchsorted(table.segments.ids, table.segment_ids[keep])
    truth = np.searchsorted(table.truths.ids, table.truth_ids[keep])
    shared = table.counts[keep]
    return _Pairs(
        segment=segment,
        truth=truth,
        shared=shared,
        either=table.segments.counts[segment] + table.truths.counts[truth] - shared,
        segments=int(np.count_nonzero(table.segments.ids)),
        truths=int(np.count_nonzero(table.truths.ids)),
    )


def _precision(pairs: _Pairs, percent: int) -> float:
    total = pairs.segments + pairs.truths
    if not total:
        return 1.0
    fits = 100 * pairs.shared >= percent * pairs.either
    matched = _matches(pairs.segment[fits], pairs.truth[fits])
    return matched / (total - matched)


def _matches(segment: npt.NDArray[np.intp], truth: npt.NDArray[np.intp]) -> int:
    """The most pairs that can be taken so that none is used twice."""
    if len(np.unique(segment)) == len(segment) and len(np.unique(truth)) == len(truth):
        return len(segment)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    graph = coo_array((np.ones(len(segment), bool), (segment, truth))).tocsr()
    return int(np.count_nonzero(maximum_bipartite_matching(graph) >= 0))
