from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from pytc_auto.fingerprint import solidity
from pytc_auto.fingerprint.components import find_components
from pytc_auto.fingerprint.solidity import solidities


def _of(ids):
    ids = np.asarray(ids, np.uint32)
    return solidities(find_components(ids, np.ones(ids.shape, bool)))


def test_a_box_is_solid_and_a_corner_is_not():
    ids = np.zeros((8, 12, 30))
    ids[1:6, 1:6, 1:6] = 1
    ids[1:5, 1:9, 10:18] = 2
    ids[1:5, 5:9, 14:18] = 0
    ids[1:5, 1:9, 19:27] = 3
    found = _of(ids)
    assert found.tolist() == pytest.approx([1.0, 0.92, 1.0], abs=0.01)


def _slow(mask):
    """The hull of the face centers of all voxels."""
    places = np.argwhere(mask)
    points = np.concatenate([places + step for step in [*np.eye(3) / 2, *-np.eye(3) / 2]])
    return mask.sum() / ConvexHull(points).volume


def test_solidity_is_that_of_the_oracle():
    z, y, x = np.ogrid[-12:13, -14:15, -16:17]
    ball = z**2 + y**2 + x**2 < 121
    bean = (z**2 + (y / 1.1) ** 2 + (x / 1.3) ** 2 < 40) & (z**2 + (y - 6) ** 2 + x**2 > 30)
    tilted = (abs(z - x / 2) < 3) & (abs(y + x / 3) < 4) & (abs(x) < 12)
    for mask in (ball, bean, tilted):
        assert _of(mask).tolist() == pytest.approx([min(1, _slow(mask))])
    assert _of(ball)[0] > 0.93
    assert _of(bean)[0] < 0.9


def test_small_and_cut_objects_are_left_out():
    ids = np.zeros((8, 12, 30))
    ids[1:4, 1:4, 1:4] = 1
    ids[:, 6:10, 10:20] = 2
    assert _of(ids).size == 0


def test_only_the_largest_are_looked_at(monkeypatch):
    monkeypatch.setattr(solidity, "MOST_COMPONENTS", 1)
    ids = np.zeros((8, 12, 30))
    ids[1:6, 1:6, 1:6] = 1
    ids[1:6, 1:9, 10:18] = 2
    ids[1:6, 5:9, 14:18] = 0
    assert _of(ids).tolist() == pytest.approx([0.92], abs=0.03)


def test_a_large_object_is_thinned(monkeypatch):
    z, y, x = np.ogrid[-12:13, -14:15, -16:17]
    ball = z**2 + y**2 + x**2 < 121
    whole = _of(ball)
    monkeypatch.setattr(solidity, "MOST_ROWS", 200)
    assert _of(ball) == pytest.approx(whole, abs=0.05)
    assert 0.9 < whole[0] <= 1
