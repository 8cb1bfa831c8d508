from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import AFFINITIES

from pytc_auto.io.predictions import UNSEEN, mean_stored, to_uint8
from pytc_auto.schema.heads import AffinityHead, BinaryHead, ClassHead, DistanceHead, FlowHead

AFFINITY = AffinityHead(**AFFINITIES)
HEADS = [
    AFFINITY,
    BinaryHead(kind="foreground", width_nm=0, loss="dice_bce", weight=1),
    DistanceHead(kind="signed_distance", scale_nm=50, loss="smooth_l1", weight=1),
    FlowHead(kind="flow", loss="mse", weight=1),
]
CLASSES = [ClassHead(kind="classes", class_weights=[1, 1, 1], loss="dice_ce", weight=1)]
CHANNELS = sum(head.channels for head in HEADS)


def logits(seed, channels, most):
    return np.random.default_rng(seed).uniform(-most, most, (channels, 4, 5, 6)).astype(np.float32)


def test_the_mean_of_one_is_itself_for_every_byte():
    every = np.arange(256, dtype=np.uint8).reshape(1, 4, 8, 8).repeat(CHANNELS, 0)
    every[:, 0, 0, 0] = 0
    np.testing.assert_array_equal(mean_stored([every], HEADS), every)
    np.testing.assert_array_equal(mean_stored([every, every], HEADS), every)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(2, 4))
@pytest.mark.parametrize(("heads", "most"), [(HEADS[:2], 10), (HEADS[2:], 1), (CLASSES, 1)], ids=["sigmoid", "tanh", "softmax"])
def test_it_is_what_the_mean_logits_are_stored_as_to_two_steps(heads, most, seed, count):
    channels = sum(head.channels for head in heads)
    several = [logits(seed + i, channels, most) for i in range(count)]
    wanted = to_uint8(np.mean(several, axis=0), heads)
    found = mean_stored([to_uint8(one, heads) for one in several], heads)
    error = np.abs(found.astype(int) - wanted)
    assert error.max() <= 2
    assert error.mean() < 0.5


def test_where_one_saw_nothing_nothing_is_stored():
    one, other = logits(1, CHANNELS, 1), logits(2, CHANNELS, 1)
    other[:, 1:3, 2] = UNSEEN
    found = mean_stored([to_uint8(one, HEADS), to_uint8(other, HEADS)], HEADS)
    assert not found[:, 1:3, 2].any()
    assert found[:, 0].all()


def test_nothing_and_other_channels_are_refused():
    with pytest.raises(ValueError, match="no prediction"):
        mean_stored([], HEADS)
    with pytest.raises(ValueError, match="channels"):
        mean_stored([np.ones((2, 3, 4, 5), np.uint8)], HEADS)
