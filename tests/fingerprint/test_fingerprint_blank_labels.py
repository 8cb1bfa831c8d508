from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint.blank_labels import blank_label_sections, look_at_sections
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume


def _objects(sections=10, count=5):
    """Objects that run through all sections, 16 of 30 × 42 voxels each."""
    labels = np.zeros((sections, 30, 42), np.uint8)
    for i in range(count):
        labels[:, 5:9, 2 + 8 * i : 6 + 8 * i] = 255
    return labels


def _blank(labels, axis=0, blank_image=()):
    volume = ArrayVolume(labels)
    share = look_at_sections(volume, [volume.box], axis, []).foreground
    image = np.zeros(labels.shape[axis], bool)
    image[list(blank_image)] = True
    return blank_label_sections(volume, axis, share, image)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_foreground_of_sections(axis):
    labels = np.random.default_rng(0).integers(-1, 3, (4, 5, 6)).astype(np.int16)
    others = tuple(i for i in range(3) if i != axis)
    volume = ArrayVolume(labels)
    found = look_at_sections(volume, [Box((0, 0, 0), (4, 5, 2)), Box((0, 0, 2), (4, 5, 6))], axis, [-1])
    np.testing.assert_allclose(found.foreground, (labels > 0).mean(axis=others))
    np.testing.assert_array_equal(found.lowest, labels.min(axis=others))
    np.testing.assert_array_equal(found.highest, labels.max(axis=others))


def test_blank_label_sections_are_found():
    labels = _objects(20)
    labels[[1, 7, 8, 18]] = 0
    assert _blank(labels) == [1, 7, 8, 18]
    assert _blank(np.moveaxis(labels, 0, 1), axis=1) == [1, 7, 8, 18]


def test_blank_sections_at_the_ends_are_found_where_many_objects_vanish_at_once():
    labels = _objects()
    labels[[0, 8, 9]] = 0
    assert _blank(labels) == _blank(labels > 0) == _blank(labels.astype(np.float32)) == [0, 8, 9]


def test_columns_that_miss_a_neighbor_hide_no_blank_section():
    labels = _objects(20)
    labels[7] = 0
    share = look_at_sections(ArrayVolume(labels), [Box.of_shape(labels.shape)], 0, []).foreground
    share[6] = 0.001
    assert blank_label_sections(ArrayVolume(labels), 0, share, np.zeros(20, bool)) == [7]


def test_objects_that_just_end_are_no_blank_sections():
    few = _objects(count=4)
    few[[0, 8, 9]] = 0
    assert _blank(few) == []
    z, y, x = np.ogrid[:20, :30, :40]
    ball = ((z - 9.5) ** 2 + (y - 15) ** 2 + (x - 20) ** 2 < 64).astype(np.uint8)
    assert (~ball.any(axis=(1, 2))).sum() == 4
    assert _blank(ball) == []


def test_sparse_objects_leave_sections_empty():
    labels = np.zeros((20, 30, 40), np.uint8)
    labels[2:5, 3:6, 4:7], labels[12:15, 20:24, 30:35] = 1, 2
    assert _blank(labels) == []


def test_other_objects_on_the_other_side_leave_a_true_gap():
    labels = np.zeros((20, 30, 40), np.uint8)
    labels[1:9, 3:13, 3:13], labels[11:19, 3:13, 3:13] = 1, 2
    assert _blank(labels) == []
    labels[labels > 0] = 1
    assert _blank(labels) == [9, 10]


def test_a_thin_last_section_is_where_objects_end():
    labels = _objects(count=5)
    labels[9] = 0
    labels[8, 5:7] = 0
    assert _blank(labels) == [9]
    labels[8, 7] = 0
    assert _blank(labels) == []


def test_a_blank_image_explains_blank_labels():
    labels = _objects()
    labels[[3, 6]] = 0
    assert _blank(labels, blank_image=[6]) == [3]


def test_a_section_that_only_seems_blank_is_looked_at_again():
    labels = _objects()
    labels[4] = 0
    labels[4, 29, 41] = 255
    volume = ArrayVolume(labels)
    share = look_at_sections(volume, [Box((0, 0, 0), (10, 20, 40))], 0, []).foreground
    assert share[4] == 0
    assert blank_label_sections(volume, 0, share, np.zeros(10, bool)) == []


def test_thin_neighbors_are_not_enough():
    labels = _objects()
    labels[5] = 0
    labels[4] = 0
    labels[4, 5:9, 2:5] = 255
    assert _blank(labels) == []
    labels[4] = labels[3]
    assert _blank(labels) == [5]
