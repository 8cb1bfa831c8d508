import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import region, wholes

from pytc_auto.data.folds import divide
from pytc_auto.errors import PlanError
from pytc_auto.geometry import AXES, Box
from pytc_auto.schema.plan import SlabFolds, VolumeFolds

SHAPES = [(20, 40, 100), (30, 50, 90)]


def slabs(axis="x", count=1, train=0.75, guard=6):
    return SlabFolds(kind="slab", axis=axis, count=count, train=train, guard=guard)


def boxes(regions):
    return [(r.volume, r.box.start, r.box.stop) for r in regions]


def test_one_division_takes_the_guard_from_training():
    division = divide(slabs(), wholes(SHAPES), 0)
    assert boxes(division.training) == [(0, (0, 0, 0), (20, 40, 69)), (1, (0, 0, 0), (30, 50, 62))]
    assert boxes(division.validation) == [(0, (0, 0, 75), (20, 40, 100)), (1, (0, 0, 68), (30, 50, 90))]


@pytest.mark.parametrize("axis", AXES)
def test_the_named_axis_is_cut(axis):
    division = divide(slabs(axis, train=0.5, guard=1), wholes([(20, 40, 100)]), 0)
    extent = [20, 40, 100]
    extent[AXES.index(axis)] = extent[AXES.index(axis)] // 2 - 1
    assert division.training[0].box == Box.of_shape(extent)


def test_a_slab_in_the_middle_leaves_two_regions():
    division = divide(slabs("y", count=4, guard=2), wholes([(10, 40, 12)]), 1)
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
            divide(slabs(axis, count, guard=guard), wholes([tuple(shape)]), fold)
        return
    division = divide(slabs(axis, count, guard=guard), wholes([tuple(shape)]), fold)
    state = np.zeros(shape, int)
    for part in division.training:
        state[part.box.slices] += 1
    for part in division.validation:
        state[part.box.slices] += 10
    assert set(np.unique(state)) <= {0, 1, 10}
    line = np.moveaxis(state, number, 0)[:, 0, 0]
    sides = sum((fold > 0, fold < count - 1)) if count > 1 else 1
    assert (line == 0).sum() == guard * sides
    assert np.abs(np.nonzero(line == 1)[0][:, None] - np.nonzero(line == 10)[0]).min() == guard + 1


@pytest.mark.parametrize("axis", range(3))
def test_only_the_labels_are_divided_and_training_sees_the_rim_on_its_own_side(axis):
    """Labels of 40 voxels from 30 on in an image of 100; a fold in the middle of them."""
    labelled, image = Box((3, 5, 7), (13, 16, 19)), Box.of_shape((20, 24, 29))

    def cut(box, start, stop):
        first, last = list(box.start), list(box.stop)
        first[axis], last[axis] = start, stop
        return Box(tuple(first), tuple(last))

    whole = region(cut(labelled, 30, 70), cut(image, 0, 100))
    division = divide(slabs(AXES[axis], count=4, guard=2), [whole], 1)
    assert division.validation == (region(cut(labelled, 40, 50), whole.context),)
    before = region(cut(labelled, 30, 38), cut(image, 0, 38))
    after = region(cut(labelled, 52, 70), cut(image, 52, 100))
    assert division.training == (before, after)


def test_a_slab_at_the_end_of_the_labels_hides_the_rim_behind_it():
    whole = region(Box((0, 0, 30), (4, 5, 70)), Box.of_shape((6, 9, 100)))
    division = divide(slabs(guard=2), [whole], 0)
    assert [(r.box.start[2], r.box.stop[2], r.context) for r in division.training] == [(30, 58, Box((0, 0, 0), (6, 9, 58)))]
    assert [(r.box.start[2], r.box.stop[2]) for r in division.validation] == [(60, 70)]


def test_all_slabs_together_are_the_volume():
    held = np.zeros(50, int)
    for fold in range(4):
        for part in divide(slabs("z", count=4), wholes([(50, 3, 3)]), fold).validation:
            held[part.box.slices[0]] += 1
    assert (held == 1).all()


def test_whole_volumes_are_held_out():
    shapes = [(i + 1, 4, 5) for i in range(5)]
    folds = VolumeFolds(kind="volumes", count=3)
    assert [r.volume for r in divide(folds, wholes(shapes), 1).validation] == [1, 4]
    assert [r.volume for r in divide(folds, wholes(shapes), 1).training] == [0, 2, 3]
    assert divide(folds, wholes(shapes), 0).validation[1].box == Box.of_shape((4, 4, 5))


@pytest.mark.parametrize(
    ("folds", "shapes", "fold", "message"),
    [
        (slabs(), SHAPES, 1, r"fold 1 does not exist: the plan has 1. Use 0\."),
        (slabs(count=4), SHAPES, -1, r"fold -1 does not exist: the plan has 4. Use 0 to 3\."),
        (
            slabs(guard=90),
            SHAPES,
            0,
            r"nothing to train on: the labels are \[100, 90\] voxels long on folds.axis x, folds.guard takes 90",
        ),
        (
            slabs("z", train=0.9, guard=0),
            [(2, 5, 5)],
            0,
            r"nothing to validate on: the labels are \[2\] voxels long on folds.axis z",
        ),
        (VolumeFolds(kind="volumes", count=3), SHAPES, 2, r"no volume to validate on: 3 folds over 2 volume\(s\)"),
        (VolumeFolds(kind="volumes", count=2), SHAPES[:1], 0, "no volume to train on"),
    ],
)
def test_a_fold_that_cannot_be_is_refused(folds, shapes, fold, message):
    with pytest.raises(PlanError, match=message):
        divide(folds, wholes(shapes), fold)


def test_one_volume_is_divided_and_the_others_are_learned_from_whole():
    folds = slabs("y").replace(volume=1)
    division = divide(folds, wholes(SHAPES), 0)
    assert boxes(division.training) == [(0, (0, 0, 0), (20, 40, 100)), (1, (0, 0, 0), (30, 32, 90))]
    assert boxes(division.validation) == [(1, (0, 38, 0), (30, 50, 90))]


def test_volumes_are_held_out_by_the_fold_that_is_named():
    folds = VolumeFolds(kind="volumes", count=2, held_out_in=[1, 0, 1])
    held = [[r.volume for r in divide(folds, wholes([(4, 5, 6)] * 3), fold).validation] for fold in (0, 1)]
    assert held == [[1], [0, 2]]


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (VolumeFolds(kind="volumes", count=2, held_out_in=[1, 0, 1]), "a fold for 3 volumes, but 2 are labelled"),
        (slabs().replace(volume=2), "folds.volume is 2, but 2 are labelled"),
    ],
)
def test_folds_of_other_volumes_are_refused(folds, message):
    with pytest.raises(PlanError, match=message):
        divide(folds, wholes(SHAPES), 0)


def test_a_fold_without_a_volume_is_no_fold():
    with pytest.raises(ValueError, match=r"held_out_in is \[0, 2, 0\], but folds are 0 to 1"):
        VolumeFolds(kind="volumes", count=2, held_out_in=[0, 2, 0])
