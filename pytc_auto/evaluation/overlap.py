"""Dice and intersection over union of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytc_auto.evaluation.contingency import Contingency, Ids, Sizes


@dataclass(frozen=True)
class Overlap:
    """How well one class agrees; 1 is best.

    Attributes:
        dice: 2 · both / (segmentation + truth), in voxels.
        iou: both / either.
    """

    dice: float
    iou: float


def overlap(table: Contingency, values: Sequence[int] = ()) -> dict[int, Overlap]:
    """Dice and IoU of each value.

    Args:
        table: Raw values of segmentation and truth.
        values: Those to score, in the order of the result. None given: all that occur.

    Returns:
        One entry per value. A value that occurs in neither volume is left out: there was nothing to find.
    """
    present = np.union1d(table.segments.ids, table.truths.ids)
    wanted = [int(v) for v in values] if len(values) else [int(v) for v in present]
    found = set(present.tolist())
    return {v: _of_value(table, v) for v in wanted if v in found}


def _of_value(table: Contingency, value: int) -> Overlap:
    both = int(table.counts[_is(table.segment_ids, value) & _is(table.truth_ids, value)].sum())
    sizes = _voxels(table.segments, value) + _voxels(table.truths, value)
    return Overlap(dice=2 * both / sizes, iou=both / (sizes - both))


def _is(ids: Ids, value: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return ids == np.uint64(value)


def _voxels(sizes: Sizes, value: int) -> int:
    return int(sizes.counts[_is(sizes.ids, value)].sum())
