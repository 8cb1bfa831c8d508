from __future__ import annotations

import itertools

import numpy as np
import pytest

from pytc_auto.fingerprint import sampling
from pytc_auto.geometry import Box


def _covered(shape, boxes):
    count = np.zeros(shape, int)
    for box in boxes:
        assert box.size
        count[box.slices] += 1
    return count


def test_small_volumes_are_read_whole_and_once(monkeypatch):
    monkeypatch.setattr(sampling, "SLAB_VOXELS", 70)
    rng = np.random.default_rng(0)
    for boxes in (sampling.image_boxes((5, 6, 7), rng), sampling.label_columns((5, 6, 7), 1, rng)):
        assert (_covered((5, 6, 7), boxes) == 1).all()
        assert max(b.size for b in boxes) <= 70
    assert sampling.label_boxes((5, 6, 7), rng) == [Box.of_shape((5, 6, 7))]


@pytest.mark.parametrize("limit", [1, 6, 7, 30, 42, 10_000])
def test_slabs_cover_a_box_once(limit, monkeypatch):
    monkeypatch.setattr(sampling, "SLAB_VOXELS", limit)
    region = Box((1, 2, 3), (4, 8, 10))
    boxes = sampling.slabs(region)
    assert all(region.contains(b) and 0 < b.size <= limit for b in boxes)
    assert sum(b.size for b in boxes) == region.size
    assert _covered((12, 12, 12), boxes).max() == 1


def test_large_images_are_read_in_boxes_that_do_not_overlap():
    shape = (700, 900, 1100)
    boxes = sampling.image_boxes(shape, np.random.default_rng(0))
    assert len(boxes) == 512
    assert {b.shape for b in boxes} == {(64, 64, 64)}
    for axis in range(3):
        ranges = sorted({(b.start[axis], b.stop[axis]) for b in boxes})
        assert len(ranges) == 8
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ranges))
        assert ranges[0][0] >= 0
        assert ranges[-1][1] <= shape[axis]


def test_large_labels_are_read_in_eight_boxes_and_thin_ones_keep_their_thickness():
    rng = np.random.default_rng(0)
    assert [b.shape for b in sampling.label_boxes((600, 700, 800), rng)] == [(256, 256, 256)] * 8
    assert [b.shape for b in sampling.label_boxes((20, 4000, 5000), rng)] == [(20, 256, 256)] * 4


def test_columns_meet_every_section():
    boxes = sampling.label_columns((400, 700, 800), 1, np.random.default_rng(0))
    met = np.zeros(700, int)
    for box in boxes:
        met[box.start[1] : box.stop[1]] += box.shape[0] * box.shape[2]
    assert (met == 16 * 64 * 64).all()


def test_the_seed_chooses_the_boxes():
    draw = [sampling.image_boxes((700, 900, 1100), np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert draw[0] == draw[1] != draw[2]


def test_section_box():
    assert sampling.section_box((4, 5, 6), 1, 2) == Box((0, 2, 0), (4, 3, 6))
