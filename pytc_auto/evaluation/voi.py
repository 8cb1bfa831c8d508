"""Variation of information, in bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.evaluation.contingency import Contingency, Counts


@dataclass(frozen=True)
class Voi:
    """Two conditional entropies, in bits. Lower is better.

    Attributes:
        split: H(segmentation | truth): what it takes to tell the segment of a voxel whose true object is known.
        merge: H(truth | segmentation): what it takes to tell the true object of a voxel whose segment is known.
    """

    split: float
    merge: float

    @property
    def total(self) -> float:
        """Their sum, the variation of information."""
        return self.split + self.merge


def voi(table: Contingency, *, ignore_background: bool = True) -> Voi:
    """Variation of information.

    Args:
        table: 0 in the segmentation counts as one more segment.
        ignore_background: Leave out the voxels that are 0 in truth.

    Source:
        Meilă 2007, Journal of Multivariate Analysis 98(5); Nunez-Iglesias et al. 2013, PLoS ONE 8(8).
    """
    if ignore_background:
        table = table.without_truth(0)
    if not table.voxels:
        return Voi(0.0, 0.0)
    both, segment, truth = (_entropy(c) for c in (table.counts, table.segments.counts, table.truths.counts))
    return Voi(split=max(0.0, both - truth), merge=max(0.0, both - segment))


def _entropy(counts: Counts) -> float:
    share: npt.NDArray[np.float64] = counts / counts.sum()
    return float(-np.sum(share * np.log2(share)))
