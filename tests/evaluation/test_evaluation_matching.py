from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from pytc_auto.evaluation.contingency import contingency
from pytc_auto.evaluation.matching import IOU_PERCENT, average_precision, panoptic_quality


def row(*runs):
    """An array from (value, length) pairs."""
    return np.repeat([value for value, _ in runs], [length for _, length in runs])


def by_assignment(segmentation, truth, percent):
    """TP / (TP + FP + FN) with the assignment that matches most pairs."""
    segments, objects = (np.setdiff1d(np.unique(a), [0]) for a in (segmentation, truth))
    fits = np.zeros((len(segments), len(objects)))
    for i, s in enumerate(segments):
        for j, t in enumerate(objects):
            both = np.sum((segmentation == s) & (truth == t))
            fits[i, j] = 100 * both >= percent * np.sum((segmentation == s) | (truth == t))
    matched = fits[linear_sum_assignment(-fits)].sum()
    return matched / (len(segments) + len(objects) - matched)


def test_by_hand():
    """One object found exactly, one with an IoU of 3/5, one missed, one segment that is nothing."""
    truth = row((1, 5), (2, 5), (3, 5), (0, 5))
    found = row((1, 5), (2, 3), (0, 2), (0, 5), (9, 5))
    scores = average_precision(contingency(found, truth))
    assert scores[50] == scores[60] == pytest.approx(2 / (2 + 1 + 1))
    assert scores[65] == scores[95] == pytest.approx(1 / (1 + 2 + 2))
    assert list(scores) == list(IOU_PERCENT) == [50, 55, 60, 65, 70, 75, 80, 85, 90, 95]


def test_an_object_in_two_equal_halves_is_matched_once():
    scores = average_precision(contingency(row((1, 4), (2, 4)), row((7, 8))), [50, 55])
    assert scores == {50: pytest.approx(1 / 2), 55: 0}


def test_voxels_over_background_count_in_the_size():
    scores = average_precision(contingency(row((1, 8)), row((1, 5), (0, 3))), [60, 65])
    assert scores == {60: 1, 65: 0}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_agrees_with_an_assignment(seed):
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.permutation(12), rng.integers(1, 12, 12))
    found = truth.copy()
    wrong = rng.random(len(truth)) < 0.25
    found[wrong] = rng.integers(0, 14, wrong.sum())
    scores = average_precision(contingency(found, truth))
    for percent, score in scores.items():
        assert score == pytest.approx(by_assignment(found, truth, percent))
    assert 0 < scores[50] <= 1


def test_without_instances():
    empty, one = np.zeros(4, int), np.ones(4, int)
    assert average_precision(contingency(empty, empty), [50]) == {50: 1}
    assert average_precision(contingency(one, empty), [50]) == {50: 0}
    assert average_precision(contingency(empty, one), [50]) == {50: 0}


def by_loops(segmentation, truth):
    """PQ, SQ and RQ, one pair at a time."""
    segments, objects = (np.setdiff1d(np.unique(a), [0]) for a in (segmentation, truth))
    ious = [
        np.sum((segmentation == s) & (truth == t)) / np.sum((segmentation == s) | (truth == t)) for s in segments for t in objects
    ]
    right = [iou for iou in ious if iou > 0.5]
    recognized = len(right) / (len(right) + (len(segments) - len(right)) / 2 + (len(objects) - len(right)) / 2)
    return sum(right) / len(right) * recognized, sum(right) / len(right), recognized


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_panoptic_quality_agrees_with_loops(seed):
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.permutation(12), rng.integers(1, 12, 12))
    found = truth.copy()
    wrong = rng.random(len(truth)) < 0.25
    found[wrong] = rng.integers(0, 14, wrong.sum())
    scored = panoptic_quality(contingency(found, truth))
    assert (scored.quality, scored.segmentation, scored.recognition) == pytest.approx(by_loops(found, truth))
    assert 0 < scored.quality < scored.segmentation < 1


@pytest.mark.parametrize(
    ("found", "truth", "quality", "segmentation", "recognition"),
    [
        (row((1, 5), (2, 3), (0, 2), (0, 5), (9, 5)), row((1, 5), (2, 5), (3, 5), (0, 5)), 1.6 / 3, 0.8, 2 / 3),
        (row((1, 8)), row((1, 6), (2, 2)), 0.5, 0.75, 2 / 3),
        (row((1, 6), (2, 2)), row((1, 8)), 0.5, 0.75, 2 / 3),
        (row((1, 8)), row((1, 4), (2, 4)), 0, 0, 0),
        (row((5, 4), (7, 4)), row((1, 4), (2, 4)), 1, 1, 1),
        (row((0, 8)), row((0, 8)), 1, 1, 1),
        (row((0, 8)), row((1, 8)), 0, 0, 0),
    ],
    ids=["mixed", "merge", "split", "even merge", "identical", "empty", "nothing found"],
)
def test_panoptic_quality_by_hand(found, truth, quality, segmentation, recognition):
    scored = panoptic_quality(contingency(found, truth))
    assert (scored.quality, scored.segmentation, scored.recognition) == pytest.approx((quality, segmentation, recognition))


def test_a_hundred_thousand_objects_are_matched():
    """Every second object lost 3 of its 10 voxels to a segment of their own: IoU 0.7, or 0.3."""
    objects = 100_000
    truth = np.repeat(np.arange(1, objects + 1), 10)
    found = truth.copy()
    found.reshape(-1, 20)[:, :3] += objects
    table, half = contingency(found, truth), objects / 2
    scores = average_precision(table)
    assert scores[50] == scores[70] == pytest.approx(objects / (objects + half))
    assert scores[75] == pytest.approx(half / (objects + half + half))
    assert panoptic_quality(table).quality == pytest.approx((half + half * 0.7) / (objects + half / 2))
