from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import variation_of_information

from pytc_auto.evaluation.contingency import contingency
from pytc_auto.evaluation.voi import voi

ONE = np.ones(8, int)
HALVES = np.repeat([1, 2], 4)
QUARTERS = np.repeat([1, 2, 3, 4], 2)
UNEVEN = np.repeat([1, 2], [2, 6])


@pytest.mark.parametrize(
    ("segmentation", "truth", "split", "merge"),
    [
        (HALVES, HALVES, 0, 0),
        (ONE, HALVES, 0, 1),
        (HALVES, ONE, 1, 0),
        (QUARTERS, ONE, 2, 0),
        (ONE, UNEVEN, 0, -0.25 * np.log2(0.25) - 0.75 * np.log2(0.75)),
        (np.array([1, 2, 1, 2, 1, 2, 1, 2]), HALVES, 1, 1),
    ],
    ids=["identical", "merge", "split", "split in four", "uneven merge", "unrelated"],
)
def test_cases_by_hand_in_bits(segmentation, truth, split, merge):
    found = voi(contingency(segmentation, truth))
    assert found.split == pytest.approx(split, abs=1e-12)
    assert found.merge == pytest.approx(merge, abs=1e-12)
    assert found.total == pytest.approx(split + merge, abs=1e-12)
    assert min(found.split, found.merge) >= 0


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("ignore", [True, False])
def test_agrees_with_scikit_image(seed, ignore):
    rng = np.random.default_rng(seed)
    truth, segmentation = rng.integers(0, 6, (5, 6, 7)), rng.integers(0, 3, (5, 6, 7))
    inside = truth > 0 if ignore else np.ones(truth.shape, bool)
    # scikit-image gives H(second | first), then H(first | second)
    split, merge = variation_of_information(truth[inside], segmentation[inside])
    found = voi(contingency(segmentation, truth), ignore_background=ignore)
    assert (found.split, found.merge) == pytest.approx((split, merge))
    assert found.split < found.merge


def test_nothing_to_compare_is_no_error():
    assert voi(contingency(ONE, np.zeros(8, int))).total == 0
