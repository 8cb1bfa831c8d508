"""Adapted Rand error: the share of voxel pairs that truth and segmentation do not agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.evaluation.contingency import Contingency, Counts


@dataclass(frozen=True)
class AdaptedRand:
    """Over all pairs of voxels; 0 background in truth is left out.

    Attributes:
        error: 1 - F, F the harmonic mean of precision and recall. Lower is better.
        precision: Of the pairs that lie in one segment, the share that lie in one true object. Merges lower it.
        recall: Of the pairs that lie in one true object, the share that lie in one segment. Splits lower it.
    """

    error: float
    precision: float
    recall: float


def adapted_rand(table: Contingency) -> AdaptedRand:
    """Adapted Rand error with its precision and recall.

    As in SNEMI3D and CREMI, voxels that are background (0) in truth do not count. In the segmentation, 0 counts
    as one more segment, so what was left unsegmented is punished. Without any pair everything is right.

    Source:
        Arganda-Carreras et al. 2015, Frontiers in Neuroanatomy 9:142.
    """
    table = table.without_truth(0)
    both, segment, truth = (_pairs(c) for c in (table.counts, table.segments.counts, table.truths.counts))
    return _from_pairs(both, segment, truth)


def cremi_adapted_rand(table: Contingency) -> AdaptedRand:
    """Adapted Rand error as CREMI's own program computes it.

    It differs from :func:`adapted_rand` in two ways. A voxel makes a pair with itself, too. And what is left unsegmented (0) is
    not one more segment: all these voxels together count as less than one pair, their share of the table's voxels. So they cost
    recall, and precision nothing.

    Both leave out the voxels that are background in truth, which is 0 here. CREMI's program takes 2^64 - 1 for background and 0
    for an object, and may first set what lies near a border to background: write such voxels as 0, or ignore them.

    Source:
        cremi/cremi_python, cremi/evaluation/rand.py and NeuronIds.py, after SNEMI3D's script and gala's evaluate.py.
    """
    voxels = table.voxels
    table = table.without_truth(0)
    segmented = table.without_segment(0)
    loose = (table.voxels - segmented.voxels) / voxels if voxels else 0.0
    both, segment = (_squares(c) + loose for c in (segmented.counts, segmented.segments.counts))
    truth = _squares(table.truths.counts)
    return _from_pairs(both, segment, truth)


def _from_pairs(both: float, segment: float, truth: float) -> AdaptedRand:
    """From the pairs in one segment and one object, in one segment, and in one object."""
    return AdaptedRand(
        error=1 - 2 * both / (segment + truth) if segment + truth else 0.0,
        precision=both / segment if segment else 1.0,
        recall=both / truth if truth else 1.0,
    )


def _squares(counts: Counts) -> float:
    """Ordered pairs of voxels in all groups, each voxel with itself among them."""
    sizes = counts.astype(np.float64)
    return float(np.sum(sizes * sizes))


def _pairs(counts: Counts) -> float:
    """Ordered pairs of different voxels in all groups."""
    sizes = counts.astype(np.float64)
    return float(np.sum(sizes * (sizes - 1)))
