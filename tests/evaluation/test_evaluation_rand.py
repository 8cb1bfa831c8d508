from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from skimage.metrics import adapted_rand_error

from pytc_auto.evaluation.contingency import contingency
from pytc_auto.evaluation.rand import adapted_rand, cremi_adapted_rand

ONE = np.ones(4, int)
HALVES = np.array([1, 1, 2, 2])


def by_counting_pairs(segmentation, truth):
    """Precision and recall over all pairs of voxels, one at a time."""
    inside = [(s, t) for s, t in zip(segmentation.ravel(), truth.ravel(), strict=True) if t]
    same = [(a[0] == b[0], a[1] == b[1]) for a, b in itertools.combinations(inside, 2)]
    both = sum(s and t for s, t in same)
    return both / sum(s for s, _ in same), both / sum(t for _, t in same)


def test_a_pure_merge_costs_precision():
    """Six pairs lie in the one segment, two of them in one object."""
    found = adapted_rand(contingency(ONE, HALVES))
    assert found.precision == pytest.approx(1 / 3)
    assert found.recall == 1
    assert found.error == pytest.approx(1 - 2 * (1 / 3) / (1 + 1 / 3))


def test_a_pure_split_costs_recall():
    found = adapted_rand(contingency(HALVES, ONE))
    assert found.precision == 1
    assert found.recall == pytest.approx(1 / 3)
    assert found.error == pytest.approx(0.5)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 5, 6), (4, 4, 3)])
def test_agrees_with_counting_pairs_and_with_scikit_image(shape):
    rng = np.random.default_rng(sum(shape))
    truth, segmentation = rng.integers(0, 4, shape), rng.integers(0, 3, shape)
    found = adapted_rand(contingency(segmentation, truth))
    assert (found.precision, found.recall) == pytest.approx(by_counting_pairs(segmentation, truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error, theirs_recall, theirs_precision = adapted_rand_error(truth, segmentation)
    assert found.error == pytest.approx(error)
    assert (found.precision, found.recall) == pytest.approx((theirs_precision, theirs_recall))


def test_background_of_truth_does_not_count_and_that_of_the_segmentation_does():
    truth = np.array([0, 0, 1, 1, 2, 2])
    right = np.array([5, 6, 1, 1, 2, 2])
    assert adapted_rand(contingency(right, truth)).error == 0
    unsegmented = np.array([5, 6, 0, 0, 0, 0])
    assert adapted_rand(contingency(unsegmented, truth)).precision == pytest.approx(1 / 3)


@pytest.mark.parametrize("truth", [np.zeros(3, int), np.arange(1, 4)], ids=["only background", "no pairs"])
def test_without_pairs_nothing_is_wrong(truth):
    found = adapted_rand(contingency(np.arange(3), truth))
    assert (found.error, found.precision, found.recall) == (0, 1, 1)


def by_cremis_formula(segmentation, truth):
    """Error, precision and recall from a dense table, the first row and column of which are background."""
    dense = np.zeros((truth.max() + 1, segmentation.max() + 1))
    np.add.at(dense, (truth.ravel(), segmentation.ravel()), 1)
    loose = dense[1:, 0].sum() / truth.size
    both = (dense[1:, 1:] ** 2).sum() + loose
    precision, recall = both / ((dense[1:, 1:].sum(0) ** 2).sum() + loose), both / (dense[1:].sum(1) ** 2).sum()
    return 1 - 2 * precision * recall / (precision + recall), precision, recall


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 5, 6), (4, 4, 3)])
def test_cremis_error_agrees_with_its_formula(shape):
    rng = np.random.default_rng(sum(shape))
    truth, segmentation = rng.integers(0, 4, shape), rng.integers(0, 3, shape)
    found = cremi_adapted_rand(contingency(segmentation, truth))
    assert (found.error, found.precision, found.recall) == pytest.approx(by_cremis_formula(segmentation, truth))
    assert found.error != pytest.approx(adapted_rand(contingency(segmentation, truth)).error)


def test_cremis_error_by_hand():
    """A voxel makes a pair with itself: of 16 pairs in one group, 8 lie in the other's halves."""
    merge, split = cremi_adapted_rand(contingency(ONE, HALVES)), cremi_adapted_rand(contingency(HALVES, ONE))
    assert (merge.precision, merge.recall, merge.error) == pytest.approx((0.5, 1, 1 / 3))
    assert (split.precision, split.recall, split.error) == pytest.approx((1, 0.5, 1 / 3))
    assert cremi_adapted_rand(contingency(HALVES, HALVES)).error == 0


def test_cremi_lets_unsegmented_voxels_cost_recall_only():
    """Of the two objects' 8 pairs, 4 are found, and the 2 of 6 voxels that are left out count as a third of a pair."""
    truth, found = np.array([0, 0, 1, 1, 2, 2]), np.array([5, 6, 1, 1, 0, 0])
    scored = cremi_adapted_rand(contingency(found, truth))
    assert (scored.precision, scored.recall) == pytest.approx((1, (4 + 1 / 3) / 8))
    assert cremi_adapted_rand(contingency(found, 0 * truth)).error == 0
