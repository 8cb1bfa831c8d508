from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytc_auto.geometry import Box, blocks
from pytc_auto.io.scale import at_scale, coarse_box, coarsen, fine_box, upsample_labels
from pytc_auto.io.volume import ArrayVolume

VOXELS = np.random.default_rng(3).integers(0, 256, (5, 9, 14), dtype=np.uint8)
FACTOR = (2, 3, 4)


def by_hand(array, factor, kind):
    """One coarse voxel at a time."""
    shape = [-(-n // f) for n, f in zip(array.shape, factor, strict=True)]
    result = np.zeros(shape, array.dtype)
    for index in np.ndindex(*shape):
        along = [np.minimum(np.arange(i * f, (i + 1) * f), n - 1) for i, f, n in zip(index, factor, array.shape, strict=True)]
        block = array[np.ix_(*along)]
        center = tuple((f - 1) // 2 for f in factor)
        result[index] = block[center] if kind == "labels" else np.rint(block.astype(float).mean())
    return result


@pytest.mark.parametrize("kind", ["image", "labels"])
@pytest.mark.parametrize("factor", [FACTOR, (1, 2, 2), (3, 1, 5), (8, 8, 8)])
def test_coarsen_against_the_plain_way(kind, factor):
    before = VOXELS.copy()
    np.testing.assert_array_equal(coarsen(VOXELS, factor, kind=kind), by_hand(VOXELS, factor, kind))
    np.testing.assert_array_equal(VOXELS, before)


def test_floats_are_not_rounded():
    found = coarsen(np.array([[[1.0, 2.0]]], np.float32), (1, 1, 2), kind="image")
    assert found.dtype == np.float32
    assert found.tolist() == [[[1.5]]]


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_volume_box_by_box(kind):
    fine = ArrayVolume(VOXELS, voxel_size_nm=(40.0, 5.0, 4.0), source="memory:fine")
    volume = pickle.loads(pickle.dumps(at_scale(fine, FACTOR, kind=kind)))
    whole = by_hand(VOXELS, FACTOR, kind)
    assert volume.shape == whole.shape == (3, 3, 4)
    assert (volume.voxel_size_nm, volume.dtype, volume.source) == ((80.0, 15.0, 16.0), np.uint8, "memory:fine")
    for box in blocks(volume.box, (2, 2, 3)):
        np.testing.assert_array_equal(volume.read(box), whole[box.slices])
    assert volume.read(Box((1, 1, 1), (1, 2, 3))).shape == (0, 1, 2)


def test_factor_one_is_the_volume_itself():
    volume = ArrayVolume(VOXELS)
    assert at_scale(volume, (1, 1, 1), kind="image") is volume
    assert at_scale(volume, FACTOR, kind="image").voxel_size_nm is None


@given(st.tuples(*[st.integers(1, 7)] * 3), st.tuples(*[st.integers(1, 3)] * 3), st.integers(0, 9))
def test_upsampling_undoes_coarsening_of_what_was_coarse(shape, factor, seed):
    coarse_shape = tuple(-(-n // f) for n, f in zip(shape, factor, strict=True))
    coarse = np.random.default_rng(seed).integers(0, 2**60, coarse_shape, dtype=np.uint64)
    fine = upsample_labels(coarse, factor, shape)
    assert fine.shape == shape
    assert fine.dtype == np.uint64
    assert all(fine[i] == coarse[tuple(a // f for a, f in zip(i, factor, strict=True))] for i in np.ndindex(*shape))
    np.testing.assert_array_equal(coarsen(fine, factor, kind="labels"), coarse)


def test_upsampling_needs_labels_that_cover():
    with pytest.raises(ValueError, match=r"do not cover"):
        upsample_labels(np.zeros((1, 2, 2), np.uint8), (2, 2, 2), (2, 4, 5))


@pytest.mark.parametrize("box", [Box((1, 2, 3), (4, 5, 12)), Box((0, 3, 4), (5, 9, 14)), Box((4, 8, 13), (5, 9, 14))])
def test_a_coarse_box_is_the_smallest_that_holds_the_fine_one(box):
    found = coarse_box(box, FACTOR)
    marked = np.zeros(VOXELS.shape, bool)
    marked[box.slices] = True
    met = [
        index
        for index in np.ndindex(*at_scale(ArrayVolume(VOXELS), FACTOR, kind="image").shape)
        if marked[tuple(slice(i * f, (i + 1) * f) for i, f in zip(index, FACTOR, strict=True))].any()
    ]
    assert (found.start, found.stop) == (tuple(np.min(met, axis=0)), tuple(np.max(met, axis=0) + 1))
    assert fine_box(found, FACTOR, VOXELS.shape).contains(box)
