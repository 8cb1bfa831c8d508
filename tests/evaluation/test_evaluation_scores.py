from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from skimage.metrics import adapted_rand_error, variation_of_information

from pytc_auto.evaluation.scores import figure_of_merit, score

HALVES = np.repeat([1, 2], 8).reshape(4, 2, 2).astype(np.uint32)
ONE = np.ones((4, 2, 2), np.uint32)


UNEVEN = np.repeat([1, 2], [12, 4]).reshape(4, 2, 2).astype(np.uint32)
ENTROPY = 2 - 0.75 * np.log2(3)
"""Of twelve voxels and four, in bits."""

WHOLE_AND_PARTS = {
    "adapted_rand": 1 - 2 * 0.6 / 1.6,
    "cremi_adapted_rand": 1 - 2 * 160 / (256 + 160),
    "cremi_score": np.sqrt(ENTROPY * 96 / 416),
    "voi": ENTROPY,
    "ap_50": 1 / 2,
    "ap_75": 1 / 2,
    "ap": 6 / 10 * 1 / 2,
    "pq": 0.75 * 2 / 3,
    "sq": 0.75,
    "rq": 2 / 3,
}
"""One label over all sixteen voxels, against two of twelve and of four. Of 240 ordered pairs 132 + 12 lie in a part; of 256 with
the voxels themselves 144 + 16. The one and the larger part have an IoU of exactly 3/4."""


def test_identical_labels_are_perfect():
    scores = score(UNEVEN, UNEVEN * 7, kind="instances")
    best = {name: 0.0 for name in scores if name.startswith(("voi", "cremi", "adapted"))}
    best |= dict.fromkeys(("adapted_rand_precision", "adapted_rand_recall", "ap_50", "ap_75", "ap", "pq", "sq", "rq"), 1.0)
    assert scores == pytest.approx(best, abs=1e-12)


def test_a_pure_merge_by_hand_for_every_score():
    merge = {"voi_merge": ENTROPY, "voi_split": 0, "adapted_rand_precision": 144 / 240, "adapted_rand_recall": 1}
    assert score(ONE, UNEVEN, kind="instances") == pytest.approx(WHOLE_AND_PARTS | merge, abs=1e-12)


def test_a_pure_split_by_hand_for_every_score():
    split = {"voi_merge": 0, "voi_split": ENTROPY, "adapted_rand_precision": 1, "adapted_rand_recall": 144 / 240}
    assert score(UNEVEN, ONE, kind="instances") == pytest.approx(WHOLE_AND_PARTS | split, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(2, 6)),
    ids=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_scikit_image(shape, ids, seed):
    """Which leaves out 0 of truth by itself for the Rand error only, and swaps the names of precision and recall."""
    rng = np.random.default_rng(seed)
    truth, found = rng.integers(0, ids[0] + 1, shape), rng.integers(0, ids[1] + 1, shape)
    inside = truth > 0
    assume(max(np.unique(labels[inside], return_counts=True)[1].max(initial=0) for labels in (truth, found)) > 1)
    scores = score(found, truth, kind="instances")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error, recall, precision = adapted_rand_error(truth, found)
    split, merge = variation_of_information(truth[inside], found[inside])
    assert (scores["voi_split"], scores["voi_merge"]) == pytest.approx((split, merge), abs=1e-9)
    assert scores["adapted_rand"] == pytest.approx(error, abs=1e-9)
    if np.isfinite(precision) and np.isfinite(recall):
        assert (scores["adapted_rand_precision"], scores["adapted_rand_recall"]) == pytest.approx((precision, recall), abs=1e-9)


def test_ignored_voxels_do_not_count():
    wrong = HALVES.copy()
    wrong[0] = 7
    ignore = np.zeros(HALVES.shape, bool)
    ignore[0] = True
    assert score(wrong, HALVES, ignore_zyx=ignore, kind="instances")["voi"] == pytest.approx(0)
    assert score(wrong, HALVES, kind="instances")["voi"] > 0


def test_classes_are_scored_by_raw_value():
    truth = np.array([0, 0, 255, 255], np.uint8).reshape(1, 2, 2)
    found = np.array([0, 255, 255, 255], np.uint8).reshape(1, 2, 2)
    scores = score(found, truth, kind="classes", values=[0, 255])
    assert scores["dice/255"] == pytest.approx(0.8)
    assert scores["dice/0"] == pytest.approx(2 / 3)
    assert scores["iou/255"] == pytest.approx(2 / 3)
    assert scores["mean_dice"] == pytest.approx((0.8 + 2 / 3) / 2)


def test_merit_rises_with_quality():
    good, bad = (score(found, HALVES, kind="instances") for found in (HALVES, ONE))
    for metric in ("voi", "ap"):
        assert figure_of_merit(good, metric) > figure_of_merit(bad, metric)


def test_the_cremi_score_joins_its_two_parts():
    scores = score(ONE, HALVES, kind="instances")
    assert scores["cremi_adapted_rand"] == pytest.approx(1 / 3)
    assert scores["cremi_score"] == pytest.approx((1.0 * 1 / 3) ** 0.5)
    assert score(HALVES, HALVES, kind="instances")["cremi_score"] == 0
    assert (scores["pq"], scores["sq"], scores["rq"]) == (0, 0, 0)
