from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytc_auto.geometry import (
    ALL_SYMMETRIES,
    Box,
    anisotropy,
    blocks,
    cutting_axis,
    patch_grid,
    patch_starts,
    symmetry_group,
    zyx,
)

extents = st.tuples(*[st.integers(1, 9)] * 3)


def test_box_refuses_a_stop_before_its_start():
    with pytest.raises(ValueError, match="half-open"):
        Box((0, 5, 0), (1, 4, 1))


def test_zyx_wants_three_values():
    with pytest.raises(ValueError, match="three values"):
        zyx([1, 2])


def test_box_algebra():
    box = Box((1, 2, 3), (4, 6, 8))
    assert box.shape == (3, 4, 5)
    assert box.size == 60
    assert box.shift((1, 0, -1)) == Box((2, 2, 2), (5, 6, 7))
    assert box.grow((1, 2, 3)) == Box((0, 0, 0), (5, 8, 11))
    assert box.relative_to((1, 2, 3)) == Box.of_shape((3, 4, 5))
    assert box.intersect(Box((9, 9, 9), (10, 10, 10))).size == 0
    assert box.contains(Box((2, 3, 4), (3, 4, 5)))
    assert not box.contains(Box((0, 3, 4), (3, 4, 5)))
    assert str(box) == "[1:4, 2:6, 3:8]"


@given(extents, extents)
def test_blocks_cover_each_voxel_once(shape, block):
    seen = np.zeros(shape, int)
    for box in blocks(Box.of_shape(shape), block):
        seen[box.slices] += 1
        assert all(n <= b for n, b in zip(box.shape, block, strict=True))
    assert (seen == 1).all()


@given(extents, extents, st.sampled_from([0.0, 0.25, 0.5, 0.75]))
def test_patches_cover_the_volume_and_stay_inside(shape, patch, overlap):
    seen = np.zeros(shape, bool)
    for box in patch_grid(shape, patch, overlap):
        assert box.shape == patch
        assert all(b <= max(e, n) for b, e, n in zip(box.stop, shape, patch, strict=True))
        seen[box.intersect(Box.of_shape(shape)).slices] = True
    assert seen.all()


def test_patch_starts_by_hand():
    assert patch_starts(10, 4, 2) == [0, 2, 4, 6]
    assert patch_starts(11, 4, 3) == [0, 3, 6, 7]
    assert patch_starts(3, 4, 2) == [0]
    assert patch_starts(4, 4, 2) == [0]


def test_anisotropy_and_cutting_axis_follow_the_axis_order():
    assert cutting_axis((40, 4, 8)) == 0
    assert cutting_axis((4, 40, 8)) == 1
    assert cutting_axis((4, 8, 40)) == 2
    assert cutting_axis((8, 8, 8)) == 0
    assert anisotropy((40, 4, 9)) == pytest.approx(40 / 6)


def test_symmetries_are_the_48_of_the_cube_and_have_inverses():
    array = np.arange(27).reshape(3, 3, 3)
    images = {s.apply(array).tobytes() for s in ALL_SYMMETRIES}
    assert len(images) == 48
    for symmetry in ALL_SYMMETRIES:
        np.testing.assert_array_equal(symmetry.inverse.apply(symmetry.apply(array)), array)


@pytest.mark.parametrize("symmetry", ALL_SYMMETRIES)
def test_an_offset_points_to_the_same_voxel_after_a_symmetry(symmetry):
    array = np.arange(5 * 5 * 5).reshape(5, 5, 5)
    center = np.array([2, 2, 2])
    for offset in [(1, 0, 0), (0, -2, 0), (0, 1, 2)]:
        moved = symmetry.apply(array)
        assert moved[tuple(center + symmetry.offset(offset))] == array[tuple(center + offset)]


def test_symmetries_move_leading_axes_nowhere():
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    symmetry = next(s for s in ALL_SYMMETRIES if s.axes == (2, 0, 1) and s.flips == (True, False, False))
    np.testing.assert_array_equal(symmetry.apply(array)[1], symmetry.apply(array[1]))
    assert symmetry.apply(array).shape == (2, 5, 3, 4)


@pytest.mark.parametrize(
    ("size", "patch", "offsets", "order"),
    [
        ((10, 10, 10), (8, 8, 8), [], 48),
        ((40, 4, 4), (8, 32, 32), [], 16),
        ((40, 4, 8), (8, 32, 32), [], 8),
        ((10, 10, 10), (8, 16, 16), [], 16),
        ((10, 10, 10), (8, 8, 8), [(-1, 0, 0), (0, -1, 0), (0, 0, -1)], 48),
        ((10, 10, 10), (8, 8, 8), [(-1, 0, 0), (0, -1, 0), (0, 0, -2)], 16),
    ],
)
def test_group_order_by_hand(size, patch, offsets, order):
    group = symmetry_group(size, patch, offsets=offsets)
    assert len(group) == order
    assert group[0].apply(np.arange(8).reshape(2, 2, 2)).tolist() == np.arange(8).reshape(2, 2, 2).tolist()


def test_a_group_is_closed():
    group = symmetry_group((40, 4, 4), (8, 32, 32))
    array = np.arange(64).reshape(4, 4, 4)
    images = {s.apply(array).tobytes() for s in group}
    assert {b.apply(a.apply(array)).tobytes() for a, b in itertools.product(group, group)} == images
