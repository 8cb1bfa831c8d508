from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import adapted_rand_error, variation_of_information

from pytc_auto.evaluation.scores import figure_of_merit, score

HALVES = np.repeat([1, 2], 8).reshape(4, 2, 2).astype(np.uint32)
ONE = np.ones((4, 2, 2), np.uint32)


def test_identical_labels_are_perfect():
    scores = score(HALVES, HALVES, kind="instances")
    assert scores["voi"] == pytest.approx(0)
    assert scores["adapted_rand"] == pytest.approx(0)
    assert scores["ap"] == pytest.approx(1)


def test_a_pure_merge_by_hand():
    scores = score(ONE, HALVES, kind="instances")
    assert scores["voi_merge"] == pytest.approx(1.0)
    assert scores["voi_split"] == pytest.approx(0)
    assert scores["adapted_rand_recall"] == pytest.approx(1.0)
    assert scores["adapted_rand_precision"] == pytest.approx(0.5, abs=0.05)
    assert scores["ap_75"] == 0


def test_a_pure_split_by_hand():
    scores = score(HALVES, ONE, kind="instances")
    assert scores["voi_split"] == pytest.approx(1.0)
    assert scores["voi_merge"] == pytest.approx(0)
    assert scores["adapted_rand_precision"] == pytest.approx(1.0)
    assert scores["adapted_rand_recall"] == pytest.approx(0.5, abs=0.05)


def test_agrees_with_scikit_image_where_that_is_right():
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 9, (5, 6, 7)), rng.integers(1, 6, (5, 6, 7))
    scores = score(found, truth, kind="instances")
    assert scores["adapted_rand"] == pytest.approx(adapted_rand_error(truth, found)[0], abs=0.02)
    inside = truth > 0
    split, merge = variation_of_information(truth[inside], found[inside])
    assert sorted((scores["voi_split"], scores["voi_merge"])) == pytest.approx(sorted((split, merge)), abs=1e-6)


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
