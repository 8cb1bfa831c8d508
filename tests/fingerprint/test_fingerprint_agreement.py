from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint.agreement import Agreement, compare
from pytc_auto.fingerprint.contrast import inverted_by_structure
from pytc_auto.fingerprint.pictures import pictures_of
from pytc_auto.fingerprint.unlabeled import Unlabeled
from pytc_auto.io.volume import ArrayVolume

NOWHERE = Unlabeled((), 0, ())


def _compare(image, labels, size, start=(0, 0, 0), unlabeled=NOWHERE):
    pictures = pictures_of(ArrayVolume(labels), start, unlabeled, margin=3)
    return compare(ArrayVolume(image), pictures, unlabeled.axis, size)


def test_labels_that_fit_show_that_membranes_are_dark(block):
    found = _compare(block.image_zyx, block.neurons_zyx, block.voxel_size_nm)
    assert found == Agreement(None, False)
    inverted = _compare(255 - block.image_zyx, block.neurons_zyx, block.voxel_size_nm)
    assert inverted == Agreement(None, True)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_shifts_have_direction_and_axis(axis, serial):
    labels = np.roll(serial.neurons_zyx, (-1, 5, -8), (0, 1, 2))
    image, labels = (np.ascontiguousarray(np.moveaxis(a, 0, axis)) for a in (serial.image_zyx, labels))
    size, wanted = list(serial.voxel_size_nm[1:]), [5 * 8.0, -8 * 7.0]
    size.insert(axis, serial.voxel_size_nm[0])
    wanted.insert(axis, -serial.voxel_size_nm[0])
    found = _compare(image, labels, tuple(size), unlabeled=Unlabeled((), axis, ()))
    assert found.labels_shift_nm == pytest.approx(wanted, abs=8)
    assert found.inverted is False


def test_borders_of_large_things_are_compared_with_edges():
    from scipy import ndimage

    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.normal(0, 1, (20, 180, 200)), (1, 12, 12))
    labels = (field > 0.01).astype(np.uint8)
    image = ndimage.gaussian_filter(60.0 * labels, (0, 1, 1)) + rng.normal(100, 6, labels.shape)
    assert _compare(image, labels, (50.0, 5.0, 6.0)).labels_shift_nm is None
    moved = _compare(image, np.roll(labels, (7, -9), (1, 2)), (50.0, 5.0, 6.0))
    assert moved.labels_shift_nm == pytest.approx((0, 35, -54), abs=6)


def test_labels_of_something_else_tell_nothing(block):
    other = np.ascontiguousarray(block.neurons_zyx[:, ::-1, ::-1])
    assert _compare(block.image_zyx, other, block.voxel_size_nm) == Agreement()
    noise = np.random.default_rng(0).normal(120, 20, block.image_zyx.shape)
    assert _compare(noise, block.neurons_zyx, block.voxel_size_nm) == Agreement()


def test_few_borders_tell_nothing(block):
    few = np.where(block.neurons_zyx == 3, 3, 0)
    few[5:] = 0
    assert _compare(block.image_zyx, few, block.voxel_size_nm) == Agreement()
    assert _compare(block.image_zyx, np.ones_like(few), block.voxel_size_nm) == Agreement()


def test_unlabeled_voxels_have_no_borders():
    labels = np.zeros((9, 40, 50), np.int16)
    labels[:, 10:30, 10:40] = -1
    assert pictures_of(ArrayVolume(labels), (0, 0, 0), Unlabeled((-1,), 0, ())) == []
    labels[:, 15:25, 15:25] = 4
    (picture, *_) = pictures_of(ArrayVolume(labels), (2, 3, 4), Unlabeled((), 0, (0, 1, 2)))
    assert picture.section == 3 + 2
    assert picture.window.start == (5, 3, 4)
    np.testing.assert_array_equal(np.argwhere(picture.borders)[0], [9, 10])


def test_the_structure_alone_tells_how_membranes_look(block, serial):
    for phantom in (block, serial):
        plane = phantom.voxel_size_nm[1:]
        for image, wanted in ((phantom.image_zyx, False), (255 - phantom.image_zyx, True)):
            assert inverted_by_structure(ArrayVolume(image), 0, plane, list(range(len(image)))) is wanted


def test_noise_and_small_images_do_not_tell():
    noise = np.random.default_rng(0).normal(120, 20, (12, 90, 100)).astype(np.float32)
    assert inverted_by_structure(ArrayVolume(noise), 0, (10, 10), list(range(12))) is None
    assert inverted_by_structure(ArrayVolume(noise[:, :40]), 0, (10, 10), [0, 5]) is None
