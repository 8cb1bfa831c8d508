"""Directions to the centers, voxel by voxel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytc_auto.targets.flow import flow_in_sections, flow_to_centers

SIZES = [(10.0, 10.0, 10.0), (40.0, 5.0, 4.0), (7.0, 8.0, 9.0)]


def slow_flow(labels, voxel_size_nm):
    """One object and one voxel at a time."""
    size, found = np.array(voxel_size_nm), np.zeros((3, *labels.shape))
    for value in np.unique(labels[labels > 0]):
        places = np.argwhere(labels == value)
        centroid = places.mean(0)
        center = min(places.tolist(), key=lambda p: round(float((((p - centroid) * size) ** 2).sum()), 6))
        for place in places.tolist():
            step = (np.array(center) - place) * size
            length = np.linalg.norm(step)
            found[(slice(None), *place)] = step / length if length else 0
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from(SIZES), shape=st.tuples(*[st.integers(1, 7)] * 3))
def test_flow_equals_the_slow_one(seed, size, shape):
    labels = np.random.default_rng(seed).integers(0, 5, shape).astype(np.uint16)
    _, labels = np.unique(labels, return_inverse=True)
    labels = labels.reshape(shape).astype(np.uint16)
    before = labels.copy()
    got = flow_to_centers(labels, size)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(labels, before)
    wanted = slow_flow(labels, size)
    differs = np.abs(got - wanted).max(0) > 1e-5
    assert set(np.unique(labels[differs])) <= {v for v in np.unique(labels) if tied(labels, v, size)}


def tied(labels, value, size):
    """Whether two voxels are as near to the centroid; then rounding chooses."""
    places = np.argwhere(labels == value)
    away = np.sort((((places - places.mean(0)) * size) ** 2).sum(1))
    return len(away) > 1 and away[1] - away[0] < 1e-3


@pytest.mark.parametrize("size", SIZES)
def test_all_of_a_ball_points_to_its_middle_with_length_one_in_nm(size):
    shape, middle = (21, 25, 29), np.array([10, 12, 14])
    away = (np.indices(shape) - middle[:, None, None, None]) * np.array(size)[:, None, None, None]
    labels = (np.sqrt((away**2).sum(0)) < 45).astype(np.uint8)
    got = flow_to_centers(labels, size)
    inside = labels > 0
    np.testing.assert_allclose(np.linalg.norm(got, axis=0)[inside].sum(), inside.sum() - 1, rtol=1e-5)
    length = np.where(inside, np.sqrt((away**2).sum(0)), 1)
    np.testing.assert_allclose(got, np.where(inside & (length > 0), -away / np.maximum(length, 1e-9), 0), atol=1e-5)


def test_the_center_lies_in_the_object_even_where_the_centroid_does_not():
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[0, :, :2], labels[0, :2], labels[0, 7:] = 1, 1, 1
    got = flow_to_centers(labels, (10.0, 10.0, 10.0))
    centers = np.argwhere((labels > 0) & (np.abs(got).sum(0) == 0))
    assert centers.tolist() == [[0, 4, 1]]
    assert got[:, 0, 4, 0].tolist() == [0, 0, 1]
    assert not got[:, labels == 0].any()


@pytest.mark.parametrize("size", SIZES)
def test_in_sections_each_piece_points_to_its_own_center(size):
    labels = np.zeros((3, 11, 13), np.uint8)
    labels[0, 1:6, 1:6] = 4
    labels[1, 5:10, 7:12] = 4
    labels[2, 1:4, 1:4], labels[2, 6:9, 8:11] = 2, 2
    got = flow_in_sections(labels, size)
    for section in (0, 1):
        alone = flow_to_centers((labels[section : section + 1] > 0).astype(np.uint8), size)
        np.testing.assert_array_equal(got[:, section], alone[1:, 0])
    still = np.argwhere((labels[2] > 0) & (np.abs(got[:, 2]).sum(0) == 0))
    assert still.tolist() == [[2, 2], [7, 9]]
    assert not got[:, labels == 0].any()
