import numpy as np
import pytest
from scipy.ndimage import affine_transform

from pytc_auto.augment.affine import affine_margin, draw_affine
from pytc_auto.augment.affine import affine_matrix as matrix_at
from pytc_auto.augment.crop import Crop
from pytc_auto.augment.place import Place
from pytc_auto.augment.warp import Warp, apply_warp
from pytc_auto.geometry import zyx
from pytc_auto.schema.augmentation import Affine

SIZES = [(10.0, 10.0, 10.0), (20.0, 8.0, 5.0), (6.0, 24.0, 9.0)]


def place(voxel_size_nm, shape=(9, 9, 9)):
    return Place.of(shape, voxel_size_nm)


def affine_matrix(angles, scale, voxel_size_nm):
    return matrix_at(angles, scale, place(voxel_size_nm))


def apply_affine(crop, matrix, shape):
    return apply_warp(crop, Warp(matrix, None), shape)


ANGLES = np.deg2rad([40.0, -25.0, 70.0])


def from_middle_nm(shape, voxel_size_nm):
    """Position of each voxel, (3, Z, Y, X), nm from the middle."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, voxel_size_nm, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def turned(draw, shape, matrix):
    """Draw an object on the source grid and resample it."""
    source = zyx([n + 2 * m for n, m in zip(shape, affine_margin(matrix, shape), strict=True)])
    image, labels = draw(source)
    return apply_affine(Crop(image.astype(np.float32), labels, np.zeros(source, bool)), matrix, shape)


@pytest.mark.parametrize("voxel_size_nm", SIZES)
@pytest.mark.parametrize("angles", [ANGLES, [0.0, 1.1, 0.0], [0.0, 0.0, -0.7]], ids=["all", "y", "x"])
def test_a_sphere_in_nm_stays_one(voxel_size_nm, angles):
    shape = zyx([round(300 / s) for s in voxel_size_nm])

    def sphere(source):
        radius = np.sqrt((from_middle_nm(source, voxel_size_nm) ** 2).sum(0))
        return np.exp(-((radius / 60) ** 2)), (radius < 80).astype(np.uint64) * np.uint64(2**60 + 1)

    crop = turned(sphere, shape, affine_matrix(angles, 1.0, voxel_size_nm))
    image, labels = sphere(shape)
    assert np.abs(crop.image_zyx - image).max() < 0.06
    both, either = ((crop.labels_zyx > 0) & (labels > 0)).sum(), ((crop.labels_zyx > 0) | (labels > 0)).sum()
    assert both / either > 0.8
    assert set(np.unique(crop.labels_zyx).tolist()) == {0, 2**60 + 1}
    assert not crop.unlabeled_zyx.any()


@pytest.mark.parametrize("voxel_size_nm", SIZES)
@pytest.mark.parametrize(("about", "onto"), [(0, 1), (1, 0)])
def test_a_rod_keeps_its_length_in_nm(voxel_size_nm, about, onto):
    shape = zyx([round(400 / s) | 1 for s in voxel_size_nm])

    def rod(source):
        z, y, x = np.abs(from_middle_nm(source, voxel_size_nm))
        inside = (z < 30) & (y < 30) & (x < 120)
        return inside, inside.astype(np.uint8)

    angles = [0.0, 0.0, 0.0]
    angles[about] = np.pi / 2
    crop = turned(rod, shape, affine_matrix(angles, 1.0, voxel_size_nm))
    extent = [np.ptp(np.nonzero(crop.labels_zyx)[i]) + 1 for i in range(3)]
    got = [n * s for n, s in zip(extent, voxel_size_nm, strict=True)]
    wanted = [60.0, 60.0, 60.0]
    wanted[onto] = 240.0
    np.testing.assert_allclose(got, wanted, atol=2.1 * max(voxel_size_nm))


def test_scale_is_for_all_axes_of_isotropic_data_and_for_the_plane_of_sections():
    np.testing.assert_allclose(affine_matrix([0, 0, 0], 1.25, (5.0, 5.0, 5.0)), np.eye(3) * 0.8)
    np.testing.assert_allclose(affine_matrix([0, 0, 0], 1.25, (40.0, 5.0, 4.0)), np.diag([1, 0.8, 0.8]))
    np.testing.assert_allclose(affine_matrix([0, 0, 0], 1.25, (5.0, 4.0, 40.0)), np.diag([0.8, 0.8, 1]))


@pytest.mark.parametrize("shape", [(7, 9, 12), (8, 11, 6)])
@pytest.mark.parametrize(
    ("angles", "size"),
    [
        (ANGLES, (9.0, 8.0, 7.0)),
        ([0.7, 0.0, 0.0], (40.0, 8.0, 7.0)),
        ([0.0, -2.0, 0.0], (9.0, 40.0, 7.0)),
        ([0.0, 0.0, 1.1], (9.0, 8.0, 40.0)),
    ],
    ids=["all axes", "about z", "about y", "about x"],
)
def test_resampling_equals_scipy(shape, angles, size, make_crop):
    matrix = affine_matrix(angles, 1.1, size)
    source = zyx([n + 2 * m for n, m in zip(shape, affine_margin(matrix, shape), strict=True)])
    crop = make_crop(source)
    before = crop.image_zyx.copy(), crop.labels_zyx.copy(), crop.unlabeled_zyx.copy()
    got = apply_affine(crop, matrix, shape)
    offset = (np.array(source) - 1) / 2 - matrix @ ((np.array(shape) - 1) / 2)
    wanted = affine_transform(crop.image_zyx, matrix, offset, output_shape=shape, order=1, mode="mirror")
    np.testing.assert_allclose(got.image_zyx, wanted, atol=1e-4)
    index = [affine_transform(grid, matrix, offset, output_shape=shape, order=1) for grid in np.indices(source).astype(float)]
    nearest = tuple(np.rint(i).astype(int) for i in index)
    same = np.all([np.abs(i - np.rint(i)) < 0.49 for i in index], axis=0)
    assert same.mean() > 0.9
    np.testing.assert_array_equal(got.labels_zyx[same], crop.labels_zyx[nearest][same])
    np.testing.assert_array_equal(got.unlabeled_zyx[same], crop.unlabeled_zyx[nearest][same])
    for array, old in zip((crop.image_zyx, crop.labels_zyx, crop.unlabeled_zyx), before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_the_identity_changes_nothing(make_crop):
    crop = make_crop((5, 6, 7))
    got = apply_affine(crop, np.eye(3), crop.shape)
    np.testing.assert_allclose(got.image_zyx, crop.image_zyx, atol=1e-5)
    np.testing.assert_array_equal(got.labels_zyx, crop.labels_zyx)
    assert affine_margin(np.eye(3), (5, 6, 7)) == (0, 0, 0)


def test_beyond_the_source_nothing_is_labeled(make_crop):
    crop = make_crop((5, 6, 7))
    got = apply_affine(crop, np.eye(3) * 2, crop.shape)
    assert got.unlabeled_zyx[0].all()
    assert not got.labels_zyx[0].any()
    assert np.isfinite(got.image_zyx).all()


def test_a_single_section_can_be_turned(make_crop):
    matrix = affine_matrix([0.5, 0, 0], 1.0, (50.0, 4.0, 4.0))
    margin = affine_margin(matrix, (1, 8, 10))
    assert margin[0] == 0
    got = apply_affine(make_crop((1, 8 + 2 * margin[1], 10 + 2 * margin[2])), matrix, (1, 8, 10))
    assert got.shape == (1, 8, 10)
    assert np.isfinite(got.image_zyx).all()


def test_the_draw_stays_in_its_limits_and_can_be_replayed():
    effect = Affine(probability=0.5, rotation_degrees=(30, 0, 0), scale=0.1)
    draws = [draw_affine(effect, place((40.0, 5.0, 5.0)), np.random.default_rng(i)) for i in range(200)]
    happened = [d for d in draws if d is not None]
    assert 70 < len(happened) < 130
    for matrix in happened:
        np.testing.assert_allclose(matrix[0], [1, 0, 0], atol=1e-12)
        zoom = np.sqrt(np.linalg.det(matrix))
        assert 1 / 1.1 - 1e-9 <= zoom <= 1 / 0.9 + 1e-9
        assert matrix[1, 1] / zoom >= np.cos(np.deg2rad(30)) - 1e-9
    again = draw_affine(effect, place((40.0, 5.0, 5.0)), np.random.default_rng(3))
    assert (again is None) == (draws[3] is None)
    if again is not None:
        np.testing.assert_array_equal(again, draws[3])
