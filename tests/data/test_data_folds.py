import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytc_auto.data.folds import divide, everything
from pytc_auto.errors import PlanError
from pytc_auto.geometry import AXES, Box
from pytc_auto.schema.plan import SlabFolds, VolumeFolds

SHAPES = [(20, 40, 100), (30, 50, 90)]


def slabs(axis="x", count=1, train=0.75, guard=6):
    return SlabFolds(kind="slab", axis=axis, count=count, train=train, guard=guard)


def boxes(regions):
    return [(r.volume, r.box.start, r.box.stop) for r in regions]


def test_one_division_takes_the_guard_from_training():
    division = divide(slabs(), SHAPES, 0)
    assert boxes(division.training) == [(0, (0, 0, 0), (20, 40, 69)), (1, (0, 0, 0), (30, 50, 62))]
    assert boxes(division.validation) == [(0, (0, 0, 75), (20, 40, 100)), (1, (0, 0, 68), (30, 50, 90))]


@pytest.mark.parametrize("axis", AXES)
def test_the_named_axis_is_cut(axis):
    division = divide(slabs(axis, train=0.5, guard=1), [(20, 40, 100)], 0)
    extent = [20, 40, 100]
    extent[AXES.index(axis)] = extent[AXES.index(axis)] // 2 - 1
    assert division.training[0].box == Box.of_shape(extent)


def test_a_slab_in_the_middle_leaves_two_regions():
    division = divide(slabs("y", count=4, guard=2), [(10, 40, 12)], 1)
    assert boxes(division.validation) == [(0, (0, 10, 0), (10, 20, 12))]
    assert boxes(division.training) == [(0, (0, 0, 0), (10, 8, 12)), (0, (0, 22, 0), (10, 40, 12))]


@settings(max_examples=100, deadline=None)
@given(
    extent=st.integers(20, 200),
    count=st.integers(1, 5),
    guard=st.integers(0, 3),
    fold=st.integers(0, 4),
    axis=st.sampled_from(AXES),
)
def test_no_voxel_is_in_both_and_the_guard_is_kept(extent, count, guard, fold, axis):
    shape = [3, 4, 5]
    number = AXES.index(axis)
    shape[number] = extent
    if fold >= count:
        with pytest.raises(PlanError, match="does not exist"):
            divide(slabs(axis, count, guard=guard), [tuple(shape)], fold)
        return
    division = divide(slabs(axis, count, guard=guard), [tuple(shape)], fold)
    state = np.zeros(shape, int)
    for region in division.training:
        state[region.box.slices] += 1
    for region in division.validation:
        state[region.box.slices] += 10
    assert set(np.unique(state)) <= {0, 1, 10}
    line = np.moveaxis(state, number, 0)[:, 0, 0]
    sides = sum((fold > 0, fold < count - 1)) if count > 1 else 1
    assert (line == 0).sum() == guard * sides
    assert np.abs(np.nonzero(line == 1)[0][:, None] - np.nonzero(line == 10)[0]).min() == guard + 1


def test_all_slabs_together_are_the_volume():
    held = np.zeros(50, int)
    for fold in range(4):
        for region in divide(slabs("z", count=4), [(50, 3, 3)], fold).validation:
            held[region.box.slices[0]] += 1
    assert (held == 1).all()


def test_everything_is_every_voxel_of_every_volume():
    shapes = [(3, 4, 5), (6, 7, 8)]
    division = everything(shapes)
    assert [(r.volume, r.box) for r in division.training] == [(i, Box.of_shape(s)) for i, s in enumerate(shapes)]
    assert division.validation == ()


def test_whole_volumes_are_held_out():
    shapes = [(i + 1, 4, 5) for i in range(5)]
    folds = VolumeFolds(kind="volumes", count=3)
    assert [r.volume for r in divide(folds, shapes, 1).validation] == [1, 4]
    assert [r.volume for r in divide(folds, shapes, 1).training] == [0, 2, 3]
    assert divide(folds, shapes, 0).validation[1].box == Box.of_shape((4, 4, 5))


@pytest.mark.parametrize(
    ("folds", "shapes", "fold", "message"),
    [
        (slabs(), SHAPES, 1, r"fold 1 does not exist: the plan has 1. Use 0\."),
        (slabs(count=4), SHAPES, -1, r"fold -1 does not exist: the plan has 4. Use 0 to 3\."),
        (slabs(guard=90), SHAPES, 0, r"nothing to train on: folds.axis x is \[100, 90\] voxels long, folds.guard takes 90"),
        (slabs("z", train=0.9, guard=0), [(2, 5, 5)], 0, "nothing to validate on: folds.axis z"),
        (VolumeFolds(kind="volumes", count=3), SHAPES, 2, r"no volume to validate on: 3 folds over 2 volume\(s\)"),
        (VolumeFolds(kind="volumes", count=2), SHAPES[:1], 0, "no volume to train on"),
    ],
)
def test_a_fold_that_cannot_be_is_refused(folds, shapes, fold, message):
    with pytest.raises(PlanError, match=message):
        divide(folds, shapes, fold)
