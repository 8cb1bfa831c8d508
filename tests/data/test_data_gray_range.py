from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.data.gray_range import SAMPLE, sample_gray_values
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.schema.plan import Intensity

INTENSITY = Intensity(clip=(53.0, 194.0), scale=(131.0, 34.0))
SHAPE = (20, 70, 110)


def tissue(shape=SHAPE):
    return np.clip(np.random.default_rng(0).normal(131, 34, shape), 0, 255).astype(np.uint8)


def sampled(array, box=None, intensity=INTENSITY):
    volume = ArrayVolume(array)
    return sample_gray_values(volume, box or volume.box, intensity)


@pytest.mark.parametrize("shape", [SHAPE, (1, 300, 40), (5, 7, 9)])
def test_values_like_those_of_the_training_fit(shape):
    found = sampled(tissue(shape))
    assert found.fit(INTENSITY)
    assert found.mean == pytest.approx(131, abs=8)
    assert found.inside == pytest.approx(0.95, abs=0.05)
    assert sampled(tissue(shape)[:] // 2 + 40).fit(INTENSITY)


@pytest.mark.parametrize(
    "converted",
    [
        lambda gray: gray / np.float32(255),
        lambda gray: gray.astype(np.uint16) * 257,
        lambda gray: gray.astype(np.int16) - 1000,
        lambda gray: (gray > 131).astype(np.uint8),
    ],
)
def test_another_range_does_not(converted):
    assert not sampled(converted(tissue())).fit(INTENSITY)


def test_twelve_bits_do_not_fit_a_model_of_sixteen():
    wide = Intensity(clip=(0.0, 50000.0), scale=(131 * 257.0, 34 * 257.0))
    assert not sampled(tissue().astype(np.uint16) * 16, intensity=wide).fit(wide)
    assert sampled(tissue().astype(np.uint16) * 200, intensity=wide).fit(wide)


def test_blank_places_do_not_count():
    assert sampled(np.zeros(SHAPE, np.uint8)) is None
    padded = np.zeros((3 * SAMPLE[0], *SHAPE[1:]), np.uint8)
    padded[-SAMPLE[0] :] = tissue((SAMPLE[0], *SHAPE[1:]))
    assert sampled(padded).fit(INTENSITY)


def test_only_the_box_counts():
    half = np.concatenate([tissue(), tissue() // 100])
    assert sampled(half, Box((0, 3, 5), (20, 70, 110))).fit(INTENSITY)
    assert not sampled(half, Box((20, 3, 5), (40, 70, 110))).fit(INTENSITY)


def test_values_that_are_no_numbers_are_left_to_who_predicts():
    array = tissue().astype(np.float32)
    array[0, 0, 0] = np.nan
    assert sampled(array).fit(INTENSITY)
