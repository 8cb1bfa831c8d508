"""Effects on gray values that do not know sections."""

import numpy as np
import pytest
from monai.transforms import AdjustContrast, ScaleIntensity, ShiftIntensity
from scipy.ndimage import gaussian_filter

from pytc_auto.augment.blur import apply_blur, draw_blur
from pytc_auto.augment.gray_values import GrayDraw, apply_gray_values, draw_gray_values
from pytc_auto.augment.noise import NoiseDraw, apply_noise, draw_noise
from pytc_auto.augment.place import Place
from pytc_auto.schema.augmentation import Blur, GrayValues, Noise

SHAPE = (9, 14, 20)
ISOTROPIC = Place.of(SHAPE, (6.0, 6.0, 6.0))


def rng(seed=0):
    return np.random.default_rng(seed)


def test_contrast_and_brightness_are_linear(make_crop):
    image = make_crop(SHAPE).image_zyx
    before = image.copy()
    changed = apply_gray_values(image, GrayDraw(contrast=1.25, brightness=-0.5, gamma=1.0))
    assert changed.dtype == np.float32
    np.testing.assert_allclose(changed, image * 1.25 - 0.5, atol=1e-4)
    np.testing.assert_array_equal(image, before)


def test_gamma_keeps_the_range_and_the_order(make_crop):
    image = make_crop(SHAPE).image_zyx
    changed = apply_gray_values(image, GrayDraw(contrast=1.0, brightness=0.0, gamma=1.5))
    np.testing.assert_allclose([changed.min(), changed.max()], [image.min(), image.max()], atol=1e-4)
    assert changed.mean() < image.mean() - 0.1
    assert (np.diff(changed.ravel()[np.argsort(image.ravel())]) >= 0).all()


@pytest.mark.parametrize("gamma", [0.7, 1.0, 1.6])
def test_gray_values_are_what_monai_gives(gamma, make_crop):
    image = make_crop(SHAPE).image_zyx
    before = image.copy()
    wanted = AdjustContrast(gamma=gamma)(image[None])
    wanted = ShiftIntensity(0.4)(ScaleIntensity(minv=None, maxv=None, factor=-0.15)(wanted))[0]
    got = apply_gray_values(image, GrayDraw(contrast=0.85, brightness=0.4, gamma=gamma))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.asarray(wanted), atol=1e-4)
    np.testing.assert_array_equal(image, before)


def test_a_constant_crop_stays_finite():
    image = np.full(SHAPE, 0.5, np.float32)
    np.testing.assert_allclose(apply_gray_values(image, GrayDraw(1.0, 0.0, 1.3)), image)


def test_gray_values_are_drawn_within_their_limits():
    effect = GrayValues(probability=0.5, contrast=0.2, brightness=0.3, gamma=0.25)
    draws = [d for d in (draw_gray_values(effect, ISOTROPIC, rng(i)) for i in range(400)) if d]
    assert 160 < len(draws) < 240
    for name, low, high in (("contrast", 0.8, 1.2), ("brightness", -0.3, 0.3), ("gamma", 0.8, 1.25)):
        values = [getattr(d, name) for d in draws]
        assert low <= min(values) < low + 0.05
        assert high - 0.05 < max(values) <= high


@pytest.mark.parametrize("sigma", [(1.5, 1.0, 0.7), (0.0, 1.2, 0.8), (0.9, 0.0, 1.3)])
def test_blur_is_a_gaussian_along_each_axis(sigma, make_crop):
    image = make_crop(SHAPE).image_zyx
    before = image.copy()
    changed = apply_blur(image, sigma)
    assert changed.dtype == np.float32
    wanted = gaussian_filter(image, sigma, mode="nearest", truncate=6)
    assert np.abs(changed - wanted).max() < 0.15
    assert np.corrcoef(changed.ravel(), wanted.ravel())[0, 1] > 0.99
    np.testing.assert_array_equal(image, before)


def test_blur_does_not_fade_the_rim():
    image = np.full(SHAPE, -1.5, np.float32)
    np.testing.assert_allclose(apply_blur(image, (1.0, 2.0, 0.5)), image, atol=1e-5)


@pytest.mark.parametrize("axis", range(3))
def test_sections_are_blurred_each_by_itself(axis):
    size = [4.0, 5.0, 6.0]
    size[axis] = 40.0
    sigma = draw_blur(Blur(probability=1.0, sigma_nm=12.0), Place.of(SHAPE, tuple(size)), rng())
    assert sigma[axis] == 0
    plane = [i for i in range(3) if i != axis]
    nm = [sigma[i] * size[i] for i in plane]
    assert nm[0] == pytest.approx(nm[1])
    assert 0 < nm[0] <= 12
    image = np.zeros((7, 7, 7), np.float32)
    image[3, 3, 3] = 1
    spread = np.moveaxis(apply_blur(image, sigma), axis, 0)
    assert not np.delete(spread, 3, 0).any()
    assert (spread[3] > 1e-6).sum() > 4


def test_isotropic_data_are_blurred_on_all_axes():
    sigma = draw_blur(Blur(probability=1.0, sigma_nm=12.0), ISOTROPIC, rng())
    assert sigma[0] == sigma[1] == sigma[2] > 0
    assert draw_blur(Blur(probability=0.0, sigma_nm=12.0), ISOTROPIC, rng()) is None


def test_noise_has_its_sigma_and_its_seed(make_crop):
    image = make_crop((20, 30, 40)).image_zyx
    before = image.copy()
    added = apply_noise(image, NoiseDraw(sigma=0.3, seed=5)) - image
    assert added.dtype == np.float32
    assert abs(added.std() - 0.3) < 0.01
    assert abs(added.mean()) < 0.01
    np.testing.assert_array_equal(apply_noise(image, NoiseDraw(0.3, 5)) - image, added)
    assert (apply_noise(image, NoiseDraw(0.3, 6)) - image != added).any()
    np.testing.assert_array_equal(image, before)


def test_noise_is_drawn_within_its_limit():
    draws = [d for d in (draw_noise(Noise(probability=0.5, sigma=0.2), ISOTROPIC, rng(i)) for i in range(200)) if d]
    assert 70 < len(draws) < 130
    assert 0.15 < max(d.sigma for d in draws) <= 0.2
    assert len({d.seed for d in draws}) == len(draws)
