import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import CPU, fingerprint

from pytc_auto.data.folds import Region, divide
from pytc_auto.geometry import Box
from pytc_auto.planning.budget import LEAST_VALIDATIONS, MOST_SCORED, VALIDATION_SHARE
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.folds import Labelled, scored_extent
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.patch import room_extent, shrunk_by_volumes, smallest_extent
from pytc_auto.planning.planner import make_plan

TINY, MIDDLE, LARGE = (40, 250, 260), (100, 300, 310), (300, 620, 650)


def of_shapes(*shapes, **changes):
    facts = fingerprint(volumes=len(shapes), **changes)
    return facts.replace(volumes=[v.replace(shape=s) for v, s in zip(facts.volumes, shapes, strict=True)])


def learned_and_held(plan, shapes, fold=0):
    """Voxels of a fold's two sides."""
    wholes = [Region(number, Box.of_shape(shape), Box.of_shape(shape)) for number, shape in enumerate(shapes)]
    division = divide(plan.folds, wholes, fold)
    return sum(r.box.size for r in division.training), sum(r.box.size for r in division.validation)


@pytest.mark.parametrize("shapes", [(LARGE, TINY), (TINY, LARGE), (TINY, MIDDLE, LARGE)])
def test_a_slab_of_a_volume_that_holds_nearly_all_labels_is_held_out(shapes):
    plan = make_plan(of_shapes(*shapes), PRESETS["M"])
    number = shapes.index(LARGE)
    assert (plan.folds.kind, plan.folds.volume, plan.folds.axis) == ("slab", number, "x")
    assert plan.why["folds"].rule == "folds.largest_volume"
    total = sum(x * y * z for z, y, x in shapes)
    for fold in range(plan.folds.count):
        learned, held = learned_and_held(plan, shapes, fold)
        assert learned > 0.5 * total
        assert held == pytest.approx(0.25 * 300 * 620 * 650, rel=0.01)
    assert plan.why["sampling"].numbers["left_out_share"] == pytest.approx(
        1 - learned_and_held(plan, shapes)[0] / total, abs=0.01
    )


def test_the_other_volumes_are_learned_from_whole():
    plan = make_plan(of_shapes(TINY, LARGE), CPU.replace(seconds=3600))
    wholes = [Region(n, Box.of_shape(s), Box.of_shape(s)) for n, s in enumerate((TINY, LARGE))]
    division = divide(plan.folds, wholes, 0)
    assert division.training[0] == wholes[0]
    assert {r.volume for r in division.validation} == {1}


@pytest.mark.parametrize(
    ("sections", "held_out_in"),
    [
        ((100, 50), [1, 0]),
        ((50, 100), [0, 1]),
        ((60, 35, 5), [1, 0, 2]),
        ((100, 100, 100, 100, 100, 100), None),
        ((100, 110, 120), None),
        ((90, 20, 40, 70, 30, 60), [4, 2, 3, 1, 2, 0]),
    ],
)
def test_fold_0_holds_out_what_is_nearest_to_its_share(sections, held_out_in):
    shapes = [(n, 400, 410) for n in sections]
    plan = make_plan(of_shapes(*shapes), PRESETS["M"])
    assert plan.folds.kind == "volumes"
    assert plan.folds.held_out_in == held_out_in
    assert ("held_out_in" in plan.folds.model_dump(mode="json")) == (held_out_in is not None)
    learned, held = learned_and_held(plan, shapes)
    assert held <= learned
    numbers = plan.why["sampling"].numbers
    if held_out_in is not None:
        assert numbers["left_out_share"] == pytest.approx(held / (learned + held), abs=1e-3)


def test_labels_are_counted_and_not_the_context_around_them():
    box = {"start": (0, 0, 0), "shape": (30, 200, 200)}
    facts = of_shapes((300, 620, 650), (100, 300, 310))
    first = facts.volumes[0].model_validate({**facts.volumes[0].model_dump(), "labels_box": box, "labelled_fraction": 0.01})
    plan = make_plan(facts.replace(volumes=[first, facts.volumes[1]]), CPU)
    assert plan.folds.volume == 1


def test_validation_takes_as_long_as_what_is_held_out():
    one, both = (make_plan(of_shapes(*shapes), PRESETS["M"]) for shapes in ((LARGE,), (TINY, LARGE)))
    patch = [p.patch for p in (one, both)]
    seconds = [p.why["sampling"].numbers["validation_seconds"] for p in (one, both)]
    assert seconds[1] > 0.5 * seconds[0], patch


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(16, 2000), min_size=2, max_size=12))
def test_fold_0_never_learns_from_less_than_half_and_all_volumes_are_held_out_once(sections):
    shapes = [(n, 100, 110) for n in sections]
    facts = of_shapes(*shapes)
    plan = make_plan(facts, PRESETS["M"])
    labelled = Labelled.of(facts, plan.working_scale)
    assert labelled.left_out(plan.folds) <= 0.5 + 0.1
    if plan.folds.kind == "volumes":
        folds = [
            divide(plan.folds, [Region(n, Box.of_shape(s), Box.of_shape(s)) for n, s in enumerate(shapes)], k)
            for k in range(plan.folds.count)
        ]
        assert sorted(r.volume for f in folds for r in f.validation) == list(range(len(shapes)))


THIN = (40, 900, 950)


def test_a_small_volume_that_shrinks_the_patch_is_named():
    facts = of_shapes(LARGE, THIN, LARGE)
    plan = make_plan(facts, PRESETS["M"])
    shrunk = shrunk_by_volumes(facts, plan.working_scale, plan.patch, plan.why["patch"].numbers["wanted_nm"])
    assert shrunk.volumes == ("v1",)
    assert shrunk.possible == make_plan(of_shapes(LARGE), PRESETS["M"]).patch
    for alike in ((LARGE, LARGE), (TINY, TINY), (LARGE,)):
        facts = of_shapes(*alike)
        plan = make_plan(facts, PRESETS["M"])
        assert shrunk_by_volumes(facts, plan.working_scale, plan.patch, 1200.0) is None


def test_small_volumes_with_few_labels_shrink_no_patch():
    alone = make_plan(of_shapes(LARGE), PRESETS["M"]).patch
    for shapes in ((LARGE, TINY, LARGE), (TINY, LARGE, (1, 600, 700))):
        facts = of_shapes(*shapes)
        plan = make_plan(facts, PRESETS["M"])
        assert plan.patch == alone
        assert shrunk_by_volumes(facts, plan.working_scale, plan.patch, plan.why["patch"].numbers["wanted_nm"]) is None
    many = make_plan(of_shapes(LARGE, *[TINY] * 6), PRESETS["M"])
    assert math.prod(many.patch) < math.prod(alone)


def test_of_volumes_that_only_together_hold_enough_the_one_that_limits_is_named():
    short, thin = (
        (28, 650, 650),
        (32, 600, 520),
    )  # 5.8 and 4.9 % of the labels; thin is the shortest along x, where it does not count
    facts = of_shapes(LARGE, (160, 600, 620), short, thin)
    plan = make_plan(facts, PRESETS["M"])
    assert room_extent(facts, plan.working_scale)[0] == 32
    shrunk = shrunk_by_volumes(facts, plan.working_scale, plan.patch, plan.why["patch"].numbers["wanted_nm"])
    assert shrunk.volumes == ("v3",)


def test_labels_count_and_not_voxels():
    facts = of_shapes(LARGE, THIN)
    assert make_plan(facts, PRESETS["M"]).patch[0] < 40
    hardly, large = facts.volumes[1].replace(labelled_fraction=0.1), facts.volumes[0].replace(labelled_fraction=1.0)
    assert (
        make_plan(facts.replace(volumes=[large, hardly]), PRESETS["M"]).patch == make_plan(of_shapes(LARGE), PRESETS["M"]).patch
    )


def test_room_is_for_nine_tenths_of_the_labels_on_each_axis():
    facts = of_shapes((50, 400, 400), (400, 50, 400), (400, 400, 400))
    assert room_extent(facts, (1, 1, 1)) == (50, 50, 400)
    facts = of_shapes((20, 400, 400), (400, 20, 400), (400, 400, 400), (30, 401, 402))
    assert room_extent(facts, (1, 2, 2)) == (30, 200, 200)
    assert smallest_extent(facts, (1, 2, 2)) == (20, 10, 200)
    assert room_extent(facts.replace(volumes=[facts.volumes[0].replace(shape=None)]), (1, 1, 1)) is None


def machine(seconds):
    return CPU.replace(seconds=seconds)


@pytest.mark.parametrize("shapes", [((165, 768, 1024),), ((125, 1250, 1250),) * 3, ((900, 2000, 2100),)])
@pytest.mark.parametrize("seconds", [1200.0, 3600.0])
def test_of_much_that_is_held_out_a_box_is_scored_that_the_time_allows(shapes, seconds):
    facts = of_shapes(*shapes)
    plan = make_plan(facts, machine(seconds))
    box, numbers = plan.folds.scored, plan.why["sampling"].numbers
    assert all(n >= m for n, m in zip(box, np.minimum(plan.patch, shapes[0]), strict=True))
    assert numbers["validation_seconds"] <= VALIDATION_SHARE * seconds / LEAST_VALIDATIONS
    held = Labelled.of(facts, plan.working_scale).held_out(plan.folds)
    assert all(whole == part and all(n <= m for n, m in zip(part, box, strict=True)) for whole, part in held)
    told = plan.why["folds"].numbers
    assert told["scored_voxels"] == sum(math.prod(part) for _, part in held) < told["held_out_voxels"]
    longer = make_plan(facts, machine(4 * seconds)).folds.scored
    assert longer is None or math.prod(longer) > math.prod(box)


def test_what_can_be_scored_in_time_is_scored_whole():
    plan = make_plan(of_shapes((130, 250, 250)), machine(3600.0))
    assert plan.folds.scored is None
    assert "scored" not in plan.folds.model_dump(mode="json")
    assert "scored_voxels" not in plan.why["folds"].numbers


def test_without_a_limit_of_time_memory_limits_what_is_scored():
    facts = of_shapes((1000, 1000, 1100))
    boxes = [make_plan(facts, PRESETS[size]).folds.scored for size in ("S", "L")]
    assert math.prod(boxes[0]) < math.prod(boxes[1]) <= MOST_SCORED


def test_how_much_is_scored_can_be_said():
    facts = of_shapes((165, 768, 1024))
    given = make_plan(facts, machine(3600.0), by_hand=read_overrides(["folds.scored=[40,80,90]"]))
    assert given.folds.scored == (40, 80, 90)
    assert given.why["folds.scored"].rule == "by hand"
    rule = make_plan(facts, machine(3600.0))
    assert given.why["sampling"].numbers["validation_seconds"] < rule.why["sampling"].numbers["validation_seconds"]
    whole = make_plan(facts, machine(3600.0), by_hand=read_overrides(["folds.scored=null"]))
    assert whole.folds.scored is None
    assert whole.why["sampling"].numbers["validation_seconds"] > rule.why["sampling"].numbers["validation_seconds"]


@pytest.mark.parametrize(
    ("parts", "patch"),
    [([(165, 768, 256)], (80, 80, 80)), ([(20, 576, 1024), (12, 90, 400)], (14, 64, 64)), ([(60, 300, 1)], (16, 32, 1))],
)
@pytest.mark.parametrize("most", [0, 20_000, 300_000, 3_000_000, 10**9])
def test_the_largest_box_that_is_affordable_against_trying_all(parts, patch, most):
    def cost(boxes):
        return sum(map(math.prod, boxes))

    def cut(box):
        return [tuple(map(min, part, box)) for part in parts]

    found = scored_extent(parts, patch, lambda boxes: cost(boxes) <= most)
    tried = [tuple(max(n, halves * n // 2) for n in patch) for halves in range(2, 200)]
    wanted = [box for box in tried if cost(cut(box)) <= most][-1:] or tried[:1]
    assert cut(found) == cut(wanted[0])
