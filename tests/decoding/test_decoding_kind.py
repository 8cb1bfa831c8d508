from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.decoding.kind import Regions, cropped, kept_ids
from pytc_auto.geometry import Box


@pytest.mark.parametrize("farthest", [9, 10_000])
@pytest.mark.parametrize(("shape", "core"), [((5, 6, 7), Box((1, 0, 2), (4, 6, 5))), ((3, 9, 4), Box((0, 2, 1), (3, 5, 4)))])
def test_ids_of_the_core_are_dense_and_know_what_they_were(shape, core, farthest):
    """Few ids, or ids that are far apart."""
    known = np.array([0, 2, 3, 7, farthest], np.uint32)
    ids = known[np.random.default_rng(sum(shape)).integers(0, 5, shape)]
    unchanged = ids.copy()
    found, before = cropped(ids, core)
    np.testing.assert_array_equal(before[found], ids[core.slices])
    assert sorted(before.tolist()) == sorted(set(np.unique(ids[core.slices]).tolist()) | {0})
    assert found.dtype == np.uint32
    assert before[0] == 0
    np.testing.assert_array_equal(ids, unchanged)


def test_ids_that_are_dense_stay():
    ids = np.array([[[1, 1, 3], [2, 2, 0]]], np.uint32)
    found, before = cropped(ids, Box.of_shape(ids.shape))
    assert (found.tolist(), before.tolist()) == (ids.tolist(), [0, 1, 2, 3])
    found, before = cropped(ids, Box((0, 0, 0), (1, 1, 3)))
    assert (found.tolist(), before.tolist()) == ([[[1, 1, 2]]], [0, 1, 3])


def test_only_what_is_kept_has_ids():
    ids, values = np.array([[[1, 1, 2, 0]]], np.uint32), np.zeros(3, np.int64)
    assert kept_ids(Regions(ids, None, values)) is ids
    assert kept_ids(Regions(ids, np.array([[[True, True, True, False]]]), values)) is ids
    assert kept_ids(Regions(ids, np.array([[[True, False, True, True]]]), values)).tolist() == [[[1, 0, 2, 0]]]
