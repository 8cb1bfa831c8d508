"""Synapses with two sides: whether they are found, and whether the sides are the right way round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.evaluation.contingency import Contingency, Counts, Ids, total
from pytc_auto.evaluation.matching import matched_rows


@dataclass(frozen=True)
class SynapseScores:
    """Of synapses that match where the IoU of both sides together is over 1/2; 1 is best.

    Attributes:
        f1: Of the matches.
        side_accuracy: Share of the matches whose sides are the right way round; 0 where nothing matches.
        sided_f1: F1 where only those count as matches.
    """

    f1: float
    side_accuracy: float
    sided_f1: float


def synapse_scores(table: Contingency) -> SynapseScores:
    """Score synapses and their sides.

    The sides of a match are the right way round if more of the voxels that both have lie on the same side than on the other.
    Average precision over the sides' ids does not see it: with all sides exchanged the same ids only have other names.

    Args:
        table: Ids 2k - 1 and 2k are the presynaptic and the postsynaptic side of synapse k, in segmentation and truth; 0 is
            background. Without synapses on both sides everything is right.
    """
    same_side = (table.segment_ids & np.uint64(1)) == (table.truth_ids & np.uint64(1))
    synapses, agreeing = _by_synapse(table, table.counts), _by_synapse(table, np.where(same_side, table.counts, 0))
    rows = matched_rows(synapses)
    matched = int(np.count_nonzero(rows))
    right = int(np.count_nonzero(2 * agreeing.counts[rows] > synapses.counts[rows]))
    known = np.count_nonzero(synapses.segments.ids) + np.count_nonzero(synapses.truths.ids)
    if not known:
        return SynapseScores(1.0, 1.0, 1.0)
    return SynapseScores(2 * matched / known, right / matched if matched else 0.0, 2 * right / known)


def _by_synapse(table: Contingency, counts: Counts) -> Contingency:
    """The same voxels by synapse; whatever is counted, the rows are the same."""
    return total([Contingency(_synapse(table.segment_ids), _synapse(table.truth_ids), counts)])


def _synapse(side_ids: Ids) -> Ids:
    """1 for 1 and 2, 2 for 3 and 4 …; 0 stays."""
    return (side_ids >> np.uint64(1)) + (side_ids & np.uint64(1))
