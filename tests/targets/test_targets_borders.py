"""Erosion and boundary beside an exact distance transform."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from pytc_auto.targets.boundary import boundary_from_labels, boundary_mask
from pytc_auto.targets.erosion import erode_borders
from pytc_auto.targets.foreground import foreground_from_labels
from pytc_auto.targets.neighbors import steps_within

SIZES = [(10.0, 10.0, 10.0), (9.0, 8.0, 7.0), (40.0, 5.0, 4.0), (4.0, 30.0, 6.0), (5.0, 4.0, 33.0)]


def some_labels(seed=0, shape=(11, 23, 29)):
    """Blocky objects with some background."""
    coarse = np.random.default_rng(seed).integers(0, 5, [-(-n // 9) for n in shape])
    fine = coarse.repeat(9, 0).repeat(9, 1).repeat(9, 2)[: shape[0], : shape[1], : shape[2]]
    return fine.astype(np.uint16)


def distance(other, voxel_size_nm):
    """To the nearest voxel of ``other``; from an anisotropy of 1.5 on in each section, single steps count as short."""
    order = np.argsort(voxel_size_nm)
    cut = int(np.argmax(voxel_size_nm))
    sections = voxel_size_nm[cut] / np.sqrt(voxel_size_nm[order[0]] * voxel_size_nm[order[1]]) >= 1.5
    if not other.any():
        return np.full(other.shape, np.inf)
    if not sections:
        return distance_transform_edt(~other, sampling=voxel_size_nm)
    result = np.full(other.shape, np.inf)
    for n in range(other.shape[cut]):
        section = tuple(n if i == cut else slice(None) for i in range(3))
        if other[section].any():
            result[section] = distance_transform_edt(
                ~other[section], sampling=[s for i, s in enumerate(voxel_size_nm) if i != cut]
            )
    return result


def face_neighbors(labels, voxel_size_nm, differ):
    """Voxels with a different one a step away on a fine axis."""
    near = np.zeros(labels.shape, bool)
    cut = int(np.argmax(voxel_size_nm))
    flat = voxel_size_nm[cut] / np.sqrt(np.prod(voxel_size_nm) / voxel_size_nm[cut]) >= 1.5
    for axis in range(3):
        if flat and axis == cut:
            continue
        a, b = np.moveaxis(labels, axis, 0)[1:], np.moveaxis(labels, axis, 0)[:-1]
        moved = np.moveaxis(near, axis, 0)
        moved[1:] |= differ(a, b)
        moved[:-1] |= differ(a, b)
    return near


def slow_erosion(labels, voxel_size_nm, erode_nm):
    gone = face_neighbors(labels, voxel_size_nm, lambda a, b: (a != b) & (a != 0) & (b != 0))
    for value in np.unique(labels[labels > 0]):
        others = (labels != 0) & (labels != value)
        gone |= (labels == value) & (distance(others, voxel_size_nm) <= erode_nm * 1.000001)
    return np.where(gone, 0, labels)


def slow_boundary(labels, voxel_size_nm, width_nm):
    found = face_neighbors(labels, voxel_size_nm, lambda a, b: a != b)
    for value in np.unique(labels):
        found |= (labels == value) & (distance(labels != value, voxel_size_nm) <= width_nm / 2 * 1.000001)
    return found


@pytest.mark.parametrize("voxel_size_nm", SIZES)
@pytest.mark.parametrize("erode_nm", [1.0, 10.0, 16.0])
def test_erosion_equals_the_distance_transform(voxel_size_nm, erode_nm):
    labels = some_labels()
    before = labels.copy()
    eroded = erode_borders(labels, voxel_size_nm, erode_nm)
    assert eroded.dtype == labels.dtype
    assert 0 < (eroded > 0).sum() < (labels > 0).sum()
    np.testing.assert_array_equal(eroded, slow_erosion(labels, voxel_size_nm, erode_nm))
    np.testing.assert_array_equal(labels, before)


def test_no_erosion_gives_a_copy():
    labels = some_labels()
    eroded = erode_borders(labels, (10.0, 10.0, 10.0), 0.0)
    assert eroded is not labels
    np.testing.assert_array_equal(eroded, labels)


def test_a_border_with_background_stays():
    labels = np.zeros((5, 6, 7), np.uint8)
    labels[1:4, 1:5, 1:6] = 3
    np.testing.assert_array_equal(erode_borders(labels, (8.0, 9.0, 10.0), 20.0), labels)


def test_a_gap_of_one_voxel_is_seen_from_two_voxels_away_only():
    labels = np.array([[[1, 1, 1, 0, 2, 2, 2]]], np.uint8)
    np.testing.assert_array_equal(erode_borders(labels, (10.0, 10.0, 10.0), 10.0), labels)
    assert erode_borders(labels, (10.0, 10.0, 10.0), 20.0).tolist() == [[[1, 1, 0, 0, 0, 2, 2]]]


def test_sections_are_eroded_each_by_itself():
    labels = np.stack([np.full((5, 6), 1), np.full((5, 6), 2)]).astype(np.uint8)
    np.testing.assert_array_equal(erode_borders(labels, (40.0, 5.0, 4.0), 100.0), labels)
    assert not erode_borders(labels, (5.0, 5.0, 5.0), 5.0).any()


@pytest.mark.parametrize("voxel_size_nm", SIZES)
@pytest.mark.parametrize("width_nm", [0.0, 20.0, 32.0])
def test_boundary_equals_the_distance_transform(voxel_size_nm, width_nm):
    labels = some_labels(1)
    before = labels.copy()
    found = boundary_from_labels(labels, voxel_size_nm, width_nm)
    assert found.sum() > 0
    np.testing.assert_array_equal(found, slow_boundary(labels, voxel_size_nm, width_nm))
    np.testing.assert_array_equal(labels, before)


def test_the_width_is_that_of_the_whole_boundary():
    labels = np.array([[[1] * 6 + [2] * 6]], np.uint8)
    assert boundary_from_labels(labels, (10.0, 10.0, 10.0), 40.0).sum() == 4
    labels[labels == 2] = 0
    assert boundary_from_labels(labels, (10.0, 10.0, 10.0), 40.0).sum() == 4


def test_the_boundary_is_not_known_beside_unlabeled_voxels():
    unlabeled = np.zeros((1, 1, 9), bool)
    unlabeled[..., 4] = True
    mask = boundary_mask(unlabeled, (10.0, 10.0, 10.0), 40.0)
    assert mask.tolist() == [[[True, True, False, False, False, False, False, True, True]]]
    assert boundary_mask(np.zeros((2, 3, 4), bool), (10.0, 10.0, 10.0), 40.0).all()


def test_steps_are_listed_once_for_both_directions():
    steps = steps_within((10.0, 10.0, 10.0), 10.0)
    assert steps == [(0, 0, 1), (0, 1, 0), (1, 0, 0)]
    assert steps_within((40.0, 5.0, 4.0), 5.0) == [(0, 0, 1), (0, 1, 0)]
    many = steps_within((10.0, 10.0, 10.0), 20.0)
    assert len(many) == 16
    assert not {tuple(-i for i in s) for s in many} & set(many)


def test_foreground_is_any_object():
    assert foreground_from_labels(np.array([[[0, 4, 9]]])).tolist() == [[[False, True, True]]]
