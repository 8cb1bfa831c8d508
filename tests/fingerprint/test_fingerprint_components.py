from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint.components import extents_nm, find_components, inscribed_diameters, profiles_of

SIZE = (30.0, 12.0, 7.0)


def _find(ids, labelled=None):
    ids = np.asarray(ids, np.uint32)
    return find_components(ids, np.ones(ids.shape, bool) if labelled is None else labelled)


def _ids():
    """Id 1 in two pieces, id 2 at the border, id 3 touching id 1."""
    ids = np.zeros((8, 10, 13), np.uint32)
    ids[1:3, 2:5, 3:9] = 1
    ids[5:7, 2:4, 2:4] = 1
    ids[3:8, 6:9, 4:6] = 2
    ids[1:3, 5:6, 3:9] = 3
    return ids


def _slow_diameters(ids, size):
    """The largest distance from a voxel to any voxel of another value, twice, for each component."""
    places = np.argwhere(np.ones(ids.shape)) * np.asarray(size)
    flat, found = ids.ravel(), []
    for number in range(1, ids.max() + 1):
        others = places[flat != number]
        inside = places[flat == number]
        nearest = [np.sqrt(((others - p) ** 2).sum(axis=1)).min() for p in inside]
        extent = (inside.max(axis=0) - inside.min(axis=0) + size).max()
        found.append(min(2 * max(nearest), extent))
    return found


def test_components_know_their_id_size_bounds_and_cuts():
    ids = _ids()
    before = ids.copy()
    found = _find(ids)
    rows = {
        (int(v), int(n)): (start.tolist(), stop.tolist(), bool(cut))
        for v, n, start, stop, cut in zip(found.value, found.voxels, found.start, found.stop, found.cut, strict=True)
    }
    assert rows == {
        (1, 36): ([1, 2, 3], [3, 5, 9], False),
        (1, 8): ([5, 2, 2], [7, 4, 4], False),
        (2, 30): ([3, 6, 4], [8, 9, 6], True),
        (3, 12): ([1, 5, 3], [3, 6, 9], False),
    }
    np.testing.assert_array_equal(ids, before)
    assert [int(found.ids_zyx[p]) for p in ((1, 2, 3), (0, 0, 0))] == [int(np.flatnonzero(found.voxels == 36)[0]) + 1, 0]


def test_corners_do_not_connect():
    ids = np.zeros((4, 4, 4), np.uint32)
    ids[1, 1, 1] = ids[2, 2, 1] = 1
    assert len(_find(ids).voxels) == 2


def test_unlabeled_voxels_cut_as_the_border_does():
    labelled = np.ones((8, 10, 13), bool)
    labelled[4] = False
    ids = np.where(labelled, _ids(), 0)
    found = _find(ids, labelled)
    cut = {(int(v), int(n)): bool(c) for v, n, c in zip(found.value, found.voxels, found.cut, strict=True)}
    assert cut == {(1, 36): False, (1, 8): True, (2, 6): True, (2, 18): True, (3, 12): False}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_border_cuts(axis):
    for place in (0, -1):
        ids = np.zeros((5, 6, 7), np.uint32)
        np.moveaxis(ids, axis, 0)[place, 2, 3] = 1
        assert _find(ids).cut.tolist() == [True]


def test_extent_is_the_longest_side_in_nm():
    found = _find(_ids())
    extent = dict(zip(found.voxels.tolist(), extents_nm(found.start, found.stop, SIZE).tolist(), strict=True))
    assert extent == {36: 60.0, 8: 60.0, 30: 150.0, 12: 60.0}
    assert dict(zip(found.voxels.tolist(), extents_nm(found.start, found.stop, (5, 7, 30)).tolist(), strict=True))[36] == 180.0


@pytest.mark.parametrize("size", [(10.0, 10.0, 10.0), (9.0, 12.0, 7.0), (12.0, 7.0, 9.0)])
def test_inscribed_diameters_are_those_of_the_oracle(size):
    rng = np.random.default_rng(0)
    ids = np.kron(rng.integers(0, 3, (3, 3, 4)), np.ones((3, 4, 3), int)).astype(np.uint32)
    found = _find(ids)
    widths = inscribed_diameters(found, size)
    np.testing.assert_allclose(widths.diameter_nm, _slow_diameters(found.ids_zyx.astype(int), size), rtol=1e-5)
    np.testing.assert_array_equal(widths.voxels, found.voxels)


def test_a_cube_and_a_plate_have_known_diameters():
    ids = np.zeros((20, 20, 20), np.uint32)
    ids[2:8, 2:8, 2:8] = 1
    ids[10:14, 2:18, 2:18] = 2
    found = inscribed_diameters(_find(ids), (10, 10, 10))
    assert dict(zip(found.voxels.tolist(), found.diameter_nm.tolist(), strict=True)) == {216: 60.0, 1024: 40.0}


def test_what_the_border_leaves_open_is_no_wider_than_long():
    assert inscribed_diameters(_find(np.ones((4, 5, 6))), (10, 11, 12)).diameter_nm.tolist() == [72.0]
    assert inscribed_diameters(_find(np.ones((4, 5, 6))), (50, 11, 4)).diameter_nm.tolist() == [55.0] * 4


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thick_sections_are_measured_in_the_plane(axis):
    size = [4.0, 4.0, 4.0]
    size[axis] = 50.0
    ids = np.zeros((6, 30, 40), np.uint32)
    ids[1:5, 4:24, 5:25] = 7
    ids[1:3, 26:29, 3:35] = 9
    found = inscribed_diameters(_find(np.ascontiguousarray(np.moveaxis(ids, 0, axis))), tuple(size))
    rows = sorted(zip(found.voxels.tolist(), found.diameter_nm.tolist(), strict=True))
    assert rows == [(96.0, 16.0)] * 2 + [(400.0, 80.0)] * 4


def test_profiles_are_connected_by_sides():
    profiles, count = profiles_of(np.array([[1, 1, 0, 2], [0, 0, 1, 2], [1, 0, 0, 2]], np.uint16))
    assert count == 4
    assert profiles[0, 0] == profiles[0, 1]
    assert profiles[1, 2] not in (0, profiles[0, 1], profiles[0, 3])


def test_nothing_gives_empty_tables():
    found = _find(np.zeros((3, 4, 5)))
    assert found.voxels.size == found.cut.size == extents_nm(found.start, found.stop, SIZE).size == 0
    assert inscribed_diameters(found, SIZE).voxels.size == 0
    assert inscribed_diameters(found, (90, 4, 4)).voxels.size == 0
