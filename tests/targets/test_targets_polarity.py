import numpy as np
import pytest

from pytc_auto.targets.polarity import polarity_from_labels


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.uint64])
def test_odd_ids_are_presynaptic_and_even_ones_postsynaptic(dtype):
    raw = np.array([[[0, 1, 2, 3, 100, 101, 0]]], dtype)
    before = raw.copy()
    got = polarity_from_labels(raw, raw > 0)
    assert got.dtype == np.bool_
    assert got[:, 0, 0].astype(int).tolist() == [[0, 1, 0, 1, 0, 1, 0], [0, 0, 1, 0, 1, 0, 0], [0, 1, 1, 1, 1, 1, 0]]
    np.testing.assert_array_equal(raw, before)


def test_large_ids_keep_their_parity():
    raw = np.array([[[2**60 + 1, 2**60]]], np.uint64)
    assert polarity_from_labels(raw, raw > 0)[:, 0, 0].astype(int).tolist() == [[1, 0], [0, 1], [1, 1]]


def test_what_is_no_synapse_is_neither():
    raw = np.array([[[5, 6, 7]]], np.uint8)
    assert not polarity_from_labels(raw, np.zeros(raw.shape, bool)).any()


def test_sides_equal_those_of_v1():
    raw = np.random.default_rng(0).integers(0, 9, (4, 5, 6)).astype(np.uint16)
    wanted = [np.logical_and(raw % 2 == 1, raw > 0), np.logical_and(raw % 2 == 0, raw > 0), raw > 0]
    np.testing.assert_array_equal(polarity_from_labels(raw, raw > 0), np.stack(wanted))
