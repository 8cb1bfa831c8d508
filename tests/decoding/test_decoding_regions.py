from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from pytc_auto.decoding.regions import absorb_small, region_graph, region_sizes


def slowly(regions, affinities, axes=(0, 1, 2)):
    """Faces and sums of affinities per pair, one voxel at a time."""
    faces = defaultdict(lambda: [0, 0.0])
    for voxel in np.ndindex(regions.shape):
        for axis in axes:
            back = tuple(v - (i == axis) for i, v in enumerate(voxel))
            if back[axis] < 0 or regions[voxel] == regions[back] or 0 in (regions[voxel], regions[back]):
                continue
            entry = faces[tuple(sorted((int(regions[voxel]), int(regions[back]))))]
            entry[0] += 1
            entry[1] += affinities[(axis, *voxel)]
    return faces


def as_dict(graph):
    return {tuple(p): (c, a) for p, c, a in zip(graph.pairs.tolist(), graph.contacts, graph.affinities, strict=True)}


def sample(seed, shape=(4, 5, 6)):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 6, shape).astype(np.uint32), rng.random((3, *shape)).astype(np.float32)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2)])
@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 7, 3), (2, 2, 9)])
def test_graph_agrees_with_a_plain_loop(shape, axes):
    regions, affinities = sample(0, shape)
    graph = region_graph(regions, axes, affinities)
    expected = slowly(regions, affinities, axes)
    assert list(as_dict(graph)) == sorted(expected)
    for pair, (contact, affinity) in as_dict(graph).items():
        assert (contact, affinity) == pytest.approx(tuple(expected[pair]), rel=1e-5)
    assert graph.sizes.tolist() == np.bincount(regions.ravel()).tolist()


def test_the_highest_id_may_be_missing():
    assert region_graph(np.ones((2, 2, 2), np.uint32), highest=4).sizes.tolist() == [0, 8, 0, 0, 0]


def test_joining_on_the_graph_is_joining_the_voxels():
    regions, affinities = sample(1)
    lookup = np.array([0, 1, 1, 3, 0, 3])
    joined = region_graph(regions, (0, 1, 2), affinities).joined(lookup)
    voxels = region_graph(lookup[regions], (0, 1, 2), affinities)
    assert as_dict(joined).keys() == as_dict(voxels).keys()
    for pair, values in as_dict(joined).items():
        assert values == pytest.approx(as_dict(voxels)[pair], rel=1e-5)
    assert joined.sizes[:4].tolist() == voxels.sizes.tolist()


def three():
    """A small region 2: a face of 4 voxels with region 1 (affinity .3), one of 1 with region 3 (affinity .9)."""
    regions = np.zeros((1, 6, 6), np.uint32)
    regions[0, 0:2, 0:4] = 1
    regions[0, 2, 0:4] = 2
    regions[0, 3:6, 3:6] = 3
    affinities = np.zeros((3, 1, 6, 6), np.float32)
    affinities[1, 0, 2, 0:4] = 0.3
    affinities[1, 0, 3, 3] = 0.9
    return regions, affinities


def test_a_small_region_goes_where_affinity_or_contact_is_highest():
    regions, affinities = three()
    graph = region_graph(regions, (0, 1, 2), affinities)
    assert absorb_small(graph, 5, by="affinity").tolist() == [0, 1, 3, 3]
    assert absorb_small(graph, 5, by="contact").tolist() == [0, 1, 1, 3]
    assert absorb_small(graph, 4, by="affinity").tolist() == [0, 1, 2, 3]


def test_a_small_region_without_neighbors_becomes_background():
    regions, affinities = three()
    regions[0, 2] = 0
    regions[0, 5, 0] = 2
    assert absorb_small(region_graph(regions, (0, 1, 2), affinities), 2, by="affinity").tolist() == [0, 1, 0, 3]


def test_small_regions_in_a_row_end_in_the_large_one():
    regions = np.repeat([1, 2, 3, 4], [9, 1, 1, 1]).astype(np.uint32).reshape(1, 1, -1)
    assert absorb_small(region_graph(regions), 3, by="contact").tolist() == [0, 1, 1, 1, 1]


def test_small_regions_that_join_one_another_are_large_enough():
    regions = np.repeat([1, 2, 3], [2, 2, 9]).astype(np.uint32).reshape(1, 1, -1)
    affinities = np.zeros((3, 1, 1, 13), np.float32)
    affinities[2, 0, 0, [2, 4]] = [0.9, 0.1]
    lookup = absorb_small(region_graph(regions, (2,), affinities), 4, by="affinity")
    assert lookup[1] == lookup[2] != lookup[3]


@pytest.mark.parametrize("seed", range(5))
def test_large_regions_are_never_joined_and_no_small_one_with_neighbors_is_left(seed):
    rng = np.random.default_rng(seed)
    regions = np.repeat(np.repeat(rng.integers(0, 40, (3, 6, 7)), 2, 1), rng.integers(1, 4, 7), 2).astype(np.uint32)
    graph = region_graph(regions, (0, 1, 2), rng.random((3, *regions.shape)).astype(np.float32))
    lookup = absorb_small(graph, 15, by="affinity")
    large = np.flatnonzero(graph.sizes >= 15)[1:] if graph.sizes[0] >= 15 else np.flatnonzero(graph.sizes >= 15)
    np.testing.assert_array_equal(lookup[large], large)
    after = region_graph(lookup[regions])
    assert (after.sizes[1:][after.sizes[1:] > 0] >= 15).all()
    assert lookup[0] == 0


def test_nothing_small_and_nothing_at_all():
    regions, affinities = three()
    assert absorb_small(region_graph(regions, (0, 1, 2), affinities), 0, by="affinity").tolist() == [0, 1, 2, 3]
    assert absorb_small(region_graph(np.zeros((2, 2, 2), np.uint32)), 9, by="contact").tolist() == [0]


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 7, 3), (6, 1, 4), (3, 8, 1)])
def test_voxels_are_counted(shape):
    regions = np.random.default_rng(sum(shape)).integers(0, 4, shape).astype(np.uint32)
    for part in (regions, regions[:, :, ::-1], np.moveaxis(regions, 0, 2)):
        assert region_sizes(part, 6).tolist() == np.bincount(regions.ravel(), minlength=7).tolist()
    assert region_sizes(np.zeros((0, 3, 4), np.uint32), 2).tolist() == [0, 0, 0]
