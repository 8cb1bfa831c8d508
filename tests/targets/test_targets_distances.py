"""Signed and skeleton-aware distance beside SciPy's transform of each object in the whole volume."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.morphology import skeletonize

from pytc_auto.targets.distance import distance_to_another
from pytc_auto.targets.signed_distance import signed_distance
from pytc_auto.targets.skeleton_distance import skeleton_distance

SIZES = [(10.0, 10.0, 10.0), (9.0, 8.0, 7.0), (40.0, 5.0, 4.0), (4.0, 30.0, 6.0)]
SHAPE = (13, 24, 31)
ALL = np.zeros(SHAPE, bool)


def some_labels(seed=0, top=5):
    """Blocky objects, some of which touch, with some background."""
    coarse = np.random.default_rng(seed).integers(0, top, [-(-n // 8) for n in SHAPE])
    return coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)[: SHAPE[0], : SHAPE[1], : SHAPE[2]].astype(np.uint16)


def to(where, voxel_size_nm):
    """Distance of each voxel to the nearest where something is true."""
    return distance_transform_edt(~where, sampling=voxel_size_nm) if where.any() else np.full(where.shape, np.inf)


def slow_distance(labels, unlabeled, voxel_size_nm):
    """To the nearest labeled voxel of another label."""
    found = np.zeros(labels.shape)
    for value in np.unique(labels):
        here = labels == value
        found[here] = to(~here & ~unlabeled, voxel_size_nm)[here]
    return found


@pytest.mark.parametrize("voxel_size_nm", SIZES)
def test_the_distance_is_that_of_a_transform_of_each_object(voxel_size_nm):
    labels = some_labels()
    before = labels.copy()
    got = distance_to_another(labels, ALL, voxel_size_nm)
    assert got.values_zyx.dtype == np.float32
    assert got.known_zyx.all()
    np.testing.assert_allclose(got.values_zyx, slow_distance(labels, ALL, voxel_size_nm), rtol=1e-5)
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("voxel_size_nm", SIZES)
def test_a_distance_is_known_where_no_unlabeled_voxel_is_as_near(voxel_size_nm):
    labels, unlabeled = some_labels(1), ALL.copy()
    unlabeled[:, 14:17], unlabeled[3, 4, 5] = True, True
    labels[unlabeled] = 0
    before = unlabeled.copy()
    got = distance_to_another(labels, unlabeled, voxel_size_nm)
    wanted = slow_distance(labels, unlabeled, voxel_size_nm)
    known = wanted < to(unlabeled, voxel_size_nm) * 0.9999
    np.testing.assert_array_equal(got.known_zyx, known)
    assert 0.2 < known.mean() < 0.9
    np.testing.assert_allclose(got.values_zyx[known], wanted[known], rtol=1e-5)
    np.testing.assert_array_equal(unlabeled, before)


@pytest.mark.parametrize("voxel_size_nm", SIZES)
@pytest.mark.parametrize("scale_nm", [15.0, 80.0])
def test_signed_distance_equals_the_slow_one(voxel_size_nm, scale_nm):
    labels = some_labels(2)
    got = signed_distance(labels, ALL, voxel_size_nm, scale_nm)
    wanted = np.where(labels > 0, 1, -1) * np.tanh(slow_distance(labels, ALL, voxel_size_nm) / scale_nm)
    assert got.values_zyx.dtype == np.float32
    np.testing.assert_allclose(got.values_zyx, wanted, atol=1e-5)
    assert got.known_zyx.all()


def test_signed_distance_by_hand():
    labels = np.array([[[0, 0, 1, 1, 1, 2, 2]]], np.uint8)
    got = signed_distance(labels, np.zeros(labels.shape, bool), (30.0, 20.0, 10.0), 10.0).values_zyx[0, 0]
    np.testing.assert_allclose(got, np.tanh([-2, -1, 1, 2, 1, 1, 2]), atol=1e-6)


@pytest.mark.parametrize("voxel_size_nm", SIZES)
def test_whatever_lies_under_unlabeled_voxels_a_known_value_is_right(voxel_size_nm):
    truth, unlabeled = some_labels(3), ALL.copy()
    unlabeled[4:7, :10], unlabeled[:, :, 25:] = True, True
    seen = np.where(unlabeled, 0, truth)
    got = signed_distance(seen, unlabeled, voxel_size_nm, 20.0)
    assert not got.known_zyx[unlabeled].any()
    assert 0.3 < got.known_zyx[~unlabeled].mean() < 1
    for hidden in (truth, np.where(unlabeled, truth[0, 0, 0], truth), np.where(unlabeled, 77, truth), seen):
        wanted = np.where(hidden > 0, 1, -1) * np.tanh(slow_distance(hidden, ALL, voxel_size_nm) / 20.0)
        assert np.abs(got.values_zyx - wanted)[got.known_zyx].max() <= 0.0501


def test_an_array_of_one_label_is_far_from_all_others():
    for value in (0, 3):
        got = signed_distance(np.full((3, 4, 5), value), np.zeros((3, 4, 5), bool), (8.0, 9.0, 10.0), 50.0)
        assert (got.values_zyx == (1 if value else -1)).all()
        assert got.known_zyx.all()
    got = skeleton_distance(np.ones((3, 4, 5), np.uint8), np.zeros((3, 4, 5), bool), (8.0, 9.0, 10.0), 8.0)
    assert (got.values_zyx == 1).all()


def slow_skeleton_distance(labels, voxel_size_nm, sigma_nm):
    """PyTorch Connectomics v1, object by object over the whole volume, with sigma in nm; the deepest voxel for no skeleton."""
    found = np.full(labels.shape, -1.0)
    for value in np.unique(labels[labels > 0]):
        inside = labels == value
        smooth = inside
        for _ in range(2):
            smooth = gaussian_filter(smooth.astype(float), [sigma_nm / s for s in voxel_size_nm], mode="nearest") > 0.5
        smooth = smooth & inside
        skeleton = skeletonize(smooth if smooth.sum() > 32 else inside) > 0
        border = distance_transform_edt(inside, sampling=voxel_size_nm)
        if not skeleton.any():
            skeleton.flat[np.argmax(border.round(3))] = True
        energy = (border / (to(skeleton, voxel_size_nm) + border + 1e-9)) ** 0.8
        found[inside] = energy[inside]
    return found


def some_tubes(seed=4):
    """Objects as 1 … n: smooth fields above a threshold, and a neighbor that touches."""
    from cc3d import connected_components

    field = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 2.5)
    return connected_components(((field > 0.03) + 2 * (field < -0.03)).astype(np.uint8), connectivity=6)


@pytest.mark.parametrize("voxel_size_nm", SIZES)
@pytest.mark.parametrize("sigma_nm", [1.0, 10.0, 20.0])
def test_skeleton_distance_equals_the_slow_one(voxel_size_nm, sigma_nm):
    labels = some_tubes()
    before = labels.copy()
    got = skeleton_distance(labels, ALL, voxel_size_nm, sigma_nm)
    assert got.values_zyx.dtype == np.float32
    assert len(np.unique(labels)) > 5
    np.testing.assert_allclose(got.values_zyx, slow_skeleton_distance(labels, voxel_size_nm, sigma_nm), atol=1e-5)
    np.testing.assert_array_equal(labels, before)
    assert got.known_zyx.all()


def test_skeleton_distance_is_one_on_a_ridge_that_does_not_follow_the_width():
    labels = np.zeros((15, 30, 60), np.uint8)
    labels[2:13, 8:21, 2:30] = 1
    labels[5:10, 12:17, 30:58] = 1
    got = skeleton_distance(labels, np.zeros(labels.shape, bool), (10.0, 10.0, 10.0), 10.0).values_zyx
    assert (got[7, 14, 15:52] > 0.75).all()
    assert got[labels > 0].min() > 0
    assert got.max() == 1
    assert (got[labels == 0] == -1).all()


def test_an_object_that_thinning_deletes_is_deepest_in_its_middle():
    labels = np.zeros((6, 7, 8), np.uint8)
    labels[2:4, 2:4, 3:5] = 1
    assert not skeletonize(labels == 1).any()
    got = skeleton_distance(labels, np.zeros(labels.shape, bool), (10.0, 10.0, 10.0), 1.0).values_zyx
    assert got.max() == 1
    assert (got[labels > 0] > 0.4).all()


def test_a_single_section_has_skeletons():
    labels = np.zeros((1, 11, 30), np.uint8)
    labels[0, 2:9, 3:27] = 1
    got = skeleton_distance(labels, np.zeros(labels.shape, bool), (50.0, 4.0, 4.0), 1.0).values_zyx[0]
    assert (got[5, 8:22] == 1).all()
    assert got[2, 15] == pytest.approx((4 / (4 + 12)) ** 0.8, rel=1e-5)


def test_the_skeleton_distance_of_background_is_known_and_beside_unlabeled_voxels_it_is_not():
    labels, unlabeled = np.zeros((5, 9, 24), np.uint8), np.zeros((5, 9, 24), bool)
    labels[1:4, 2:7, 2:18] = 1
    unlabeled[:, :, 18:] = True
    known = skeleton_distance(labels, unlabeled, (10.0, 10.0, 10.0), 1.0).known_zyx
    assert not known[unlabeled].any()
    assert known[0, 0, :18].all()
    assert known[2, 4, 2:14].all()
    assert not known[2, 4, 16:18].any()
