from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.decoding.watershed import fragments_from_affinities, interior, neighbors
from pytc_auto.geometry import zyx
from pytc_auto.targets.affinities import affinities_from_labels

ONE_STEP = [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]
ALL = [0, 1, 2]
EXTENTS = [((20, 24, 28), (10.0, 10.0, 10.0)), ((9, 32, 28), (30.0, 8.0, 8.0)), ((26, 8, 30), (12.0, 40.0, 10.0))]


def near(labels):
    return affinities_from_labels(labels, ONE_STEP).astype(np.float32)


def cubes(shape, counts=(2, 2, 3)):
    """A grid of touching boxes, ids from 1."""
    index = [i * n // s for i, n, s in zip(np.indices(shape), counts, shape, strict=True)]
    return (1 + np.ravel_multi_index(index, counts)).astype(np.uint32)


def crosses(fragments, labels):
    """Fragments that hold voxels of more than one label."""
    pairs = np.unique(np.stack([fragments.ravel(), labels.ravel()]), axis=1)
    return int(np.sum(np.unique(pairs[0], return_counts=True)[1] > 1))


@pytest.mark.parametrize("axes", [[0, 1, 2], [1, 2], [0]])
@pytest.mark.parametrize("shape", [(4, 5, 6), (3, 2, 7)])
def test_interior_is_the_mean_over_both_sides(shape, axes):
    affinities = np.random.default_rng(0).random((3, *shape)).astype(np.float32)
    kept = affinities.copy()
    found = interior(affinities, axes)
    for voxel in np.ndindex(shape):
        links = []
        for axis in axes:
            ahead = [*voxel]
            ahead[axis] += 1
            back = affinities[(axis, *voxel)] if voxel[axis] > 0 else None
            front = affinities[(axis, *ahead)] if ahead[axis] < shape[axis] else None
            links += [back if back is not None else front, front if front is not None else back]
        assert found[voxel] == pytest.approx(np.mean(links), abs=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(affinities, kept)


@pytest.mark.parametrize("axis", ALL)
def test_interior_does_not_lean_to_one_side(axis):
    labels = cubes((8, 10, 12))
    mirrored = np.flip(interior(near(np.flip(labels, axis)), ALL), axis)
    np.testing.assert_allclose(interior(near(labels), ALL), mirrored, atol=1e-6)


def test_without_axes_everything_is_inside():
    assert (interior(np.zeros((3, 2, 3, 4), np.float32), []) == 1).all()


@pytest.mark.parametrize(("shape", "voxel_size"), EXTENTS)
def test_no_fragment_crosses_a_border_and_none_is_left_out(shape, voxel_size):
    labels = cubes(shape)
    affinities = near(labels)
    kept = affinities.copy()
    fragments = fragments_from_affinities(affinities, voxel_size, ALL).ids_zyx
    assert fragments.shape == shape
    assert fragments.dtype == np.uint32
    assert (fragments > 0).all()
    assert len(np.unique(fragments)) == fragments.max()
    assert crosses(fragments, labels) == 0
    np.testing.assert_array_equal(affinities, kept)


@pytest.mark.parametrize("cut", ALL)
def test_thick_sections_are_flooded_one_by_one(cut):
    voxel_size = [8.0, 8.0, 8.0]
    voxel_size[cut] = 40.0
    shape = [24, 28, 32]
    shape[cut] = 3
    affinities = near(np.ones(zyx(shape), np.uint32))
    fragments = np.moveaxis(
        fragments_from_affinities(affinities, (voxel_size[0], voxel_size[1], voxel_size[2]), ALL).ids_zyx, cut, 0
    )
    held = [set(np.unique(section).tolist()) for section in fragments]
    assert not held[0] & held[1]
    assert not held[1] & held[2]
    thin = fragments_from_affinities(affinities, (8.0, 8.0, 8.0), ALL).ids_zyx
    assert len(np.unique(thin)) == 1


def test_a_section_with_nothing_inside_is_not_flooded_from_its_neighbors():
    affinities = near(np.ones((5, 20, 24), np.uint32))
    affinities[:, 2] = 0
    fragments = fragments_from_affinities(affinities, (40.0, 8.0, 8.0), ALL).ids_zyx
    assert (fragments > 0).all(axis=(1, 2)).tolist() == [True, True, False, True, True]
    assert not fragments[2].any()


@pytest.mark.parametrize("axes", [ALL, [1, 2], [0]])
def test_neighbors_lie_on_the_given_axes(axes):
    for most in (1, 3):
        offsets = np.argwhere(neighbors(axes, most)) - 1
        assert len(offsets) == (1 + 2 * len(axes) if most == 1 else 3 ** len(axes))
        assert not offsets[:, [a for a in ALL if a not in axes]].any()


def test_a_thin_neurite_between_thick_ones_keeps_its_own_fragments():
    labels = np.ones((24, 30, 40), np.uint32)
    labels[:, 15:] = 2
    labels[:, 13:16, 18:21] = 3
    rng = np.random.default_rng(1)
    affinities = np.clip(near(labels) * 0.8 + 0.1 + rng.normal(0, 0.08, (3, *labels.shape)), 0, 1).astype(np.float32)
    fragments = fragments_from_affinities(affinities, (10.0, 10.0, 10.0), ALL).ids_zyx
    for z in range(0, 24, 4):
        middle = labels[fragments == fragments[z, 14, 19]]
        assert np.mean(middle == 3) > 0.6, f"the neurite is lost at section {z}"


def test_two_bodies_that_leak_into_one_another_are_not_one_fragment():
    body = np.ones((24, 24, 48), np.uint32)
    body[:, :, 23:25] = 0
    body[8:16, 8:16, 23:25] = 1
    fragments = fragments_from_affinities(near(body), (10.0, 10.0, 10.0), ALL).ids_zyx
    assert fragments[12, 12, 10] != fragments[12, 12, 40]


def test_faint_noise_where_the_network_is_sure_does_not_shatter_a_body():
    body = np.zeros((24, 26, 28), np.uint32)
    body[3:-3, 3:-3, 3:-3] = 1
    faint = 1 - 1e-3 * np.random.default_rng(0).random((3, *body.shape), dtype=np.float32)
    fragments = fragments_from_affinities(near(body) * faint, (10.0, 10.0, 10.0), ALL).ids_zyx
    assert fragments.max() < 10


def test_nothing_inside_gives_no_fragments():
    assert not fragments_from_affinities(np.zeros((3, 5, 6, 7), np.float32), (10.0, 10.0, 10.0), ALL).ids_zyx.any()
    assert not fragments_from_affinities(np.zeros((3, 5, 6, 7), np.float32), (40.0, 8.0, 8.0), ALL).ids_zyx.any()


def test_same_input_same_fragments():
    affinities = np.random.default_rng(3).random((3, 8, 9, 10)).astype(np.float32)
    first, second = (fragments_from_affinities(affinities, (10.0, 10.0, 10.0), ALL).ids_zyx for _ in range(2))
    np.testing.assert_array_equal(first, second)
