from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.io.predictions import LOGIT_SCALE, UNSEEN, channel_slices, is_predicted, probabilities, to_uint8
from pytc_auto.schema.heads import AffinityHead, BinaryHead, ClassHead, DistanceHead, FlowHead, PolarityHead

AFFINITIES = AffinityHead(kind="affinities", offsets=[(-1, 0, 0), (0, -1, 0), (0, 0, -1)], loss="balanced_bce", weight=1)
BOUNDARY = BinaryHead(kind="boundary", width_nm=10, loss="dice_bce", weight=1)
CLASSES = ClassHead(kind="classes", class_weights=[1, 2], loss="dice_ce", weight=1)
DISTANCE = DistanceHead(kind="signed_distance", scale_nm=50, loss="smooth_l1", weight=1)
FLOW = FlowHead(kind="flow", loss="mse", weight=1)
POLARITY = PolarityHead(kind="polarity", loss="dice_bce", weight=1)
HEADS = [AFFINITIES, CLASSES, BOUNDARY]
LOGITS = np.random.default_rng(6).normal(0, 8, (6, 3, 4, 5)).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_channels_of_each_head():
    assert channel_slices(HEADS) == [slice(0, 3), slice(3, 5), slice(5, 6)]
    assert channel_slices([]) == []


def test_what_is_stored():
    before = LOGITS.copy()
    stored = to_uint8(LOGITS, HEADS)
    assert stored.dtype == np.uint8
    np.testing.assert_array_equal(LOGITS, before)
    for channel in (0, 1, 2, 5):
        exact = 255 * sigmoid(LOGIT_SCALE * LOGITS[channel].astype(np.float64))
        assert np.abs(stored[channel] - exact).max() <= 0.5001
    exact = 255 * sigmoid(LOGITS[4].astype(np.float64) - LOGITS[3])
    assert np.abs(stored[4] - exact).max() <= 0.5001
    assert np.abs(stored[3].astype(int) + stored[4] - 255).max() <= 1


def test_probabilities_come_back():
    found = probabilities(to_uint8(LOGITS, HEADS), HEADS)
    assert found.dtype == np.float32
    wanted = sigmoid(LOGITS)
    for channel in (0, 1, 2, 5):
        assert np.abs(found[channel] - wanted[channel]).max() < 0.0099  # half a byte at 0.5: 0.5 / 255 / 0.2
    assert np.abs(found[4] - sigmoid(LOGITS[4] - LOGITS[3])).max() < 0.003


def test_distances_flow_and_polarity_come_back():
    logits = np.random.default_rng(7).normal(0, 1.5, (8, 3, 4, 5)).astype(np.float32)
    heads, before = [POLARITY, DISTANCE, FLOW, BOUNDARY], logits.copy()
    stored = to_uint8(logits, heads)
    found = probabilities(stored, heads)
    np.testing.assert_array_equal(logits, before)
    assert stored.dtype == np.uint8
    assert found.dtype == np.float32
    assert np.abs(stored[3:7] - 127.5 * (1 + np.tanh(logits[3:7].astype(np.float64)))).max() <= 0.5001
    assert np.abs(found[3:7] - np.tanh(logits[3:7])).max() <= 0.5001 / 127.5
    for channel in (0, 1, 2, 7):
        assert np.abs(found[channel] - sigmoid(logits[channel])).max() < 0.0099
    extreme = to_uint8(np.array([-1e6, 0, 1e6], np.float32).reshape(1, 1, 1, 3), [DISTANCE])
    assert probabilities(extreme, [DISTANCE]).ravel().tolist() == pytest.approx([-1, 1 / 255, 1])


def test_thresholds_stay_tunable_where_the_network_is_sure():
    sure = np.array([4, 6, 8, 10], np.float32).reshape(1, 1, 1, 4)
    back = probabilities(to_uint8(sure, [BOUNDARY]), [BOUNDARY]).ravel()
    assert np.all(np.diff(back) > 0)
    np.testing.assert_allclose(np.log(back / (1 - back)), [4, 6, 8, 10], atol=0.2)


def test_every_byte_has_its_probability_in_order():
    every = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    found = probabilities(every, [BOUNDARY]).ravel()
    assert np.all(np.diff(found) >= 0)
    assert np.isfinite(found).all()
    assert abs(found[127] + found[128] - 1) < 1e-6
    assert found[0] == pytest.approx(sigmoid(np.log(0.5 / 254.5) / LOGIT_SCALE), rel=1e-4, abs=0)
    np.testing.assert_array_equal(
        probabilities(np.repeat(every, 2, 0), [CLASSES])[1].ravel(), (np.arange(256) / 255).astype(np.float32)
    )


def test_extreme_logits_do_not_overflow():
    extreme = np.array([-1e6, 1e6], np.float32).reshape(1, 1, 1, 2).repeat(6, 0)
    stored = to_uint8(extreme, HEADS)
    assert stored[0].ravel().tolist() == [0, 255]
    assert stored[3].ravel().tolist() == [128, 128]


def test_heads_that_do_not_fit():
    with pytest.raises(ValueError, match=r"heads have 6 channels, the array has 5"):
        to_uint8(LOGITS[:5], HEADS)
    with pytest.raises(ValueError, match=r"heads have 6 channels, the array has 5"):
        probabilities(np.zeros((5, 1, 1, 1), np.uint8), HEADS)


def test_what_was_not_predicted_is_stored_as_zero():
    logits = LOGITS.copy()
    logits[:, 1] = UNSEEN
    stored = to_uint8(logits, HEADS)
    assert not stored[:, 1].any()
    rest = np.arange(logits.shape[1]) != 1
    np.testing.assert_array_equal(stored[:, rest], to_uint8(LOGITS, HEADS)[:, rest])
    assert stored[:, rest].any(axis=0).all()


def test_a_voxel_is_predicted_where_any_channel_is_not_zero():
    stored = np.zeros((3, 2, 3, 4), np.uint8)
    stored[0, 0], stored[2, 1, 2, 3] = 7, 1
    assert np.argwhere(~is_predicted(stored)).tolist() == [[1, y, x] for y in range(3) for x in range(4)][:-1]
    stored[1, 1] = 255
    assert is_predicted(stored).all()
