"""The box that is scored, against trying every place."""

import itertools

import numpy as np
import pytest
from samples import region, small_plan

from pytc_auto.data import scored
from pytc_auto.data.occupancy import block_shape, occupancy
from pytc_auto.data.scored import scored_region
from pytc_auto.data.volumes import LabelledVolume
from pytc_auto.geometry import Box, zyx
from pytc_auto.io.volume import ArrayVolume

CLASSES = {"kind": "classes", "values": {0: "out", 7: "in", 5: "rare"}, "unlabeled": []}
CLASS_HEADS = [{"kind": "classes", "class_weights": [1.0, 1.0, 1.0], "loss": "dice_ce", "weight": 1.0}]


def plan(extent, size=(8.0, 8.0, 8.0)):
    folds = {"kind": "slab", "axis": "x", "count": 1, "train": 0.75, "guard": 2, "scored": extent}
    argmax = {"kinds": ["argmax"], "grid": {"min_size": [0]}, "metric": "dice"}
    return small_plan(task="classes", voxel_size_nm=size, labels=CLASSES, heads=CLASS_HEADS, decoder=argmax, folds=folds)


def volumes(labels):
    volume = ArrayVolume(labels)
    return [LabelledVolume("small", volume, volume)]


def best_places(data, held, extent, size):
    """Every start on the grid of blocks, and those at which most blocks hold something, each class counting as much."""
    block = block_shape(size)
    table = occupancy(data, [held], plan(extent, size).labels, size).tables[0]
    blocks = [min(-(-n // b), m) for n, b, m in zip(extent, block, table.shape[1:], strict=True)]
    told = {}
    for first in itertools.product(*(range(m - n + 1) for m, n in zip(table.shape[1:], blocks, strict=True))):
        part = table[(slice(None), *(slice(a, a + n) for a, n in zip(first, blocks, strict=True)))]
        told[first] = sum(p.sum() / t.sum() for p, t in zip(part, table, strict=True))
    most = max(told.values())
    return block, [first for first, value in told.items() if value > most - 1e-9]


@pytest.mark.parametrize(
    ("shape", "size", "extent"),
    [
        ((40, 90, 130), (8.0, 8.0, 8.0), (24, 40, 48)),
        ((14, 150, 110), (40.0, 8.0, 8.0), (6, 64, 40)),
        ((70, 33, 90), (9.0, 20.0, 9.0), (32, 33, 30)),
    ],
)
def test_the_box_with_most_of_each_class_is_scored(shape, size, extent):
    rng = np.random.default_rng(sum(shape))
    labels = np.zeros(shape, np.uint8)
    for value, count in ((7, 60), (5, 6)):
        for place in rng.integers(0, shape, (count, 3)):
            labels[tuple(slice(a, a + 3) for a in place)] = value
    data, held = volumes(labels), region(Box(zyx([2, 3, 5]), zyx(shape)))
    found = scored_region(data, held, plan(extent, size))
    extent = tuple(map(min, extent, held.box.shape))
    assert found.box.shape == extent
    assert found.context == found.box
    assert held.box.contains(found.box)
    block, places = best_places(data, held, extent, size)
    starts = [
        tuple(a + min(i * b, n - m) for a, i, b, n, m in zip(held.box.start, place, block, held.box.shape, extent, strict=True))
        for place in places
    ]
    assert found.box.start in starts


def test_where_all_places_tell_as_much_it_is_the_middle():
    held = region(Box((0, 0, 16), (32, 96, 112)))
    found = scored_region(volumes(np.full((32, 96, 112), 7, np.uint8)), held, plan((32, 32, 32)))
    assert found.box == Box((0, 32, 48), (32, 64, 80))
    empty = scored_region(volumes(np.zeros((32, 96, 112), np.uint8)), held, plan((32, 32, 32)))
    assert empty.box == found.box


def test_a_part_that_is_no_larger_stays_as_it_is():
    held = region(Box((0, 0, 16), (20, 30, 40)), Box((0, 0, 0), (20, 30, 40)))
    data = volumes(np.full((20, 30, 40), 7, np.uint8))
    for extent in (None, (20, 30, 24), (64, 64, 64)):
        assert scored_region(data, held, plan(extent)) is held
    narrower = scored_region(data, held, plan((64, 16, 64)))
    assert narrower.box.shape == (20, 16, 24)


def test_of_a_very_large_part_only_the_middle_is_read(monkeypatch):
    labels = np.zeros((16, 64, 512), np.uint8)
    labels[:, :, :40] = labels[:, :, 200] = 7
    held = region(Box.of_shape(labels.shape))
    assert scored_region(volumes(labels), held, plan((16, 64, 32))).box.stop[2] <= 48
    monkeypatch.setattr(scored, "MOST_READ", labels.size // 2)
    found = scored_region(volumes(labels), held, plan((16, 64, 32)))
    assert found.box.start[2] <= 200 < found.box.stop[2]
