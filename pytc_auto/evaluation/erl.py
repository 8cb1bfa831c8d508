"""Expected run length: how far a neuron can be followed before the segmentation fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.evaluation.contingency import Contingency, Ids, Labels, contingency
from pytc_auto.evaluation.voi import voi
from pytc_auto.io.skeletons import Floats, Integers, Skeletons

MERGE_THRESHOLDS = (0, 5, 20, 100)
"""Nodes. 0 is the published definition and NISB's NERL; the others are the tolerances that BANIS reports beside it."""


@dataclass(frozen=True)
class RunLength:
    """At one merge threshold.

    Attributes:
        erl_nm: Expected run length from a random place on the skeletons.
        nerl: It, over that of a perfect segmentation; 1 is best.
        mergers: Segments that join skeletons, without background.
    """

    erl_nm: float
    nerl: float
    mergers: int


@dataclass(frozen=True, eq=False)
class _Runs:
    """What is followed without a fault: the edges of one piece of a skeleton whose nodes lie in one segment, taken together."""

    segment_ids: Ids
    skeletons: Integers
    lengths_nm: Floats


@dataclass(frozen=True, eq=False)
class _Mergers:
    """Segments that join skeletons, background perhaps among them, and the skeletons that are joined to another, from 1."""

    segment_ids: Ids
    skeletons: Ids


def run_lengths(skeletons: Skeletons, segments: Labels, thresholds: Sequence[int] = MERGE_THRESHOLDS) -> dict[int, RunLength]:
    """Expected run lengths.

    An edge is right if both its nodes lie in one segment that is not background (0), and that is no merger. A segment is a
    merger if it joins skeletons: it has more than the threshold's nodes of each of two or more. A skeleton that no merger joins
    to another may touch one without harm; there, as in BANIS, background joins skeletons, too. With l the length of the right
    edges of a skeleton in a segment, and L the length of a skeleton, ERL = Σ l² / Σ L, and NERL = Σ l² / Σ L². Where skeletons
    were cut at the faces of a box, l and L are of their pieces, while a segment on two pieces of one skeleton is no merger.

    Args:
        skeletons: At least one edge.
        segments: (N,) the segment at each node.
        thresholds: Nodes by which two skeletons may share a segment without harm.

    Raises:
        DataError: Segments are negative or no whole numbers.

    Source:
        Januszewski et al. 2018, Nature Methods 15; as in funlib.evaluate, with the merge thresholds of BANIS.
    """
    table = _table(skeletons, segments)
    runs = _runs(skeletons, segments)
    total, most = skeletons.lengths_nm.sum(), np.square(skeletons.lengths_nm).sum()
    found = {}
    for threshold in thresholds:
        mergers = _mergers(table, threshold)
        merged = np.isin(runs.segment_ids, mergers.segment_ids) & np.isin(runs.skeletons + 1, mergers.skeletons)
        squares = float(np.square(runs.lengths_nm[~merged]).sum())
        found[threshold] = RunLength(
            erl_nm=squares / float(total), nerl=squares / float(most), mergers=int(np.count_nonzero(mergers.segment_ids))
        )
    return found


def skeleton_scores(skeletons: Skeletons, segments: Labels, thresholds: Sequence[int] = MERGE_THRESHOLDS) -> dict[str, float]:
    """All scores of a segmentation on skeletons, by name.

    nerl, erl_nm and skeleton_mergers, with the merge threshold in their names where it is not 0; erl_perfect_nm, what a perfect
    segmentation reaches; skeleton_splits, the edges that lead from one segment to another; skeleton_voi_split, _merge (bits,
    over nodes; background counts as a segment).
    """
    scores: dict[str, float] = {}
    for threshold, run in run_lengths(skeletons, segments, thresholds).items():
        suffix = f"_{threshold}" if threshold else ""
        scores |= {f"nerl{suffix}": run.nerl, f"erl{suffix}_nm": run.erl_nm, f"skeleton_mergers{suffix}": run.mergers}
    start, stop = segments[skeletons.edges.T]
    information = voi(_table(skeletons, segments))
    return scores | {
        "erl_perfect_nm": float(np.square(skeletons.lengths_nm).sum() / skeletons.lengths_nm.sum()),
        "skeleton_splits": int(np.count_nonzero((start != stop) & (start != 0) & (stop != 0))),
        "skeleton_voi_split": information.split,
        "skeleton_voi_merge": information.merge,
    }


def _table(skeletons: Skeletons, segments: Labels) -> Contingency:
    """Nodes by segment and skeleton; skeletons count from 1."""
    return contingency(segments, skeletons.skeleton + 1)


def _mergers(table: Contingency, threshold: int) -> _Mergers:
    large = table.counts > threshold
    segments, skeletons = table.segment_ids[large], table.truth_ids[large]
    ids, counts = np.unique(segments, return_counts=True)
    mergers = ids[counts > 1]
    return _Mergers(mergers, np.unique(skeletons[np.isin(segments, mergers)]))


def _runs(skeletons: Skeletons, segments: Labels) -> _Runs:
    start, stop = segments[skeletons.edges.T].astype(np.uint64)
    one: npt.NDArray[np.bool_] = (start == stop) & (start != 0)
    segment, node = start[one], skeletons.edges[one, 0]
    piece = skeletons.pieces[node]
    order = np.lexsort((piece, segment))
    segment, piece = segment[order], piece[order]
    new = np.ones(len(order), bool)
    new[1:] = (segment[1:] != segment[:-1]) | (piece[1:] != piece[:-1])
    starts = np.flatnonzero(new)
    lengths = skeletons.edge_lengths_nm[one][order]
    summed = np.add.reduceat(lengths, starts) if len(starts) else lengths
    return _Runs(segment[starts], skeletons.skeleton[node][order][starts], summed)
