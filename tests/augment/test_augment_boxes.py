"""Effects on boxes of a crop, on its sampling and its histogram, and pasted objects."""

import cc3d
import numpy as np
import pytest

from pytc_auto.augment.coarse_axis import apply_coarse_axis, draw_coarse_axis
from pytc_auto.augment.copy_paste import PasteDraw, apply_copy_paste, draw_copy_paste
from pytc_auto.augment.crop import Crop
from pytc_auto.augment.cut_blur import CutBlurDraw, apply_cut_blur, draw_cut_blur
from pytc_auto.augment.cut_noise import CutNoiseDraw, apply_cut_noise, draw_cut_noise
from pytc_auto.augment.dropout import DropoutDraw, apply_dropout, draw_dropout
from pytc_auto.augment.histogram_shift import HistogramDraw, apply_histogram_shift, draw_histogram_shift
from pytc_auto.augment.low_resolution import apply_low_resolution, draw_low_resolution
from pytc_auto.augment.noise import NoiseDraw
from pytc_auto.augment.place import Place
from pytc_auto.geometry import Box
from pytc_auto.schema import augmentation as plan

CASES = [((9, 14, 20), (20.0, 8.0, 6.0)), ((16, 12, 10), (5.0, 30.0, 8.0)), ((12, 12, 12), (7.0, 7.0, 7.0))]
cases = pytest.mark.parametrize(("shape", "voxel_size_nm"), CASES)


def rng(seed=0):
    return np.random.default_rng(seed)


@cases
def test_boxes_are_drawn_in_nm_inside_the_crop(shape, voxel_size_nm):
    where, whole = Place.of(shape, voxel_size_nm), Box.of_shape(shape)
    boxes = [where.box(60.0, rng(seed)) for seed in range(200)]
    assert all(whole.contains(box) for box in boxes)
    longest = np.max([box.shape for box in boxes], axis=0)
    np.testing.assert_array_equal(longest, [min(n, round(60 / s)) for n, s in zip(shape, voxel_size_nm, strict=True)])
    assert all(min(box.start[i] for box in boxes) == 0 for i in range(3))
    assert all(max(box.stop[i] for box in boxes) == shape[i] for i in range(3))


@cases
def test_noise_and_blur_stay_in_their_boxes(shape, voxel_size_nm, make_crop):
    image = make_crop(shape).image_zyx
    before, box = image.copy(), Box((2, 3, 4), (8, 9, 10))
    inside = np.zeros(shape, bool)
    inside[box.slices] = True
    noisy = apply_cut_noise(image, CutNoiseDraw(((box, NoiseDraw(0.5, 7)),)))
    coarse = apply_cut_blur(image, CutBlurDraw(((box, (3, 3, 3)),)))
    for got in (noisy, coarse):
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got[~inside], image[~inside])
        assert (got[inside] != image[inside]).mean() > 0.9
    assert 0.4 < (noisy - image)[inside].std() < 0.6
    assert coarse[inside].std() < 0.6 * image[inside].std()
    np.testing.assert_array_equal(image, before)


@cases
def test_how_many_boxes_is_drawn(shape, voxel_size_nm):
    where = Place.of(shape, voxel_size_nm)
    noise = plan.CutNoise(probability=0.5, count=3, size_nm=40.0, sigma=0.5)
    blur = plan.CutBlur(probability=0.5, count=3, size_nm=40.0, factor=3.0)
    for effect, draw in ((noise, draw_cut_noise), (blur, draw_cut_blur)):
        drawn = [draw(effect, where, rng(seed)) for seed in range(200)]
        counts = [len(d.boxes) for d in drawn if d]
        assert 70 < len(counts) < 130
        assert set(counts) == {1, 2, 3}
    drop = plan.Dropout(probability=0.5, count=3, size_nm=40.0)
    drawn = [d for d in (draw_dropout(drop, where, rng(seed)) for seed in range(200)) if d]
    assert {d.count for d in drawn} == {1, 2, 3}
    assert drawn[0].size == tuple(max(1, min(n, round(40 / s))) for n, s in zip(shape, voxel_size_nm, strict=True))


@cases
def test_dropped_boxes_hold_the_mean_of_the_data(shape, voxel_size_nm, make_crop):
    image = make_crop(shape).image_zyx
    before = image.copy()
    got = apply_dropout(image, DropoutDraw(2, (4, 4, 4), 3))
    changed = got != image
    assert (got[changed] == 0).all()
    assert 1 <= cc3d.connected_components(changed).max() <= 2
    assert 1 <= changed.sum() <= 128
    np.testing.assert_array_equal(apply_dropout(image, DropoutDraw(2, (4, 4, 4), 3)), got)
    assert (apply_dropout(image, DropoutDraw(2, (4, 4, 4), 4)) != got).any()
    np.testing.assert_array_equal(image, before)


@cases
def test_a_histogram_curve_is_monotonous_and_keeps_the_ends(shape, voxel_size_nm, make_crop):
    image = make_crop(shape).image_zyx
    before = image.copy()
    got = apply_histogram_shift(image, HistogramDraw(6, 1))
    order = np.argsort(image.ravel())
    assert (np.diff(got.ravel()[order]) >= -1e-5).all()
    np.testing.assert_allclose([got.min(), got.max()], [image.min(), image.max()], atol=1e-4)
    assert np.abs(got - image).max() > 0.05
    np.testing.assert_array_equal(image, before)
    effect = plan.HistogramShift(probability=0.5, points=6)
    drawn = [draw_histogram_shift(effect, Place.of(shape, voxel_size_nm), rng(seed)) for seed in range(100)]
    assert 30 < sum(d is not None for d in drawn) < 70


@cases
def test_a_coarser_sampling_loses_detail_and_keeps_the_mean(shape, voxel_size_nm, make_crop):
    where = Place.of(shape, voxel_size_nm)
    effect = plan.LowResolution(probability=1.0, factor=3.0)
    coarse = draw_low_resolution(effect, where, rng(1))
    for axis in range(3):
        kept = where.sectioned and axis == where.axis
        assert coarse[axis] == shape[axis] if kept else shape[axis] / 3 - 1 <= coarse[axis] < shape[axis]
    image = make_crop(shape).image_zyx
    before = image.copy()
    got = apply_low_resolution(image, coarse)
    assert got.shape == shape
    assert got.std() < 0.8 * image.std()
    assert abs(got.mean() - image.mean()) < 0.1
    flat = np.full(shape, -1.25, np.float32)
    np.testing.assert_allclose(apply_low_resolution(flat, coarse), flat, atol=1e-5)
    np.testing.assert_array_equal(image, before)


@cases
def test_thick_sections_are_coarse_along_the_cutting_axis_only(shape, voxel_size_nm):
    where = Place.of(shape, voxel_size_nm)
    thick = 3 * max(voxel_size_nm)
    drawn = [draw_coarse_axis(plan.CoarseAxis(probability=1.0, thickness_nm=thick), where, rng(seed)) for seed in range(40)]
    extents = {d[where.axis] for d in drawn if d}
    assert min(extents) >= shape[where.axis] // 3
    assert all(d[i] == shape[i] for d in drawn if d for i in where.plane)
    fine = plan.CoarseAxis(probability=1.0, thickness_nm=0.5 * max(voxel_size_nm))
    assert draw_coarse_axis(fine, where, rng()) is None
    values = rng().standard_normal(shape[where.axis], np.float32)
    image = np.zeros(shape, np.float32) + np.moveaxis(values[:, None, None], 0, where.axis)
    coarse = next(d for d in drawn if d and d[where.axis] <= shape[where.axis] // 2)
    got = np.moveaxis(apply_coarse_axis(image, coarse), where.axis, 0)
    np.testing.assert_allclose(got, np.broadcast_to(got[:, :1, :1], got.shape), atol=1e-5)
    assert got[:, 0, 0].std() < 0.8 * values.std()


def scene():
    """Two objects of ids that float64 cannot hold, an unlabeled corner, gray values that tell each voxel apart."""
    labels = np.zeros((10, 16, 18), np.uint64)
    labels[2:5, 3:6, 4:8] = 2**60 + 1
    labels[3, 3, 7] = 0
    labels[7:9, 10:12, 12:15] = 2**60 + 3
    unlabeled = np.zeros(labels.shape, bool)
    unlabeled[:2, 12:, :4] = True
    return Crop(np.arange(labels.size, dtype=np.float32).reshape(labels.shape), labels, unlabeled)


def test_an_object_is_pasted_with_its_image_and_its_rim():
    crop = scene()
    before = crop.image_zyx.copy(), crop.labels_zyx.copy()
    got = apply_copy_paste(crop, (PasteDraw(0.0, (1.0, 0.0, 1.0), (2,)),))
    source, target = (slice(1, 6), slice(2, 7), slice(3, 9)), (slice(5, 10), slice(0, 5), slice(12, 18))
    pasted = got.labels_zyx[target] == 2**60 + 1
    np.testing.assert_array_equal(pasted, np.flip(crop.labels_zyx[source] == 2**60 + 1, 2))
    np.testing.assert_array_equal(got.image_zyx[target][pasted], np.flip(crop.image_zyx[source], 2)[pasted])
    np.testing.assert_array_equal(got.image_zyx[target], np.flip(crop.image_zyx[source], 2))
    outside = np.ones(crop.shape, bool)
    outside[target] = False
    np.testing.assert_array_equal(got.labels_zyx[outside], crop.labels_zyx[outside])
    np.testing.assert_array_equal(got.image_zyx[outside], crop.image_zyx[outside])
    assert cc3d.connected_components(got.labels_zyx, connectivity=6).max() == 3
    for array, old in zip((crop.image_zyx, crop.labels_zyx), before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_what_is_unlabeled_of_an_object_is_not_pasted():
    crop = scene()
    crop.unlabeled_zyx[4:, 3:6, 4:8] = True
    got = apply_copy_paste(crop, (PasteDraw(0.0, (1.0, 0.0, 1.0), ()),))
    known = (crop.labels_zyx == 2**60 + 1) & ~crop.unlabeled_zyx
    assert (got.labels_zyx == 2**60 + 1).sum() == (crop.labels_zyx == 2**60 + 1).sum() + known.sum()


@pytest.mark.parametrize("where", [(0.4, 0.2, 0.2), (1.0, 0.8, 0.8), (0.0, 1.0, 0.0)], ids=["itself", "another", "unlabeled"])
def test_an_object_that_has_no_room_stays_where_it_is(where):
    crop = scene()
    got = apply_copy_paste(crop, (PasteDraw(0.0, where, ()),))
    np.testing.assert_array_equal(got.labels_zyx, crop.labels_zyx)
    np.testing.assert_array_equal(got.image_zyx, crop.image_zyx)


def test_pasted_objects_never_touch_others():
    effect = plan.CopyPaste(probability=1.0, count=4)
    pasted = 0
    for seed in range(60):
        crop = scene()
        got = apply_copy_paste(crop, draw_copy_paste(effect, Place.of(crop.shape, (9.0, 9.0, 9.0)), rng(seed)))
        components = cc3d.connected_components(got.labels_zyx, connectivity=26)
        ids = [np.unique(got.labels_zyx[components == c]).size for c in range(1, components.max() + 1)]
        assert set(ids) == {1}
        sizes = {int(n) for n in np.unique(components, return_counts=True)[1][1:]}
        assert sizes <= {35, 12}
        pasted += components.max() - 2
    assert pasted > 20


def test_without_objects_nothing_is_pasted():
    empty = Crop(np.zeros((5, 6, 7), np.float32), np.zeros((5, 6, 7), np.uint8), np.zeros((5, 6, 7), bool))
    got = apply_copy_paste(empty, (PasteDraw(0.5, (0.5, 0.5, 0.5), ()),))
    assert not got.labels_zyx.any()
    assert draw_copy_paste(plan.CopyPaste(probability=0.0, count=1), Place.of((5, 6, 7), (5.0, 5.0, 5.0)), rng()) is None
