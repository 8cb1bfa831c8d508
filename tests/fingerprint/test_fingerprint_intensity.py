from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint import intensity
from pytc_auto.fingerprint.intensity import PERCENTILES, Filled, Image, find_padding, intensity_facts, read_gray_values
from pytc_auto.fingerprint.percentiles import weighted_percentiles
from pytc_auto.geometry import Box, blocks
from pytc_auto.io.volume import ArrayVolume

KEYS = ["p0_5", "p5", "p25", "p50", "p75", "p95", "p99_5"]


def _read(array, axis=0, seed=0, block=(3, 4, 5)):
    boxes = list(blocks(Box.of_shape(array.shape), block))
    return read_gray_values(ArrayVolume(array), boxes, axis, np.random.default_rng(seed))


def _facts(*grays):
    return intensity_facts([Image(g) for g in grays])


def _gray(dtype, shape=(6, 9, 11)):
    values = np.random.default_rng(1).normal(100, 30, shape)
    return values.astype(dtype) if np.dtype(dtype).kind == "f" else values.clip(0, 200).round().astype(dtype)


def test_weighted_percentiles_are_those_of_repeated_values():
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=50), rng.integers(0, 9, 50).astype(float)
    repeated = np.repeat(values, weights.astype(int))
    found = weighted_percentiles(values, weights, (0.5, 10, 50, 90))
    wanted = np.percentile(repeated, (0.5, 10, 50, 90), method="inverted_cdf")
    assert list(found) == ["p0_5", "p10", "p50", "p90"]
    np.testing.assert_allclose(list(found.values()), wanted)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.bool_])
def test_facts_are_those_of_the_whole_array(dtype):
    array = _gray(dtype)
    before = array.copy()
    facts = _facts(_read(array))
    wanted = np.percentile(array.astype(float), PERCENTILES, method="inverted_cdf")
    assert list(facts.percentiles) == KEYS
    np.testing.assert_allclose(list(facts.percentiles.values()), wanted, rtol=1e-6)
    assert facts.mean == pytest.approx(array.mean())
    assert facts.std == pytest.approx(array.astype(float).std())
    np.testing.assert_array_equal(array, before)
    if dtype == np.uint8:
        assert facts.histogram == np.bincount(array.ravel(), minlength=256).tolist()
    else:
        assert facts.histogram is None


def test_negative_values_are_counted():
    array = np.array([-300, -2, 5, 5, 900, 7], np.int16).reshape(1, 2, 3)
    facts = _facts(_read(array))
    assert facts.percentiles["p0_5"] == -300
    assert facts.percentiles["p50"] == 5
    assert facts.mean == pytest.approx(array.mean())


def test_volumes_are_pooled_by_their_voxels():
    a, b = _gray(np.uint8), (_gray(np.uint8, (3, 8, 5)) // 2)
    both = np.concatenate([a.ravel(), b.ravel()])
    facts = _facts(_read(a), _read(b))
    assert facts.mean == pytest.approx(both.mean())
    assert facts.std == pytest.approx(both.std())
    assert facts.histogram == np.bincount(both, minlength=256).tolist()
    mixed = _facts(_read(a), _read(b.astype(np.uint16)))
    assert mixed.histogram is None
    assert mixed.percentiles == facts.percentiles


def test_values_that_are_not_finite_are_left_out():
    array = _gray(np.float32)
    array[0, 0, 0], array[2, 3, 4], array[3] = np.nan, np.inf, np.nan
    gray = _read(array)
    facts = _facts(gray)
    assert facts.mean == pytest.approx(float(array[np.isfinite(array)].astype(float).mean()))
    assert gray.counts.sum() == array.size - 101
    assert gray.not_finite == intensity.NotFinite(101, 0, array.size)
    assert _read(_gray(np.float32)).not_finite is None
    assert _facts(_read(np.full((2, 3, 4), np.nan))) is None


def test_a_large_offset_does_not_spoil_the_deviation():
    array = np.random.default_rng(0).normal(0, 1, (4, 20, 20)) + 1e8
    assert _facts(_read(array)).std == pytest.approx(array.std(), rel=1e-3)


def test_random_values_stand_for_large_float_images(monkeypatch):
    monkeypatch.setattr(intensity, "MOST_DRAWN", 2000)
    array = np.random.default_rng(1).normal(100, 30, (20, 30, 40)).astype(np.float32)
    first, again, other = (_read(array, seed=s) for s in (0, 0, 1))
    assert first.values.size < 3000
    assert first.counts.sum() == pytest.approx(array.size)
    np.testing.assert_array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)
    assert _facts(first).percentiles["p50"] == pytest.approx(100, abs=4)
    assert _facts(first).mean == pytest.approx(float(array.mean()), rel=1e-6)


def _padded(rng, value=0, dtype=np.uint8):
    """Every fourth of the columns is padding."""
    image = rng.normal(120, 20, (6, 64, 80)).clip(1, 254).round().astype(dtype)
    image[:, :, :20] = value
    return image


def _padding(image, sections=None, axis=0):
    return find_padding(
        ArrayVolume(image), _read(image, axis, block=image.shape), axis, sections or list(range(image.shape[axis]))
    )


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 0), (np.uint8, 255), (np.int16, -7), (np.float32, 0), (np.int32, 9)])
def test_padding_is_found_and_left_out(dtype, value):
    image = _padded(np.random.default_rng(0), value, dtype)
    padding = _padding(image)
    assert padding.value == value
    facts = intensity_facts([Image(_read(image, block=image.shape), padding)])
    assert (facts.padding_value, facts.padding_fraction) == (value, 0.25)
    inside = image[:, :, 20:].astype(float)
    assert facts.mean == pytest.approx(inside.mean())
    assert facts.std == pytest.approx(inside.std())
    assert facts.percentiles["p0_5"] == np.percentile(inside, 0.5, method="inverted_cdf")
    if dtype == np.uint8:
        assert facts.histogram[value] == 6 * 64 * 20


def test_padding_in_the_plane_lies_along_any_axis():
    image = np.ascontiguousarray(np.moveaxis(_padded(np.random.default_rng(0)), 0, 2))
    assert _padding(image, axis=2).voxels == 6 * 64 * 20
    assert find_padding(ArrayVolume(image), _read(image, 2, block=image.shape), 2, []) is None


def test_constant_places_inside_are_no_padding():
    image = _padded(np.random.default_rng(0))
    inner = np.roll(image, 30, axis=2)
    inner[:, :8], inner[:, -8:] = image[:, :8, 20:21], image[:, -8:, 20:21]
    assert _padding(inner) is None
    facts = _facts(_read(inner))
    assert (facts.padding_value, facts.padding_fraction) == (None, 0)


def test_a_blank_section_is_no_padding():
    image = np.random.default_rng(0).normal(120, 20, (6, 64, 80)).clip(1, 254).astype(np.uint8)
    image[2] = 0
    assert _padding(image, [0, 1, 3, 4, 5]) is None


def test_blank_sections_are_left_out():
    image = _padded(np.random.default_rng(0))
    image[2], image[4] = 0, 255
    blank = [Filled(0.0, 64 * 80), Filled(255.0, 64 * 80)]
    gray = _read(image, block=image.shape)
    padding = find_padding(ArrayVolume(image), gray, 0, [0, 1, 3, 5], blank)
    assert padding == Filled(0.0, 4 * 64 * 20)
    facts = intensity_facts([Image(gray, padding, blank)])
    inside = image[[0, 1, 3, 5], :, 20:].astype(float)
    assert (facts.mean, facts.std) == pytest.approx((inside.mean(), inside.std()))
    assert facts.percentiles["p99_5"] == np.percentile(inside, 99.5, method="inverted_cdf")
    assert facts.padding_fraction == pytest.approx(4 * 64 * 20 / image.size)


def test_padding_of_a_frequent_value_counts_by_its_tiles():
    image = _padded(np.random.default_rng(0), 120)
    image[:, :, 20:][np.random.default_rng(1).random((6, 64, 60)) < 0.6] = 120
    assert _padding(image).voxels == 6 * 64 * 16


def test_saturation_is_the_share_of_both_ends():
    image = np.random.default_rng(0).integers(1, 200, (4, 20, 30)).astype(np.uint8)
    image[0, :2], image[1, :3] = 0, 255
    assert _facts(_read(image)).saturated_fraction == pytest.approx(5 * 30 / image.size)
    padded = _padded(np.random.default_rng(0))
    padded[0, 0, 30:36] = 255
    facts = intensity_facts([Image(_read(padded, block=padded.shape), _padding(padded))])
    lowest = (padded[:, :, 20:] == padded[:, :, 20:].min()).sum()
    assert facts.saturated_fraction == pytest.approx((6 + lowest) / padded[:, :, 20:].size)


@pytest.mark.parametrize("sigma", [2.0, 7.0, 20.0])
def test_noise_is_that_which_was_added(sigma):
    y, x = np.ogrid[:200, :300]
    structure = 120 + 60 * np.sin(y / 17) * np.cos(x / 23) + 40 * (y > 90)
    image = (structure + np.random.default_rng(0).normal(0, sigma, (3, 200, 300))).round().clip(0, 255).astype(np.uint8)
    facts = _facts(_read(image, block=image.shape))
    assert facts.noise_std == pytest.approx(sigma, rel=0.06)
    assert _facts(_read(np.full((3, 40, 50), 9, np.uint8))).noise_std is None


def test_the_sampled_share_and_boxes_are_told():
    array = _gray(np.uint8)
    boxes = [Box((0, 0, 0), (3, 4, 5)), Box((3, 4, 5), (6, 9, 11))]
    gray = read_gray_values(ArrayVolume(array), boxes, 0, np.random.default_rng(0))
    facts = intensity_facts([Image(gray)], inverted=True, voxels=array.size)
    assert (facts.boxes, facts.inverted) == (2, True)
    assert facts.sampled_fraction == pytest.approx((60 + 90) / array.size)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_section_that_is_no_number_is_told(axis, value):
    array = np.random.default_rng(0).normal(100, 20, (20, 30, 40)).astype(np.float32)
    lost = np.moveaxis(array, axis, 0)[7]
    lost[:16, :16] = value
    gray = _read(array, axis)
    assert gray.not_finite == intensity.NotFinite(256, 7, array.size)
    assert gray.padding_candidate is None
    assert np.isfinite(_facts(gray).mean)
