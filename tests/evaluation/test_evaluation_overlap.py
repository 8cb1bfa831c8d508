from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.evaluation.contingency import contingency
from pytc_auto.evaluation.overlap import overlap

TRUTH = np.array([0, 0, 0, 3, 3, 255, 255, 255], np.uint8)
FOUND = np.array([0, 0, 3, 3, 3, 255, 0, 255], np.uint8)


def test_by_hand():
    scores = overlap(contingency(FOUND, TRUTH))
    assert list(scores) == [0, 3, 255]
    assert (scores[0].dice, scores[0].iou) == pytest.approx((2 * 2 / 6, 2 / 4))
    assert (scores[3].dice, scores[3].iou) == pytest.approx((2 * 2 / 5, 2 / 3))
    assert (scores[255].dice, scores[255].iou) == pytest.approx((2 * 2 / 5, 2 / 3))


def test_agrees_with_masks():
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 4, (4, 5, 6)), rng.integers(1, 6, (4, 5, 6))
    for value, score in overlap(contingency(found, truth)).items():
        a, b = found == value, truth == value
        assert score.dice == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
        assert score.iou == pytest.approx((a & b).sum() / (a | b).sum())


def test_values_come_in_the_order_asked_for_and_absent_ones_are_left_out():
    scores = overlap(contingency(FOUND, TRUTH), [255, 7, 0])
    assert list(scores) == [255, 0]


def test_a_value_on_one_side_only_scores_0():
    scores = overlap(contingency(np.array([1, 1]), np.array([2, 2])))
    assert [(s.dice, s.iou) for s in scores.values()] == [(0, 0), (0, 0)]
