from __future__ import annotations

import cc3d
import numpy as np
import pytest
from samples import CPU, mitochondria

from pytc_auto.decoding.decode import decode
from pytc_auto.decoding.seeded import grown, seed_mask
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.model import DecoderChoice


def class_values(scores_czyx, values, min_size):
    """Decoded with a plan of so many classes."""
    plan = make_plan(mitochondria(), CPU)
    head = plan.heads[0].replace(class_weights=[1.0] * len(values))
    plan = plan.replace(heads=[head], labels=plan.labels.replace(values={value: str(value) for value in values}))
    stored = (1 + 200 * scores_czyx).astype(np.uint8)
    return decode(stored, plan, DecoderChoice(kind="argmax", parameters={"min_size": min_size}))


def seeded_segments(foreground, boundary, *, seed_threshold, foreground_threshold):
    """As the decoder does without a distance."""
    core = foreground - boundary
    seeds = cc3d.connected_components(seed_mask(core, None, seed_threshold=seed_threshold, distance_threshold=0), connectivity=6)
    return grown(seeds, core, foreground > foreground_threshold)


def scores(classes, count):
    return (np.arange(count)[:, None, None, None] == classes).astype(np.float32)


@pytest.mark.parametrize(
    ("values", "dtype"), [([0, 255], np.uint8), ([7, 300], np.uint16), ([0, 70000], np.uint32), ([5, 3, 9], np.uint8)]
)
def test_each_channel_becomes_its_raw_value(values, dtype):
    classes = np.random.default_rng(0).integers(0, len(values), (3, 4, 5))
    given = scores(classes, len(values))
    kept = given.copy()
    found = class_values(given, values, 0)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.asarray(values)[classes])
    np.testing.assert_array_equal(given, kept)


def test_specks_take_the_class_they_touch_most():
    classes = np.zeros((3, 8, 9), int)
    classes[:, :, 6:] = 1
    classes[1, 3, 5] = 2  # five faces with class 0, one with class 1
    classes[1, 3, 2:4] = 1
    found = class_values(scores(classes, 3), [10, 20, 30], 3)
    expected = np.full(classes.shape, 10)
    expected[:, :, 6:] = 20
    np.testing.assert_array_equal(found, expected)
    assert (class_values(scores(classes, 3), [10, 20, 30], 2) == 20).sum() == (expected == 20).sum() + 2


def test_voxels_that_touch_by_an_edge_are_two_components():
    classes = np.zeros((1, 6, 6), int)
    classes[0, 2, 2] = classes[0, 3, 3] = 1
    assert not class_values(scores(classes, 2), [0, 1], 2).any()


def test_a_volume_smaller_than_a_speck_stays():
    classes = np.ones((1, 2, 2), int)
    assert (class_values(scores(classes, 2), [0, 9], 50) == 9).all()


def test_seeds_grow_over_foreground_only_and_meet_at_the_boundary():
    foreground = np.zeros((6, 10, 24), np.float32)
    foreground[1:5, 2:8, 2:22] = 0.9
    foreground[5, 9, 23] = 0.9
    boundary = np.zeros_like(foreground)
    boundary[:, :, 11:13] = 0.8
    kept = foreground.copy(), boundary.copy()
    found = seeded_segments(foreground, boundary, seed_threshold=0.5, foreground_threshold=0.5)
    np.testing.assert_array_equal(found > 0, foreground > 0.5)
    assert len(np.unique(found[1:5, 2:8, 2:12])) == len(np.unique(found[1:5, 2:8, 12:22])) == 1
    assert found[2, 4, 4] != found[2, 4, 20]
    np.testing.assert_array_equal(foreground, kept[0])
    np.testing.assert_array_equal(boundary, kept[1])
    higher = seeded_segments(foreground, boundary, seed_threshold=0.5, foreground_threshold=0.95)
    assert not higher.any()
