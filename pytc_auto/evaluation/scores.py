"""All scores of a segmentation by name, from the table of what meets what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pytc_auto.evaluation.boundary import Boundary
from pytc_auto.evaluation.contingency import Contingency, Labels, contingency
from pytc_auto.evaluation.matching import average_precision, panoptic_quality
from pytc_auto.evaluation.overlap import overlap
from pytc_auto.evaluation.rand import adapted_rand, cremi_adapted_rand
from pytc_auto.evaluation.synapses import synapse_scores
from pytc_auto.evaluation.voi import voi

Kind = Literal["instances", "classes", "synapses"]
Metric = Literal["voi", "dice", "ap", "nerl"]
MOST_CLASSES = 20


def score(
    segmentation_zyx: Labels,
    truth_zyx: Labels,
    *,
    ignore_zyx: npt.NDArray[np.bool_] | None = None,
    kind: Kind,
    values: Sequence[int] = (),
) -> dict[str, float]:
    """All scores of one volume in memory.

    Args:
        segmentation_zyx: Instance ids or raw class values, (Z, Y, X), never negative.
        truth_zyx: The same shape.
        ignore_zyx: Voxels that nobody labeled; they do not count.
        kind: What the labels are.
        values: Raw values of the classes; none given: all that occur. Used for classes only.

    Returns:
        Score by name, as :func:`scores_from_table`.

    Raises:
        DataError: The shapes differ, or labels are not whole numbers from 0.
    """
    return scores_from_table(contingency(segmentation_zyx, truth_zyx, ignore_zyx), kind, values)


def scores_from_table(table: Contingency, kind: Kind, values: Sequence[int] = ()) -> dict[str, float]:
    """All scores of a kind of labels, by name.

    instances: voi_split, voi_merge, voi (bits), adapted_rand (error) with _precision and _recall, cremi_adapted_rand,
    cremi_score (the geometric mean of it and voi), ap_50, ap_75, ap (mean over IoU .5 to .95), and pq with its factors sq and
    rq. Truth's background (0) is left out of VOI and Rand.
    synapses, whose ids 2k - 1 and 2k are two sides: the same of the sides, and synapse_f1, synapse_side_accuracy and
    synapse_sided_f1 of both together.
    classes: dice/V and iou/V for every raw value V that occurs, mean_dice over these, mean_foreground_dice over
    those that are not background (0, or the first value where there is no 0; 1 where no foreground occurs).
    """
    if kind == "classes":
        return _class_scores(table, values)
    return _instance_scores(table) | (_synapse_scores(table) if kind == "synapses" else {})


def boundary_scores(boundaries: Mapping[int, Boundary]) -> dict[str, float]:
    """boundary_f1/V for every raw value V that has a boundary on either side, and mean_boundary_f1 over these (1 for none)."""
    f1 = {v: boundary.f1 for v, boundary in sorted(boundaries.items())}
    mean = float(np.mean(list(f1.values()))) if f1 else 1.0
    return {**{f"boundary_f1/{v}": value for v, value in f1.items()}, "mean_boundary_f1": mean}


def guess_kind(table: Contingency, truth_dtype: np.dtype[Any]) -> Kind:
    """Classes where the truth is stored in one byte and both volumes hold at most 20 different values, else instances."""
    most = max(len(table.segments.ids), len(table.truths.ids))
    return "classes" if most <= MOST_CLASSES and truth_dtype.itemsize == 1 else "instances"


def figure_of_merit(scores: dict[str, float], metric: Metric) -> float:
    """The one number by which a checkpoint or a decoder is chosen; higher is better.

    voi: minus the variation of information; dice: mean_foreground_dice; ap: ap; nerl: nerl, where a single node of a second
    skeleton makes a segment a merger.
    """
    if metric == "voi":
        return -scores["voi"]
    return scores["mean_foreground_dice" if metric == "dice" else metric]


def _instance_scores(table: Contingency) -> dict[str, float]:
    information, pairs, cremi = voi(table), adapted_rand(table), cremi_adapted_rand(table)
    precision, panoptic = average_precision(table), panoptic_quality(table)
    return {
        "voi_split": information.split,
        "voi_merge": information.merge,
        "voi": information.total,
        "adapted_rand": pairs.error,
        "adapted_rand_precision": pairs.precision,
        "adapted_rand_recall": pairs.recall,
        "cremi_adapted_rand": cremi.error,
        "cremi_score": math.sqrt(information.total * max(0.0, cremi.error)),
        "ap_50": precision[50],
        "ap_75": precision[75],
        "ap": float(np.mean(list(precision.values()))),
        "pq": panoptic.quality,
        "sq": panoptic.segmentation,
        "rq": panoptic.recognition,
    }


def _synapse_scores(table: Contingency) -> dict[str, float]:
    found = synapse_scores(table)
    return {
        "synapse_f1": found.f1,
        "synapse_side_accuracy": found.side_accuracy,
        "synapse_sided_f1": found.sided_f1,
    }


def _class_scores(table: Contingency, values: Sequence[int]) -> dict[str, float]:
    found = overlap(table, values)
    known = [int(v) for v in values] if len(values) else list(found)
    background = 0 if 0 in known or not known else known[0]
    dice = [o.dice for o in found.values()]
    foreground = [o.dice for v, o in found.items() if v != background]
    return {
        **{f"dice/{v}": o.dice for v, o in found.items()},
        **{f"iou/{v}": o.iou for v, o in found.items()},
        "mean_dice": float(np.mean(dice)) if dice else 1.0,
        "mean_foreground_dice": float(np.mean(foreground)) if foreground else 1.0,
    }
