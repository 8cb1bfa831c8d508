from __future__ import annotations

import itertools

import numpy as np
import pytest

from pytc_auto.fingerprint import surface
from pytc_auto.fingerprint.components import find_components
from pytc_auto.fingerprint.surface import gap_widths_nm, measure_surface

SIZE = (30.0, 12.0, 7.0)


def _slow_surface(ids, labelled, size):
    touching = whole = 0.0
    for place in itertools.product(*map(range, ids.shape)):
        for axis in range(3):
            other = tuple(p + (i == axis) for i, p in enumerate(place))
            if other[axis] >= ids.shape[axis] or not (labelled[place] and labelled[other]):
                continue
            if ids[place] != ids[other]:
                area = np.prod(size) / size[axis]
                whole += area
                touching += area if ids[place] and ids[other] else 0.0
    return touching, whole


def _gaps(ids, size=(10.0, 10.0, 10.0), seed=0):
    ids = np.asarray(ids, np.uint32)
    labelled = np.ones(ids.shape, bool)
    return gap_widths_nm(find_components(ids, labelled).ids_zyx, labelled, size, np.random.default_rng(seed))


def test_surface_is_that_of_the_oracle():
    rng = np.random.default_rng(0)
    ids, labelled = rng.integers(0, 3, (4, 5, 6)).astype(np.uint8), rng.random((4, 5, 6)) < 0.9
    before = ids.copy()
    found = measure_surface(ids, labelled, SIZE)
    assert (found.touching, found.whole) == pytest.approx(_slow_surface(ids, labelled, SIZE))
    np.testing.assert_array_equal(ids, before)


def test_two_cubes_that_touch():
    ids = np.zeros((6, 7, 10), np.uint8)
    ids[1:4, 1:4, 1:4], ids[1:4, 1:4, 4:7] = 1, 2
    found = measure_surface(ids, np.ones(ids.shape, bool), (1, 1, 1))
    assert (found.touching, found.whole) == (9, 9 + 2 * 45)


def test_the_border_is_no_surface():
    ids = np.ones((3, 4, 5), np.uint8)
    assert measure_surface(ids, np.ones(ids.shape, bool), SIZE).whole == 0
    ids[:, :, 3:] = 2
    found = measure_surface(ids, np.ones(ids.shape, bool), SIZE)
    assert found.touching == found.whole == 12 * 30 * 12


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("gap", [1, 2, 3, 6])
def test_a_straight_gap_has_its_width(axis, gap):
    size = (12.0, 10.0, 7.0)
    ids = np.zeros((20, 9, 11), np.uint32)
    ids[:7], ids[7 + gap :] = 1, 2
    widths = _gaps(np.moveaxis(ids, 0, axis), size)
    np.testing.assert_allclose(widths, gap * size[axis])


def test_a_slanted_gap_is_not_wider_than_across():
    y, x = np.ogrid[:60, :60]
    across = (y + x - 60) / np.sqrt(2)
    ids = np.broadcast_to(np.where(across < -4, 1, np.where(across > 4, 2, 0)), (20, 60, 60))
    assert np.median(_gaps(ids)) == pytest.approx(80, abs=10)


def test_gaps_in_thick_sections_are_measured_in_the_plane():
    ids = np.zeros((6, 40, 50), np.uint32)
    ids[:, :18], ids[:, 22:] = 1, 2
    ids[3] = 0
    np.testing.assert_allclose(_gaps(ids, (50.0, 4.0, 4.0)), 16)
    np.testing.assert_allclose(_gaps(np.moveaxis(ids, 0, 2), (4.0, 4.0, 50.0)), 16)


def test_profiles_of_one_object_have_a_gap_in_thick_sections():
    ids = np.zeros((3, 40, 50), np.uint32)
    ids[1:, :18], ids[1:, 21:], ids[0] = 1, 1, 1
    assert len(find_components(ids, np.ones(ids.shape, bool)).voxels) == 1
    np.testing.assert_allclose(_gaps(ids, (50.0, 4.0, 4.0)), 12)
    assert _gaps(ids).size == 0


def test_unlabeled_voxels_are_no_gap():
    ids, labelled = np.zeros((20, 9, 11), np.uint32), np.ones((20, 9, 11), bool)
    ids[:7], ids[12:] = 1, 2
    labelled[7:12, :, :5] = False
    widths = gap_widths_nm(ids, labelled, (10, 10, 10), np.random.default_rng(0))
    assert widths.size == 9 * 6
    np.testing.assert_allclose(widths, 50)


def test_one_object_or_none_has_no_gap():
    ids = np.zeros((5, 6, 7))
    assert _gaps(ids).size == 0
    ids[2] = 1
    assert _gaps(ids).size == 0
    assert _gaps(np.ones((5, 6, 7))).size == 0


def test_the_seed_chooses_the_places(monkeypatch):
    monkeypatch.setattr(surface, "GAP_SIDE", 20)
    ids = np.kron(np.arange(1, 9).reshape(2, 2, 2), np.ones((40, 20, 24), int)).astype(np.uint32)
    ids *= np.random.default_rng(0).random(ids.shape) < 0.95
    a, b, c = (np.sort(_gaps(ids, seed=s)) for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
