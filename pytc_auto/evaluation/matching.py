"""Average precision and panoptic quality of instances, by intersection over union."""

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


@dataclass(frozen=True)
class PanopticQuality:
    """Of instances that match where their IoU is over 1/2; 1 is best.

    Attributes:
        quality: recognition times segmentation.
        segmentation: Mean IoU of the matches; 0 where nothing matches.
        recognition: TP / (TP + FP / 2 + FN / 2), the F1 of the matches.
    """

    quality: float
    segmentation: float
    recognition: float


def panoptic_quality(table: Contingency) -> PanopticQuality:
    """Panoptic quality (PQ) with its two factors, of one class of things.

    0 is background on both sides, but its voxels count in the sizes of what they overlap; the paper's void, voxels of truth
    that do not count, is what is ignored when the table is made. An IoU over 1/2 makes the match unique. Without instances on
    both sides everything is right.

    Args:
        table: Instance ids of segmentation and truth.

    Source:
        Kirillov et al. 2019, CVPR.
    """
    pairs = _instances(table)
    total = pairs.segments + pairs.truths
    if not total:
        return PanopticQuality(1.0, 1.0, 1.0)
    fits = 2 * pairs.shared > pairs.either
    iou, matched = float(np.sum(pairs.shared[fits] / pairs.either[fits])), int(np.count_nonzero(fits))
    return PanopticQuality(
        quality=2 * iou / total, segmentation=iou / matched if matched else 0.0, recognition=2 * matched / total
    )


def matched_rows(table: Contingency) -> npt.NDArray[np.bool_]:
    """Tell which rows of a table are matches: a segment and an object, neither background, whose IoU is over 1/2."""
    pairs, rows = _instances(table), (table.segment_ids != 0) & (table.truth_ids != 0)
    rows[rows] = 2 * pairs.shared > pairs.either
    return rows


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
