import cc3d
import numpy as np
import pytest

from pytc_auto.targets.shape_descriptors import LEAST_VARIANCE, shape_descriptors

CASES = [((7, 8, 9), (10.0, 10.0, 10.0), 25.0), ((5, 9, 12), (40.0, 8.0, 6.0), 60.0), ((1, 11, 8), (30.0, 4.0, 5.0), 12.0)]


def oracle(labels, size, sigma):
    """Voxel by voxel, straight from the definition."""
    found = np.zeros((10, *labels.shape))
    where = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(labels.shape, size, strict=True)), indexing="ij"), -1)
    far = [np.arange(-np.ceil(8 * sigma / s), np.ceil(8 * sigma / s) + 1) * s for s in size]
    whole = np.prod([np.exp(-0.5 * (d / sigma) ** 2).sum() for d in far])
    for voxel in zip(*np.nonzero(labels), strict=True):
        away = (where - where[voxel]) / sigma
        weight = np.exp(-0.5 * (away**2).sum(-1)) * (labels == labels[voxel]) / whole
        mass = weight.sum()
        mean = (weight[..., None] * away).sum((0, 1, 2)) / mass
        spread = np.einsum("zyx,zyxi,zyxj->ij", weight, away - mean, away - mean) / mass
        wide = np.maximum(np.diag(spread), LEAST_VARIANCE)
        tilt = [spread[i, j] / np.sqrt(wide[i] * wide[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
        found[(slice(None), *voxel)] = [
            *(0.5 + 0.5 * np.clip(mean, -1, 1)),
            *np.diag(spread),
            *(0.5 + 0.5 * np.array(tilt)),
            mass,
        ]
    return found


def objects(shape, seed):
    raw = np.random.default_rng(seed).integers(0, 3, shape)
    return cc3d.connected_components(raw.astype(np.uint32), connectivity=6)


@pytest.mark.parametrize(("shape", "size", "sigma"), CASES)
def test_is_what_the_definition_says(shape, size, sigma):
    labels = objects(shape, 1)
    kept = labels.copy()
    found = shape_descriptors(labels, size, sigma)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, oracle(labels, size, sigma), atol=2e-4)
    np.testing.assert_array_equal(labels, kept)
    assert found[:, labels != 0].std(axis=1)[[1, 2, 4, 5, 8, 9]].min() > 0.001


def test_a_rod_along_x_is_long_in_x_alone_and_its_ends_look_inward():
    labels = np.zeros((9, 9, 41), np.uint8)
    labels[3:6, 3:6] = 1
    found = shape_descriptors(labels, (10.0, 10.0, 10.0), 50.0)
    middle, end = found[:, 4, 4, 20], found[:, 4, 4, 0]
    assert middle[5] > 0.7
    assert max(middle[3:5]) < 0.05
    np.testing.assert_allclose(middle[[0, 1, 2, 6, 7, 8]], 0.5, atol=1e-3)
    assert end[2] > 0.7
    assert found[2, 4, 4, 40] == pytest.approx(1 - end[2], abs=1e-4)
    assert end[9] < middle[9]


def test_swapped_axes_swap_the_channels():
    labels = objects((6, 8, 10), 3)
    one = shape_descriptors(labels, (30.0, 8.0, 6.0), 40.0)
    two = shape_descriptors(labels.transpose(2, 0, 1), (6.0, 30.0, 8.0), 40.0)
    np.testing.assert_allclose(one[[2, 0, 1, 5, 3, 4, 7, 8, 6, 9]].transpose(0, 3, 1, 2), two, atol=1e-4)


def test_nothing_but_background_has_no_shape():
    assert not shape_descriptors(np.zeros((3, 4, 5), np.uint16), (1.0, 1.0, 1.0), 2.0).any()
