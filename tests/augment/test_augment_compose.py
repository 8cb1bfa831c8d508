import dataclasses

import numpy as np
import pytest

from pytc_auto.augment.compose import apply_effects, augment, draw_effects, source_box
from pytc_auto.augment.crop import Crop
from pytc_auto.augment.warp import Warp
from pytc_auto.geometry import Box, Symmetry, symmetry_group
from pytc_auto.schema.augmentation import Augmentation

NONE = {}
ALL = {
    "affine": {"probability": 0.7, "rotation_degrees": [180, 8, 8], "scale": 0.15},
    "elastic": {"probability": 0.7, "grid_nm": 40, "displacement_nm": 4},
    "section_shift": {"probability": 0.7, "shift_nm": 15, "rotation_degrees": 5},
    "dropped_section": {"probability": 0.5},
    "copy_paste": {"probability": 0.5, "count": 2},
    "intensity": {"probability": 0.7, "contrast": 0.2, "brightness": 0.2, "gamma": 0.2},
    "histogram_shift": {"probability": 0.5, "points": 5},
    "section_intensity": {"probability": 0.7, "contrast": 0.1, "brightness": 0.1},
    "stripes": {"probability": 0.3, "strength": 0.3, "width_nm": 15},
    "low_resolution": {"probability": 0.3, "factor": 2},
    "coarse_axis": {"probability": 0.3, "thickness_nm": 40},
    "blur": {"probability": 0.7, "sigma_nm": 8},
    "out_of_focus": {"probability": 0.2, "sigma_nm": 10},
    "motion_blur": {"probability": 0.2, "length_nm": 20},
    "cut_blur": {"probability": 0.3, "count": 2, "size_nm": 40, "factor": 3},
    "fold": {"probability": 0.2, "width_nm": 10},
    "artifact": {"probability": 0.2, "size_nm": 30, "strength": 2},
    "missing_section": {"probability": 0.2, "kinds": ["blank", "partial", "duplicated"]},
    "dropout": {"probability": 0.3, "count": 2, "size_nm": 30},
    "noise": {"probability": 0.7, "sigma": 0.1},
    "cut_noise": {"probability": 0.3, "count": 2, "size_nm": 40, "sigma": 0.5},
}
CASES = [((6, 12, 12), (20.0, 5.0, 5.0)), ((12, 6, 12), (5.0, 20.0, 5.0)), ((8, 8, 8), (9.0, 9.0, 9.0))]
cases = pytest.mark.parametrize(("shape", "voxel_size_nm"), CASES)


def augmentation(effects):
    return Augmentation.model_validate({"symmetries": 1, "effects": effects})


def arrays(crop):
    return crop.image_zyx, crop.labels_zyx, crop.unlabeled_zyx


@cases
def test_shape_dtypes_and_ids_are_kept_and_the_input_too(shape, voxel_size_nm, make_crop):
    crop = make_crop(shape)
    before = [a.copy() for a in arrays(crop)]
    group = symmetry_group(voxel_size_nm, shape)
    ids = set(crop.labels_zyx.ravel().tolist())
    for seed in range(20):
        got = augment(crop, augmentation(ALL), group, voxel_size_nm, np.random.default_rng(seed))
        assert got.shape == shape
        assert [a.shape for a in arrays(got)] == [shape] * 3
        assert [a.dtype for a in arrays(got)] == [a.dtype for a in arrays(crop)]
        assert set(got.labels_zyx[~got.unlabeled_zyx].tolist()) <= ids
        assert np.isfinite(got.image_zyx).all()
    for array, old in zip(arrays(crop), before, strict=True):
        np.testing.assert_array_equal(array, old)


@cases
def test_the_same_seed_gives_the_same_crop(shape, voxel_size_nm, make_crop):
    crop = make_crop(shape)
    group = symmetry_group(voxel_size_nm, shape)

    def one(seed):
        return arrays(augment(crop, augmentation(ALL), group, voxel_size_nm, np.random.default_rng(seed)))

    for a, b in zip(one(4), one(4), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one(4)[0] != one(5)[0]).any()


@cases
def test_without_effects_a_crop_is_only_turned(shape, voxel_size_nm, make_crop):
    crop = make_crop(shape)
    group = symmetry_group(voxel_size_nm, shape)
    seen = set()
    for seed in range(200):
        draw = draw_effects(augmentation(NONE), group, voxel_size_nm, shape, np.random.default_rng(seed))
        seen.add(draw.symmetry)
        got = apply_effects(crop, draw)
        for array, old in zip(arrays(got), arrays(crop), strict=True):
            np.testing.assert_array_equal(array, draw.symmetry.apply(old))
    assert len(seen) > 0.9 * len(group)


@cases
def test_image_and_labels_stay_together(shape, voxel_size_nm):
    """Gray values that tell the position in the source come out where the labels of that position do."""
    group = symmetry_group(voxel_size_nm, shape)
    moving = augmentation({name: ALL[name] for name in ("affine", "elastic", "section_shift", "dropped_section")})
    checked = 0
    for seed in range(30):
        draw = draw_effects(moving, group, voxel_size_nm, shape, np.random.default_rng(seed))
        if draw.section_shift is not None and not draw.section_shift.step:
            continue
        source = source_box(draw, Box.of_shape(shape)).shape
        for axis in range(3):
            ramp = np.broadcast_to(np.indices(source)[axis] + 1, source)
            got = apply_effects(Crop(ramp.astype(np.float32), ramp.astype(np.uint32), np.zeros(source, bool)), draw)
            assert not got.unlabeled_zyx.any()
            assert np.abs(got.image_zyx - got.labels_zyx).max() < 1.1  # two resamplings, half a voxel each
            checked += 1
    assert checked > 30


def test_the_source_is_larger_on_the_axes_that_need_it():
    shape = (6, 12, 12)
    draw = draw_effects(augmentation(NONE), [Symmetry()], (20.0, 5.0, 5.0), shape, np.random.default_rng(0))
    box = Box.of_shape(shape, (10, 20, 30))
    assert source_box(draw, box) == box
    turned = dataclasses.replace(draw, warp=Warp(np.diag([1.0, 1.0, 2.0]), None))
    assert source_box(turned, box) == Box((10, 20, 24), (16, 32, 48))
    swapped = dataclasses.replace(turned, symmetry=Symmetry((0, 2, 1)))
    assert source_box(swapped, box) == Box((10, 14, 30), (16, 38, 42))


def test_a_crop_of_another_shape_is_refused(make_crop):
    draw = draw_effects(augmentation(NONE), [Symmetry()], (20.0, 5.0, 5.0), (6, 12, 12), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"need a crop of \(6, 12, 12\) voxels, got \(6, 12, 14\)"):
        apply_effects(make_crop((6, 12, 14)), draw)


def test_without_surroundings_what_comes_in_is_unlabeled(make_crop):
    effects = augmentation(NONE | {"affine": {"probability": 1.0, "rotation_degrees": [180, 0, 0], "scale": 0.0}})
    crop = make_crop((4, 16, 16))
    plain = Crop(crop.image_zyx, crop.labels_zyx, np.zeros((4, 16, 16), bool))
    shares = [
        augment(plain, effects, [Symmetry()], (20.0, 5.0, 5.0), np.random.default_rng(seed)).unlabeled_zyx.mean()
        for seed in range(10)
    ]
    assert 0.05 < max(shares) < 0.3
    got = augment(plain, effects, [Symmetry()], (20.0, 5.0, 5.0), np.random.default_rng(1))
    assert not got.labels_zyx[got.unlabeled_zyx].any()
