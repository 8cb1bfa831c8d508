from __future__ import annotations

import numpy as np

from pytc_auto.report.pictures import colors, overlay


def test_labels_lie_over_gray_values():
    image, labels = np.array([[0, 51, 255]], np.uint8), np.array([[0, 0, 3]])
    shown = overlay(image, labels, strength=0.4)
    assert shown[0, :2].tolist() == [[0, 0, 0], [51, 51, 51]]
    np.testing.assert_array_equal(shown[0, 2], (0.6 * 255 + 0.4 * colors(labels)[0, 2].astype(np.float32)).astype(np.uint8))


def test_gray_values_that_are_no_numbers_are_shown_as_the_ends():
    image = np.array([[np.nan, 2, 3, np.inf, -np.inf, 4]], np.float32)
    none = np.zeros(image.shape, np.uint32)
    assert overlay(image, none)[0, :, 0].tolist() == [0, 0, 127, 255, 0, 255]
    assert not overlay(np.full((2, 3), np.nan), none[:, :3]).any()
