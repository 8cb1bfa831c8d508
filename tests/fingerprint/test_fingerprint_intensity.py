from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint import intensity
from pytc_auto.fingerprint.intensity import PERCENTILES, intensity_facts, read_gray_values
from pytc_auto.fingerprint.percentiles import weighted_percentiles
from pytc_auto.geometry import Box, blocks
from pytc_auto.io.volume import ArrayVolume

KEYS = ["p0_5", "p5", "p25", "p50", "p75", "p95", "p99_5"]


def _read(array, axis=0, seed=0, block=(3, 4, 5)):
    boxes = list(blocks(Box.of_shape(array.shape), block))
    return read_gray_values(ArrayVolume(array), boxes, axis, np.random.default_rng(seed))


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
    facts = intensity_facts([_read(array)])
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
    facts = intensity_facts([_read(array)])
    assert facts.percentiles["p0_5"] == -300
    assert facts.percentiles["p50"] == 5
    assert facts.mean == pytest.approx(array.mean())


def test_volumes_are_pooled_by_their_voxels():
    a, b = _gray(np.uint8), (_gray(np.uint8, (3, 8, 5)) // 2)
    both = np.concatenate([a.ravel(), b.ravel()])
    facts = intensity_facts([_read(a), _read(b)])
    assert facts.mean == pytest.approx(both.mean())
    assert facts.std == pytest.approx(both.std())
    assert facts.histogram == np.bincount(both, minlength=256).tolist()
    mixed = intensity_facts([_read(a), _read(b.astype(np.uint16))])
    assert mixed.histogram is None
    assert mixed.percentiles == facts.percentiles


def test_values_that_are_not_finite_are_left_out():
    array = _gray(np.float32)
    array[0, 0, 0], array[2, 3, 4], array[3] = np.nan, np.inf, np.nan
    gray = _read(array)
    facts = intensity_facts([gray])
    assert facts.mean == pytest.approx(float(array[np.isfinite(array)].astype(float).mean()))
    assert gray.section_voxels.tolist() == [98, 99, 98, 0, 99, 99]
    assert np.isnan(gray.section_mean[3])
    assert intensity_facts([_read(np.full((2, 3, 4), np.nan))]) is None


def test_a_large_offset_does_not_spoil_the_deviation():
    array = np.random.default_rng(0).normal(0, 1, (4, 20, 20)) + 1e8
    assert intensity_facts([_read(array)]).std == pytest.approx(array.std(), rel=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sections_are_measured_along_the_cutting_axis(axis):
    array = _gray(np.uint8)
    gray = _read(array, axis)
    others = tuple(i for i in range(3) if i != axis)
    np.testing.assert_allclose(gray.section_mean, array.mean(axis=others))
    np.testing.assert_allclose(gray.section_std, array.std(axis=others))
    assert (gray.section_voxels == array.size / array.shape[axis]).all()


def test_sections_that_were_not_read_are_unknown():
    array = _gray(np.uint8)
    gray = read_gray_values(ArrayVolume(array), [Box((1, 0, 0), (3, 4, 5))], 0, np.random.default_rng(0))
    assert gray.section_voxels.tolist() == [0, 20, 20, 0, 0, 0]
    np.testing.assert_allclose(gray.section_mean[1:3], array[1:3, :4, :5].mean(axis=(1, 2)))


def test_random_values_stand_for_large_float_images(monkeypatch):
    monkeypatch.setattr(intensity, "MOST_DRAWN", 2000)
    array = np.random.default_rng(1).normal(100, 30, (20, 30, 40)).astype(np.float32)
    first, again, other = (_read(array, seed=s) for s in (0, 0, 1))
    assert first.values.size < 3000
    assert first.counts.sum() == pytest.approx(array.size)
    np.testing.assert_array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)
    assert intensity_facts([first]).percentiles["p50"] == pytest.approx(100, abs=4)
    assert intensity_facts([first]).mean == pytest.approx(float(array.mean()), rel=1e-6)
