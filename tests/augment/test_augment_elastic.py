"""A smooth displacement and its resampling."""

import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates

from pytc_auto.augment.elastic import ElasticDraw, displacement, draw_elastic, elastic_margin
from pytc_auto.augment.place import Place
from pytc_auto.augment.warp import Warp, apply_warp, warp_margin
from pytc_auto.geometry import zyx
from pytc_auto.schema.augmentation import Elastic

CASES = [((13, 20, 31), (10.0, 8.0, 6.0)), ((6, 30, 26), (20.0, 5.0, 4.0)), ((24, 18, 11), (9.0, 9.0, 9.0))]
cases = pytest.mark.parametrize(("shape", "voxel_size_nm"), CASES)
EFFECT = Elastic(probability=1.0, grid_nm=60.0, displacement_nm=9.0)


def drawn(shape, voxel_size_nm, seed=0):
    return draw_elastic(EFFECT, Place.of(shape, voxel_size_nm), np.random.default_rng(seed))


@cases
def test_the_displacement_is_a_cubic_spline_through_the_control_points(shape, voxel_size_nm):
    draw = drawn(shape, voxel_size_nm)
    weights = []
    for extent, grid, points in zip(shape, draw.grid, draw.points_3kzyx.shape[1:], strict=True):
        at = (np.arange(extent) - (extent - 1) / 2) / grid + (points - 1) / 2
        basis = [BSpline.basis_element(np.arange(k - 2, k + 3), extrapolate=False)(at) for k in range(points)]
        weights.append(np.nan_to_num(np.stack(basis, 1)))
        np.testing.assert_allclose(weights[-1].sum(1), 1, atol=1e-9)
    for axis in range(3):
        wanted = np.einsum("zk,yj,xi,kji->zyx", *weights, draw.points_3kzyx[axis])
        np.testing.assert_allclose(displacement(draw, axis, shape), wanted, atol=1e-4)


@cases
def test_neighbors_never_change_places(shape, voxel_size_nm):
    for seed in range(20):
        draw = drawn(shape, voxel_size_nm, seed)
        moved = np.stack([displacement(draw, axis, shape) for axis in range(3)])
        size = np.array(voxel_size_nm)[:, None, None, None]
        stretched = np.stack([np.stack(np.gradient(m * s, *voxel_size_nm)) for m, s in zip(moved, size, strict=True)])
        jacobian = np.moveaxis(stretched, (0, 1), (-2, -1)) + np.eye(3)
        assert np.linalg.det(jacobian).min() > 0


def test_a_displacement_that_folds_tissue_is_refused():
    with pytest.raises(ValueError, match="at most a fifth of grid_nm"):
        Elastic(probability=0.1, grid_nm=50.0, displacement_nm=11.0)


@cases
def test_it_is_drawn_in_nm_and_stays_in_the_plane_of_coarse_sections(shape, voxel_size_nm):
    points = np.concatenate([drawn(shape, voxel_size_nm, seed).points_3kzyx.reshape(3, -1) for seed in range(40)], axis=1)
    flat = max(voxel_size_nm) >= 3 * np.sqrt(np.prod(sorted(voxel_size_nm)[:2]))
    for axis, size in enumerate(voxel_size_nm):
        if flat and size == max(voxel_size_nm):
            assert not points[axis].any()
        else:
            assert 0.75 * 9 < (points[axis] * size).std() < 9
            assert np.abs(points[axis] * size).max() <= 18 + 1e-4
    assert {size == max(voxel_size_nm) and flat for size in voxel_size_nm} == ({True, False} if flat else {False})


@cases
def test_resampling_equals_scipy_and_never_leaves_the_source(shape, voxel_size_nm, make_crop):
    draw = drawn(shape, voxel_size_nm, 3)
    warp = Warp(None, draw)
    margin = warp_margin(warp, shape)
    assert margin == elastic_margin(draw)
    crop = make_crop(zyx([n + 2 * m for n, m in zip(shape, margin, strict=True)]))
    got = apply_warp(crop, warp, shape)
    at = [grid + m + displacement(draw, i, shape) for i, (grid, m) in enumerate(zip(np.indices(shape), margin, strict=True))]
    np.testing.assert_allclose(got.image_zyx, map_coordinates(crop.image_zyx, at, order=1, mode="mirror"), atol=1e-3)
    nearest = tuple(np.rint(a).astype(int) for a in at)
    same = np.all([np.abs(a - np.rint(a)) < 0.49 for a in at], axis=0)
    assert same.mean() > 0.9
    np.testing.assert_array_equal(got.labels_zyx[same], crop.labels_zyx[nearest][same])
    np.testing.assert_array_equal(got.unlabeled_zyx[same], crop.unlabeled_zyx[nearest][same])


def test_affine_and_elastic_are_resampled_once(make_crop):
    shape, matrix = (9, 12, 10), np.diag([1.0, 1.2, 0.8])
    draw = ElasticDraw((4.0, 4.0, 4.0), np.full((3, 6, 6, 6), 0.25, np.float32))
    warp = Warp(matrix, draw)
    margin = warp_margin(warp, shape)
    crop = make_crop(zyx([n + 2 * m for n, m in zip(shape, margin, strict=True)]))
    middle = (np.array(crop.shape) - 1) / 2
    at = [
        matrix[i, i] * (grid - (n - 1) / 2) + middle[i] + 0.25
        for i, (grid, n) in enumerate(zip(np.indices(shape), shape, strict=True))
    ]
    got = apply_warp(crop, warp, shape)
    np.testing.assert_allclose(got.image_zyx, map_coordinates(crop.image_zyx, at, order=1, mode="mirror"), atol=1e-3)
