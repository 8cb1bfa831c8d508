from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.evaluation.contingency import Contingency, contingency, total


def as_dict(table):
    return dict(zip(zip(table.segment_ids.tolist(), table.truth_ids.tolist(), strict=True), table.counts.tolist(), strict=True))


def pair(seed, shape, dtype=np.int64):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 5, shape).astype(dtype), rng.integers(0, 4, shape).astype(dtype)


@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 9, 4), (8, 3, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_counts_are_those_of_a_plain_loop(shape, dtype):
    segmentation, truth = pair(1, shape, dtype)
    kept = segmentation.copy(), truth.copy()
    expected = Counter(zip(segmentation.ravel().tolist(), truth.ravel().tolist(), strict=True))
    table = contingency(segmentation, truth)
    assert as_dict(table) == expected
    assert table.voxels == segmentation.size
    np.testing.assert_array_equal(segmentation, kept[0])
    np.testing.assert_array_equal(truth, kept[1])


def test_rows_are_sorted_and_no_pair_occurs_twice():
    table = contingency(*pair(2, (6, 7, 8)))
    rows = list(zip(table.segment_ids.tolist(), table.truth_ids.tolist(), strict=True))
    assert rows == sorted(set(rows))
    assert len(rows) == 20


def test_ignored_voxels_are_not_counted():
    segmentation, truth = pair(3, (4, 5, 6))
    ignore = np.random.default_rng(4).random(truth.shape) < 0.4
    expected = Counter(zip(segmentation[~ignore].tolist(), truth[~ignore].tolist(), strict=True))
    assert as_dict(contingency(segmentation, truth, ignore)) == expected


def test_ids_that_a_float_cannot_tell_apart_stay_apart():
    truth = np.array([2**53, 2**53 + 1, 2**63, 2**63 + 1, 2**64 - 1], np.uint64).reshape(1, 1, 5)
    table = contingency(truth, truth)
    assert table.segment_ids.tolist() == table.truth_ids.tolist() == truth.ravel().tolist()
    assert table.counts.tolist() == [1] * 5


@pytest.mark.parametrize("high", [(0, 0), (0, 2**32), (2**32, 0), (2**40, 2**63)])
def test_large_ids_are_counted_and_sorted_as_small_ones(high):
    segmentation, truth = (a.astype(np.uint64) for a in pair(7, (6, 7, 8)))
    segmentation[segmentation == 2] += np.uint64(high[0])
    truth[truth == 1] += np.uint64(high[1])
    table = contingency(segmentation, truth)
    assert as_dict(table) == Counter(zip(segmentation.ravel().tolist(), truth.ravel().tolist(), strict=True))
    rows = list(zip(table.segment_ids.tolist(), table.truth_ids.tolist(), strict=True))
    assert rows == sorted(rows)


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_tables_of_blocks_add_up_to_the_whole(cut):
    segmentation, truth = pair(5, (9, 5, 6))
    whole = contingency(segmentation, truth)
    parts = [contingency(segmentation[part], truth[part]) for part in (slice(0, cut), slice(cut, None))]
    assert as_dict(parts[0] + parts[1]) == as_dict(total([Contingency.empty(), *parts])) == as_dict(whole)
    assert (parts[0] + parts[1]).segment_ids.tolist() == whole.segment_ids.tolist()


def test_sizes_are_sums_over_rows_and_columns():
    segmentation, truth = pair(6, (5, 6, 7))
    table = contingency(segmentation, truth)
    assert table.segments.counts.tolist() == np.bincount(segmentation.ravel()).tolist()
    assert table.truths.counts.tolist() == np.bincount(truth.ravel()).tolist()
    assert table.truths.ids.tolist() == [0, 1, 2, 3]
    assert 0 not in table.without_truth(0).truth_ids
    assert table.without_truth(0).voxels == np.count_nonzero(truth)


def test_nothing_gives_an_empty_table():
    for table in (
        contingency(np.zeros((0, 3, 3), np.uint8), np.zeros((0, 3, 3), np.uint8)),
        contingency(np.ones((2, 2, 2), int), np.ones((2, 2, 2), int), np.ones((2, 2, 2), bool)),
        Contingency.empty() + Contingency.empty(),
    ):
        assert table.voxels == 0
        assert len(table.segments.ids) == len(table.truths.ids) == 0


def test_what_cannot_be_compared_is_refused():
    ones = np.ones((2, 3, 4), np.int32)
    with pytest.raises(DataError, match=r"segmentation \[2, 3, 4\], truth \[2, 3, 5\].*Crop or resample"):
        contingency(ones, np.ones((2, 3, 5), np.int32))
    with pytest.raises(DataError, match=r"ignore mask \[4, 3, 2\]"):
        contingency(ones, ones, np.zeros((4, 3, 2), bool))
    with pytest.raises(DataError, match=r"segmentation: labels must be whole numbers, got float32"):
        contingency(ones.astype(np.float32), ones)
    with pytest.raises(DataError, match=r"truth: labels must not be negative, got -1"):
        contingency(ones, -ones)
