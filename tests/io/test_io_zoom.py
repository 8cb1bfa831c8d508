"""Volumes on the grid of a v1 network, against scipy's zoom of the whole."""

import pickle

import numpy as np
import pytest
from samples import small_plan
from scipy import ndimage

from pytc_auto.geometry import Box, blocks
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.io.working_grid import WorkingGrid, volume_box
from pytc_auto.io.zoom import ZoomedImage, zoomed_shape

SHAPE = (7, 33, 40)
ZOOMS = [(1.0, 2.0, 2.0), (1.0, 0.5, 0.25), (2.0, 1.0, 3.0), (1.0, 4.0, 0.3), (1.7, 0.9, 1.0)]


def noise(dtype=np.uint8, shape=SHAPE):
    rough = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=shape), (0.5, 1, 1))
    values = np.clip(128 + 300 * rough, 0, 255)
    return values.astype(dtype)


def grid(zoom, shape=SHAPE):
    return WorkingGrid(shape, (1, 1, 1), zoom)


@pytest.mark.parametrize("zoom", ZOOMS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_image_is_what_scipy_makes_of_the_whole_box_by_box(zoom, dtype):
    raw = noise(dtype)
    before = raw.copy()
    wanted = ndimage.zoom(raw, zoom, order=3)
    made = grid(zoom).image(ArrayVolume(raw))
    assert made.shape == wanted.shape == zoomed_shape(SHAPE, zoom) == grid(zoom).shape
    assert made.dtype == wanted.dtype
    tolerance = 1 if raw.dtype.kind == "u" else 1e-3
    whole = made.read(made.box)
    np.testing.assert_array_equal(whole, wanted)
    in_blocks = np.zeros_like(whole)
    for box in blocks(made.box, (3, 13, 11)):
        in_blocks[box.slices] = made.read(box)
    assert np.abs(in_blocks.astype(float) - whole).max() <= tolerance
    assert (np.abs(in_blocks.astype(float) - whole) > 0.5).mean() < 1e-3
    assert np.array_equal(raw, before)


@pytest.mark.parametrize("zoom", ZOOMS)
def test_labels_are_those_of_scipys_nearest_voxel(zoom):
    labels = np.arange(np.prod(SHAPE), dtype=np.uint64).reshape(SHAPE) + 2**60
    made = grid(zoom).mask(ArrayVolume(labels))
    assert made.dtype == np.uint64
    wanted = ndimage.zoom(np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE), zoom, order=0)
    np.testing.assert_array_equal(made.read(made.box) - np.uint64(2**60), wanted)
    box = Box((1, 3, 2), (4, 7, 9))
    np.testing.assert_array_equal(made.read(box), made.read(made.box)[box.slices])


@pytest.mark.parametrize("zoom", ZOOMS)
def test_each_voxel_takes_the_label_of_the_nearest_one_of_the_grid_in_whole_and_in_blocks(zoom):
    made = grid(zoom)
    ids = np.arange(np.prod(made.shape)).reshape(made.shape)
    whole = made.spread(ids, Box.of_shape(made.shape), Box.of_shape(SHAPE))
    assert whole.shape == SHAPE
    for box in blocks(Box.of_shape(SHAPE), (3, 10, 17)):
        part = made.box(box)
        np.testing.assert_array_equal(made.spread(ids[part.slices], part, box), whole[box.slices])
    voxel = (5, 20, 31)
    places = [np.arange(m) * ((n - 1) / (m - 1)) for n, m in zip(SHAPE, made.shape, strict=True)]
    found = np.unravel_index(whole[voxel], made.shape)
    for n, at, each in zip(voxel, found, places, strict=True):
        assert abs(each[at] - n) == pytest.approx(np.abs(each - n).min())
    np.testing.assert_allclose(made.center(tuple(int(n) for n in found)), [p[a] for p, a in zip(places, found, strict=True)])


def test_the_corners_of_both_grids_lie_on_each_other():
    made = grid((1.0, 2.0, 0.5))
    assert made.center((0, 0, 0)) == (0, 0, 0)
    np.testing.assert_allclose(made.center((6, 65, 19)), (6, 32, 39))
    np.testing.assert_allclose(made.voxel_size_nm((30.0, 8.0, 4.0)), (30.0, 8 * 32 / 65, 4 * 39 / 19))
    assert made.box(Box.of_shape(SHAPE)) == Box.of_shape(made.shape)


def test_labels_of_a_part_begin_where_their_voxels_are_nearest():
    made = grid((1.0, 2.0, 0.5))
    whole = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    part, start = made.part_of_labels(ArrayVolume(whole[2:5, 4:20, 7:30]), (2, 4, 7))
    everything = made.mask(ArrayVolume(whole))
    there = Box.of_shape(part.shape, start)
    np.testing.assert_array_equal(part.read(part.box), everything.read(there))
    assert made.sections([4, 5], 1) == (8, 9, 10, 11)


def test_axes_of_one_voxel():
    raw = noise(shape=(1, 9, 12))
    made = grid((2.0, 2.0, 0.05), raw.shape).image(ArrayVolume(raw))
    assert made.shape == (2, 18, 1)
    np.testing.assert_array_equal(made.read(made.box)[0], made.read(made.box)[1])


def test_without_a_zoom_nothing_changes():
    made = WorkingGrid(SHAPE, (1, 2, 4), (1.0, 1.0, 1.0))
    assert (made.shape, made.zoomed) == ((7, 17, 10), False)
    assert made.center((1, 2, 3)) == (1, 4.5, 13.5)
    assert made.sections([0, 1, 5], 1) == (0, 2)
    assert grid((1.0, 1.0, 1.0)).image(volume := ArrayVolume(noise())) is volume
    assert volume_box(small_plan(working_scale=[1, 2, 4]), Box((1, 2, 3), (4, 5, 6))) == Box((1, 4, 12), (4, 10, 24))


def test_it_may_be_pickled():
    made = ZoomedImage(ArrayVolume(noise()), (7, 66, 20))
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.read(again.box), made.read(made.box))
