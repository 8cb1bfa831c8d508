from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint import sampling, sections
from pytc_auto.fingerprint.sampling import Windows, section_windows
from pytc_auto.fingerprint.sections import measure_sections, section_facts
from pytc_auto.fingerprint.shift import peaks, spectra, surfaces
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume

SIZE = (40.0, 5.0, 7.0)


def _image(shape=(10, 40, 60), seed=0):
    """Smooth, so that sections differ but have structure."""
    from scipy import ndimage

    noise = np.random.default_rng(seed).normal(0, 1, shape)
    smooth = ndimage.gaussian_filter(noise, (1, 2, 2))
    return 120 + 25 * smooth / smooth.std()


def _sections(image, axis=0, size=SIZE, **arguments):
    volume = ArrayVolume(image)
    return measure_sections(volume, section_windows(volume, axis, np.random.default_rng(0), **arguments), size)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_curves_are_those_of_the_sections(axis):
    image = _image()
    found = _sections(np.ascontiguousarray(np.moveaxis(image, 0, axis)), axis, (7.0, 7.0, 7.0)).curves
    assert found.section.tolist() == list(range(10))
    np.testing.assert_allclose(found.mean, image.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found.std, image.std(axis=(1, 2)), rtol=1e-4)
    wanted = [np.corrcoef(image[i].ravel(), image[i + 1].ravel())[0, 1] for i in range(9)]
    np.testing.assert_allclose(found.correlation[:9], wanted, atol=1e-4)
    assert np.isnan(found.correlation[9])
    laplacian = [np.roll(image, s, a)[:, 1:-1, 1:-1] for a in (1, 2) for s in (-1, 1)]
    sharp = (sum(laplacian) - 4 * image[:, 1:-1, 1:-1]).var(axis=(1, 2)) / image.var(axis=(1, 2))
    np.testing.assert_allclose(found.sharpness, sharp, rtol=1e-3)
    assert found.windows_fraction == 1


def test_slabs_and_windows_do_not_matter(monkeypatch):
    image = _image((20, 64, 96))
    whole = _sections(image).curves
    monkeypatch.setattr(sections, "SLAB_SECTIONS", 3)
    slabs = _sections(image).curves
    for name in ("mean", "std", "sharpness", "correlation", "shift_nm"):
        np.testing.assert_allclose(getattr(slabs, name), getattr(whole, name), rtol=1e-5)
    monkeypatch.setattr(sampling, "WINDOW_VOXELS", 32 * 48)
    windows = _sections(image).curves
    np.testing.assert_allclose(windows.mean, whole.mean, rtol=1e-5)
    np.testing.assert_allclose(windows.std, whole.std, rtol=1e-5)
    assert np.corrcoef(windows.correlation[:-1], whole.correlation[:-1])[0, 1] > 0.5


def test_sampled_sections_are_near_the_whole(monkeypatch):
    image = _image((20, 128, 160))
    whole = _sections(image).curves
    monkeypatch.setattr(sampling, "SECTION_VOXELS", image.size // 4)
    monkeypatch.setattr(sampling, "SMALL_WINDOW_VOXELS", 32 * 20)
    part = _sections(image).curves
    assert part.windows_fraction == pytest.approx(0.25, abs=0.05)
    np.testing.assert_allclose(part.mean, whole.mean, rtol=0.05)
    assert _sections(image, full=True).curves.windows_fraction == part.windows_fraction


def test_neighbors_in_different_runs_are_not_compared():
    volume = ArrayVolume(_image((12, 40, 60)))
    windows = Windows(0, [(0, 3), (7, 10)], [Box((0, 0, 0), (1, 40, 60))])
    curves = measure_sections(volume, windows, SIZE).curves
    assert curves.section.tolist() == [0, 1, 2, 7, 8, 9]
    assert np.isnan(curves.correlation).tolist() == [False, False, True, False, False, True]
    assert np.isnan(curves.shift_nm[:, 0])[[2, 5]].all()


def _shifts(first, second):
    return peaks(surfaces(spectra(first), spectra(second), (25, 30)), 1)


@pytest.mark.parametrize("step", [(0, 0), (3, -5), (-7, 2)])
def test_shifts_are_found_and_have_a_direction(step):
    big = _image((1, 160, 180), 1)[0]
    first = big[30:130, 30:150]
    second = big[30 - step[0] : 130 - step[0], 30 - step[1] : 150 - step[1]]
    noise = np.random.default_rng(0).normal(0, 10, (2, *first.shape))
    found = _shifts((first + noise[0])[None] - 120, (second + noise[1])[None] - 120)
    assert found.tolist() == [list(step)]


def test_unrelated_pictures_have_no_shift():
    pictures = np.random.default_rng(0).normal(0, 1, (2, 12, 100, 120))
    assert np.isnan(_shifts(pictures[0], pictures[1])).all()


def test_a_shift_is_in_nanometers():
    big = _image((1, 160, 180), 1)[0]
    stack = np.stack([big[30 - 2 * i : 130 - 2 * i, 30 + i : 150 + i] for i in range(6)])
    stack = stack + np.random.default_rng(0).normal(0, 2, stack.shape)
    curves = _sections(stack).curves
    np.testing.assert_allclose(curves.shift_nm[:5], [[10.0, -7.0]] * 5)
    np.testing.assert_allclose(curves.shift_length_nm[:5], np.hypot(10, 7))
    facts = section_facts([_sections(stack)], 25.0)
    assert facts.shift_nm["p50"] == pytest.approx(np.hypot(10, 7))


def test_drift_is_the_spread_of_the_means():
    drift = np.array([0, 10, -10, 20, 0, -20, 5, -5, 0, 0.0])
    image = _image() + drift[:, None, None]
    facts = section_facts([_sections(image)], 25.0)
    assert facts.mean_drift == pytest.approx(image.mean(axis=(1, 2)).std() / 25, rel=1e-4)
    assert facts.std_drift == pytest.approx(image.std(axis=(1, 2)).std() / 25, rel=1e-3)
    assert facts.missing_rate == 0
    assert facts.sections == 10


def test_volumes_of_different_brightness_do_not_drift():
    quiet = section_facts([_sections(_image()), _sections(_image() + 500)], 25.0)
    assert quiet.mean_drift == pytest.approx(section_facts([_sections(_image())], 25.0).mean_drift, rel=1e-3)
    assert quiet.sections == 20


def test_blank_sections_are_missing_and_do_not_count_as_drift():
    image = _image()
    image[3], image[7] = 0, 255
    found = _sections(image)
    assert found.defects.missing == (3, 7)
    facts = section_facts([found], 20.0)
    assert facts.missing_rate == pytest.approx(0.2)
    assert facts.mean_drift < 0.5
    assert np.isnan(found.curves.correlation)[[2, 3, 6, 7]].all()
    assert np.isfinite(found.curves.correlation)[[0, 1, 4, 5, 8]].all()


def test_what_is_not_finite_does_not_count():
    image = _image()
    whole = _sections(image).curves
    image[2, 3, 4], image[5, 0, 0], image[8] = np.nan, np.inf, np.nan
    found = _sections(image)
    assert found.defects.missing == (8,)
    np.testing.assert_allclose(found.curves.mean[:8], whole.mean[:8], rtol=1e-3)
    assert np.isnan(found.curves.mean[8])


def test_unknown_is_none():
    one = section_facts([_sections(_image((1, 20, 30)))], 20.0)
    assert (one.mean_drift, one.correlation, one.shift_nm) == (None, None, None)
    assert one.missing_rate == 0
    nothing = section_facts([_sections(np.full((2, 3, 4), np.nan))], None)
    assert nothing.mean_drift is None
    assert nothing.missing_rate == 1
