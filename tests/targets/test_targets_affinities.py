import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pytc_auto.errors import DataError
from pytc_auto.geometry import ALL_SYMMETRIES
from pytc_auto.schema.plan import InstanceLabels
from pytc_auto.targets.affinities import affinities_from_labels, affinity_mask
from pytc_auto.targets.labels import instances_in_crop

OFFSETS = [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (-2, 0, 0), (0, 3, 0), (0, 0, -4), (1, -2, 3)]
SHAPE = (4, 5, 6)


def slow_affinities(labels, offsets):
    """One voxel at a time."""
    result = np.zeros((len(offsets), *labels.shape), bool)
    for k, offset in enumerate(offsets):
        for v in np.ndindex(labels.shape):
            w = tuple(a + b for a, b in zip(v, offset, strict=True))
            if all(0 <= i < n for i, n in zip(w, labels.shape, strict=True)):
                result[(k, *v)] = labels[v] != 0 and labels[v] == labels[w]
    return result


def slow_mask(unlabeled, offsets):
    result = np.zeros((len(offsets), *unlabeled.shape), bool)
    for k, offset in enumerate(offsets):
        for v in np.ndindex(unlabeled.shape):
            w = tuple(a + b for a, b in zip(v, offset, strict=True))
            if all(0 <= i < n for i, n in zip(w, unlabeled.shape, strict=True)):
                result[(k, *v)] = not unlabeled[v] and not unlabeled[w]
    return result


def some_labels(seed=0, shape=SHAPE, top=3):
    return np.random.default_rng(seed).integers(0, top, shape).astype(np.uint32)


def test_affinities_equal_the_slow_ones():
    labels = some_labels()
    before = labels.copy()
    fast = affinities_from_labels(labels, OFFSETS)
    assert fast.dtype == np.bool_
    assert fast.any()
    np.testing.assert_array_equal(fast, slow_affinities(labels, OFFSETS))
    np.testing.assert_array_equal(labels, before)


def test_the_value_lies_on_the_voxel_with_the_higher_index():
    labels = np.array([[[1, 1, 2]]], np.uint8)
    assert affinities_from_labels(labels, [(0, 0, -1)]).tolist() == [[[[False, True, False]]]]
    assert affinities_from_labels(labels, [(0, 0, 1)]).tolist() == [[[[True, False, False]]]]


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_mask_equals_the_slow_one(share):
    unlabeled = np.random.default_rng(1).random(SHAPE) < share
    fast = affinity_mask(unlabeled, OFFSETS)
    assert fast.any()
    assert not fast.all()
    np.testing.assert_array_equal(fast, slow_mask(unlabeled, OFFSETS))


def test_affinities_are_known_where_they_are_true():
    labels = some_labels()
    mask = affinity_mask(np.zeros(SHAPE, bool), OFFSETS)
    assert not (affinities_from_labels(labels, OFFSETS) & ~mask).any()


@pytest.mark.parametrize("symmetry", ALL_SYMMETRIES, ids=str)
def test_affinities_commute_with_symmetries(symmetry):
    labels = some_labels(2)
    unlabeled = np.random.default_rng(3).random(SHAPE) < 0.2
    moved = [symmetry.offset(o) for o in OFFSETS]
    np.testing.assert_array_equal(
        affinities_from_labels(symmetry.apply(labels), moved), symmetry.apply(affinities_from_labels(labels, OFFSETS))
    )
    np.testing.assert_array_equal(
        affinity_mask(symmetry.apply(unlabeled), moved), symmetry.apply(affinity_mask(unlabeled, OFFSETS))
    )


def components(affinities, offsets, inside):
    """Objects that affinities connect; 0 outside."""
    index = np.arange(inside.size).reshape(inside.shape)
    rows, columns = [], []
    for channel, offset in zip(affinities, offsets, strict=True):
        for v in zip(*np.nonzero(channel), strict=True):
            rows.append(index[v])
            columns.append(index[tuple(a + b for a, b in zip(v, offset, strict=True))])
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(inside.size, inside.size))
    return np.where(inside, connected_components(graph, directed=False)[1].reshape(inside.shape) + 1, 0)


def step(axis, sign):
    return tuple(sign if i == axis else 0 for i in range(3))


@st.composite
def shapes_and_offsets(draw):
    """The three single steps, each back or on, among others, in any order."""
    shape = draw(st.tuples(*[st.integers(2, 6)] * 3))
    single = [step(axis, draw(st.sampled_from([-1, 1]))) for axis in range(3)]
    others = draw(st.lists(st.tuples(*[st.integers(1 - n, n - 1) for n in shape]).filter(any), max_size=4))
    return shape, draw(st.permutations([*single, *others]))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), top=st.integers(1, 4), made=shapes_and_offsets())
def test_affinities_give_the_objects_back_for_every_offset_set_with_single_steps(seed, top, made):
    shape, offsets = made
    raw = some_labels(seed, shape, top + 1)
    labels = InstanceLabels(kind="instances", background=[0], unlabeled=[], erode_nm=0.0)
    ids = instances_in_crop(raw, labels).ids_zyx
    found = components(affinities_from_labels(ids, offsets), offsets, ids != 0)
    pairs = set(zip(ids.ravel().tolist(), found.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@pytest.mark.parametrize("axis", range(3))
def test_an_offset_as_long_as_the_volume_is_refused(axis):
    offset = tuple(-SHAPE[axis] if i == axis else 0 for i in range(3))
    for make, array in ((affinities_from_labels, some_labels()), (affinity_mask, np.zeros(SHAPE, bool))):
        with pytest.raises(DataError, match=r"\[4, 5, 6\] voxels .* too small for the offsets \[\[.*-"):
            make(array, [(-1, 0, 0), offset])


def test_offsets_of_all_axes_are_told_apart():
    labels = np.zeros((3, 3, 3), np.uint8)
    for i, j in itertools.pairwise(range(3)):
        labels[i, 1, 1] = labels[j, 1, 1] = 1
    got = affinities_from_labels(labels, OFFSETS[:3])
    assert got.sum(axis=(1, 2, 3)).tolist() == [2, 0, 0]
