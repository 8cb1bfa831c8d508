from __future__ import annotations

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import CPU, fingerprint, mitochondria

from pytc_auto.decoding.decode import candidates
from pytc_auto.errors import BudgetError, PlanError
from pytc_auto.evaluation.scores import score
from pytc_auto.planning.by_hand import ByHand
from pytc_auto.planning.heads import boundary_width
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.planning.prediction import choose_window
from pytc_auto.schema.plan import Plan
from pytc_auto.targets.boundary import boundary_from_labels


def test_touching_neurons_get_affinities_and_eroded_borders():
    plan = make_plan(fingerprint(), CPU)
    assert plan.task == "neurons"
    assert plan.labels.erode_nm == 10.0
    assert plan.why["labels"].rule == "labels.touching"
    assert plan.offsets[:3] == [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]
    assert {(-4, 0, 0), (0, -12, 0)} < set(plan.offsets)
    assert plan.decoder.metric == "voi"
    assert plan.decoder.grid["foreground_threshold"] == [0.0]
    assert plan.augmentation.symmetries == 48
    assert plan.augmentation.effects.missing_section is None


def test_gaps_need_no_erosion_and_may_be_background():
    plan = make_plan(fingerprint(touching_fraction=0.02, foreground_fraction=0.9), CPU)
    assert plan.labels.erode_nm == 0.0
    assert max(plan.decoder.grid["foreground_threshold"]) > 0


def test_half_an_hour_on_a_cpu_fits_enough_steps_with_a_patch_of_600_nm_or_more():
    plan = make_plan(fingerprint(), CPU)
    assert plan.sampling.steps >= 1500
    assert min(plan.patch) * 10 >= 600
    assert plan.sampling.batch == 1
    assert plan.why["patch"].numbers["limited_by"] == "time"


def test_a_patch_that_more_voxels_would_not_help_says_so():
    plan = make_plan(fingerprint(voxel_size_nm=(2.0, 2.0, 2.0), shape=(600, 600, 600)), PRESETS["L"])
    assert plan.patch == (128, 128, 128)
    assert plan.why["patch"].numbers["limited_by"] == "most_voxels"


def test_less_time_takes_the_patch_first_and_the_width_then():
    machine = CPU.replace(precision="fp32")
    rich, poor, poorest = (make_plan(fingerprint(), machine.replace(seconds=s)) for s in (36000, 1800, 500))
    assert rich.patch > poor.patch
    assert poor.network.features[0] == 16
    assert poorest.patch == poor.patch
    assert poorest.network.features[0] == 8


def test_where_a_narrower_network_takes_as_long_it_is_not_taken():
    in_bf16, in_fp32 = (make_plan(fingerprint(), CPU.replace(seconds=500, precision=p)) for p in ("bf16", "fp32"))
    assert (in_bf16.network.features[0], in_fp32.network.features[0]) == (16, 8)
    assert in_bf16.patch == in_fp32.patch


def test_a_slow_machine_gets_fewer_steps_of_the_narrowest_network_rather_than_no_plan():
    slow = CPU.replace(seconds_per_step=10 * CPU.seconds_per_step, precision="fp32")
    enough, few = (make_plan(fingerprint(), slow.replace(seconds=s)) for s in (7200, 1200))
    assert enough.sampling.steps + enough.sampling.refit_steps >= 1500 > few.sampling.steps + few.sampling.refit_steps >= 300
    assert few.network.features[0] == 8
    with pytest.raises(BudgetError, match="300 are the least"):
        make_plan(fingerprint(), slow.replace(seconds=240))


def test_too_little_time_is_refused_with_what_is_needed():
    with pytest.raises(BudgetError, match=r"--max-time 1.0m is too little.*300 are the least. Give at least \d+m"):
        make_plan(fingerprint(), CPU.replace(seconds=60))


@pytest.mark.parametrize("kind", ["unet", "segresnet"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_refusal_names_fewer_steps_than_are_needed_and_a_time_that_suffices(kind, device):
    def tried(minutes: float) -> int | None:
        """Minutes that a refusal names; None where there is a plan."""
        machine = CPU.replace(device=device, seconds=60 * minutes)
        try:
            make_plan(fingerprint(), machine, by_hand=ByHand({("network", "kind"): kind}))
        except BudgetError as error:
            told = re.search(r"(\d+) steps fit, (\d+) are the least. Give at least (\d+)m", str(error))
            fits, least, needed = map(int, told.groups())
            assert fits < least
            return needed if error.enough_seconds == 60 * needed else None
        return None

    needed = tried(2)
    assert needed > 2
    assert tried(needed - 1) == needed
    assert tried(needed - 0.2) in (None, needed)
    assert tried(needed) is None


def test_without_a_time_any_number_of_steps_can_be_given():
    plan = make_plan(fingerprint(), PRESETS["M"], by_hand=ByHand({("sampling", "steps"): 90000}))
    assert plan.sampling.steps == 90000


def test_labels_of_a_single_value_are_refused():
    facts = mitochondria(values={255: 1.0}, foreground_fraction=1.0)
    with pytest.raises(PlanError, match=r"mitochondria: the labels hold a single value, 255; .* Give labels with two values"):
        make_plan(facts, PRESETS["S"])
    with pytest.raises(PlanError, match="the labels hold a single value, 255"):
        make_plan(mitochondria(unlabeled=[0]), PRESETS["S"])


def test_images_that_are_blank_everywhere_are_refused():
    with pytest.raises(PlanError, match=r"sample: every section of the images is blank. Check the image files"):
        make_plan(fingerprint(missing_rate=1.0).replace(intensity=None), PRESETS["S"])


def test_thin_sections_are_never_pooled_nor_padded():
    plan = make_plan(mitochondria(), CPU.replace(seconds=1200))
    assert all(stride[0] == 1 for stride in plan.network.strides)
    assert 8 <= plan.patch[0] <= 15
    assert plan.task == "classes"
    assert list(plan.labels.values) == [0, 255]
    assert plan.augmentation.effects.missing_section is not None
    assert plan.augmentation.effects.affine.rotation_degrees == (180.0, 0.0, 0.0)
    assert plan.augmentation.symmetries == 16


def test_thick_finely_sampled_sections_are_halved_only_where_structures_stay_resolved():
    assert make_plan(mitochondria(), CPU).working_scale == (1, 2, 2)
    thin = {"p10": 30.0, "p50": 300.0, "p90": 500.0}
    assert make_plan(mitochondria(diameter_nm=thin), CPU).working_scale == (1, 1, 1)
    assert make_plan(mitochondria(gap_nm=10.0), CPU).working_scale == (1, 1, 1)
    assert make_plan(mitochondria(voxel_size_nm=(45.0, 8.0, 8.0)), CPU).working_scale == (1, 1, 1)


def test_compact_instances_are_objects():
    plan = make_plan(fingerprint(solidity=0.9, border_fraction=0.1, foreground_fraction=0.2, touching_fraction=0.0), CPU)
    assert plan.task == "objects"
    assert [head.kind for head in plan.heads] == ["foreground", "boundary"]
    assert plan.decoder.kinds == ["seeded", "components"]
    assert plan.why["patch"].numbers["extent_p95_nm"] == 1000.0


def test_a_declared_task_wins_and_must_fit_the_labels():
    assert make_plan(fingerprint(), CPU, task="objects").task == "objects"
    with pytest.raises(PlanError, match="the task is classes, but the labels hold instances"):
        make_plan(fingerprint(), CPU, task="classes")


def test_rare_classes_are_sampled_and_weighted():
    plan = make_plan(mitochondria(kind="classes", values={0: 0.7, 1: 0.294, 4: 0.006}), CPU)
    assert plan.sampling.foreground_share == 0.5
    weights = plan.heads[0].class_weights
    assert weights[2] > weights[1] > weights[0]


def test_folds_by_the_number_of_volumes_and_the_length_of_one():
    assert make_plan(fingerprint(volumes=6), CPU).folds.count == 5
    assert make_plan(fingerprint(volumes=3), CPU).why["folds"].rule == "folds.leave_one_out"
    one = make_plan(fingerprint(shape=(100, 110, 120)), CPU).folds
    assert (one.axis, one.count, one.train) == ("x", 1, 0.75)
    assert one.guard == make_plan(fingerprint(shape=(100, 110, 120)), CPU).patch[2] // 2
    assert make_plan(fingerprint(shape=(130, 400, 250)), CPU).folds.axis == "y"


def test_the_labelled_box_is_divided_and_not_the_context_around_it():
    padded = fingerprint(shape=(100, 110, 300), labels_box={"start": (10, 10, 10), "shape": (60, 90, 80)})
    plan = make_plan(padded, CPU)
    assert plan.folds.axis == "y"
    assert plan.folds.guard == min(plan.patch[1] // 2, 30)
    assert plan.why["sampling"].numbers["left_out_share"] == pytest.approx(0.25 + plan.folds.guard / 90, abs=1e-3)
    small = make_plan(fingerprint(labels_box={"start": (10, 10, 10), "shape": (20, 30, 24)}), CPU)
    assert (small.folds.axis, small.folds.guard) == ("y", 10)
    assert small.patch[0] > 20, "a patch may reach into the context"


def test_a_fold_that_leaves_out_much_is_refitted_on_everything():
    plan = make_plan(fingerprint(), CPU)
    sampling, left_out = plan.sampling, plan.why["sampling"].numbers["left_out_share"]
    assert left_out == pytest.approx(0.25 + plan.folds.guard / 250, abs=1e-3)
    assert sampling.refit_steps == pytest.approx((sampling.steps + sampling.refit_steps) / 3, rel=0.2)
    assert sampling.steps % sampling.validate_every == 0
    assert make_plan(fingerprint(volumes=4), CPU).sampling.refit_steps > 0
    assert make_plan(fingerprint(shape=None), PRESETS["M"]).sampling.refit_steps > 0
    many = make_plan(fingerprint(volumes=5), CPU).sampling
    assert many.refit_steps == 0
    assert many.steps > sampling.steps


UNKNOWN = {
    **dict.fromkeys(("diameter_nm", "extent_nm", "touching_fraction", "border_fraction", "solidity", "gap_nm")),
    **dict.fromkeys(("ids", "components", "foreground_fraction", "unlabeled_fraction", "ignore_candidates")),
    **dict.fromkeys(("mean_drift", "missing_rate", "shape", "dtype", "channels", "levels_nm", "blank_label_sections")),
}


@pytest.mark.parametrize(("task", "eroded", "share"), [("neurons", 4.0, 0.0), ("objects", 0.0, 0.5)])
def test_where_nothing_is_known_the_declared_task_decides_and_the_reason_says_so(task, eroded, share):
    plan = make_plan(fingerprint(**UNKNOWN, task=task, voxel_size_nm=(40.0, 5.0, 4.0)).replace(intensity=None), PRESETS["M"])
    rules = {field: why.rule for field, why in plan.why.items()}
    assert plan.labels.erode_nm == eroded
    assert plan.sampling.foreground_share == share
    assert plan.working_scale == (1, 1, 1)
    assert rules["task"] == "task.declared"
    assert rules["labels"] == "labels.unknown_touching"
    assert rules["working_scale"] == "scale.unknown_structures"
    assert rules["intensity"] == "intensity.unknown"
    assert plan.why["sampling"].numbers["foreground_share_by"] == "task"
    assert rules["patch"] == {"neurons": "patch.field_of_view", "objects": "patch.unknown_extent"}[task]


def test_a_mask_of_unknown_values_is_read_as_0_and_1():
    plan = make_plan(mitochondria(**UNKNOWN, values=None, task="classes", class_names={1: "mitochondrion"}), PRESETS["M"])
    assert plan.labels.values == {0: "class 0", 1: "mitochondrion"}
    assert plan.why["labels"].rule == "labels.unknown_values"
    with pytest.raises(PlanError, match="the labels hold nothing known"):
        make_plan(fingerprint(**UNKNOWN, task="classes").replace(labels=None), PRESETS["M"])


def test_classes_of_unknown_shares_weigh_the_same_and_are_looked_for():
    shares = {0: 0.9, 7: None, 9: 0.05, 255: None}
    plan = make_plan(mitochondria(kind="classes", values=shares, unlabeled=[255]), PRESETS["M"])
    assert list(plan.labels.values) == [0, 7, 9]
    assert plan.heads[0].class_weights == [1.0, 1.0, 1.0]
    assert plan.why["heads"].rule == "heads.unknown_shares"
    assert plan.why["labels"].numbers["shares"] == ["0: 0.9", "7: unknown", "9: 0.05", "255: unknown"]
    assert plan.sampling.foreground_share == 0.5


@settings(max_examples=60, deadline=None)
@given(
    unknown=st.sets(st.sampled_from(sorted(UNKNOWN))),
    task=st.sampled_from(["neurons", "objects", "classes", None]),
    kind=st.sampled_from(["mask", "instances"]),
)
def test_any_fact_may_be_unknown(unknown, task, kind):
    facts = dict.fromkeys(unknown) | {"kind": kind, "values": None, "task": task}
    if task == "classes" and kind == "instances":
        return
    plan = make_plan(mitochondria(**facts), PRESETS["M"])
    assert all(stride[0] == 1 for stride in plan.network.strides[:3])
    assert plan.task == task or task is None


def test_an_axis_that_is_convolved_stays_convolved():
    network = make_plan(mitochondria(), CPU).network
    for before, after in itertools.pairwise(network.kernels):
        assert all(b <= a for b, a in zip(before, after, strict=True))
    assert network.kernels[0] == (1, 3, 3)
    assert network.kernels[-1] == (3, 3, 3)


def test_more_memory_never_shrinks_the_patch():
    patches = [make_plan(fingerprint(shape=None), PRESETS[size]).patch for size in "SML"]
    assert patches == sorted(patches)


def test_a_window_is_two_patches_where_memory_holds_it():
    assert make_plan(fingerprint(), CPU).inference.window == 2
    plan = make_plan(fingerprint(shape=(600, 600, 600)), PRESETS["M"])
    assert plan.inference.window == 2
    assert all(n % (2 * p) == 0 for n, p in zip(plan.inference.block, plan.patch, strict=True))
    assert choose_window(PRESETS["M"].replace(memory_gb=1.0), plan.network, plan.patch, plan.channels) == 1


def test_swapping_y_and_x_swaps_the_plan():
    one = make_plan(fingerprint(shape=(130, 250, 200), voxel_size_nm=(40.0, 8.0, 6.0)), CPU)
    two = make_plan(fingerprint(shape=(130, 200, 250), voxel_size_nm=(40.0, 6.0, 8.0)), CPU)
    assert one.patch == (two.patch[0], two.patch[2], two.patch[1])
    assert one.network.strides == [(z, x, y) for z, y, x in two.network.strides]


def test_the_same_inputs_give_the_same_bytes():
    assert make_plan(fingerprint(), CPU).text() == make_plan(fingerprint(), CPU).text()


def test_a_plan_survives_its_file(tmp_path):
    plan = make_plan(mitochondria(), CPU)
    plan.save(tmp_path / "plan.yaml")
    assert Plan.load(tmp_path / "plan.yaml") == plan


def test_planning_needs_no_torch():
    code = "import sys, pytc_auto.planning.planner; sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_line_of_voxels_is_refused():
    with pytest.raises(PlanError, match="Two of its axes need 16 voxels"):
        make_plan(fingerprint(shape=(1, 5, 500)), CPU)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(*[st.floats(1, 1000)] * 3),
    shape=st.tuples(st.integers(1, 100_000), *[st.integers(16, 100_000)] * 2),
    preset=st.sampled_from("SML"),
)
def test_any_geometry_gives_a_valid_plan(size, shape, preset):
    plan = make_plan(fingerprint(voxel_size_nm=size, shape=shape), PRESETS[preset])
    assert all(n % d == 0 for n, d in zip(plan.patch, plan.network.divisor, strict=True))
    assert plan.memory.bytes <= plan.machine.memory_gb * 1e9
    assert all(n <= max(e, d) for n, e, d in zip(plan.patch, shape, plan.network.divisor, strict=True))


def test_shifts_and_contrast_of_sections_are_the_measured_ones():
    def effects(**facts):
        return make_plan(mitochondria(**facts), PRESETS["M"]).augmentation.effects

    size = make_plan(mitochondria(), PRESETS["M"]).working_voxel_size_nm[1]
    assert effects(shift_nm=None).section_shift.shift_nm == pytest.approx(5 * size)
    assert effects(shift_nm={"p50": 4.0, "p95": 46.0}).section_shift.shift_nm == 46
    assert effects(shift_nm={"p50": 4.0, "p95": 4600.0}).section_shift.shift_nm == pytest.approx(17 * size, rel=0.01)
    assert effects(std_drift=0.2).section_intensity.contrast == 0.4
    assert effects(std_drift=0.01).section_intensity.contrast == 0.1


def test_a_ring_that_falls_on_the_one_before_goes_a_voxel_further_if_that_is_not_far():
    def offsets(size):
        return make_plan(fingerprint(voxel_size_nm=size, shape=None), PRESETS["M"]).offsets

    assert [-o[0] for o in offsets((30.0, 6.0, 6.0)) if o[0]] == [1, 2, 4, 8]
    assert [-o[0] for o in offsets((45.0, 6.0, 6.0)) if o[0]] == [1, 3, 6]


def test_a_rare_foreground_weighs_as_much_as_the_rest():
    blobs = {"solidity": 0.9, "border_fraction": 0.1, "touching_fraction": 0.0}
    rare, common = (make_plan(fingerprint(**blobs, foreground_fraction=n), PRESETS["M"]) for n in (0.01, 0.3))
    assert {head.loss for head in rare.heads} == {"dice_balanced_bce"}
    assert {head.loss for head in common.heads} == {"dice_bce"}
    assert rare.sampling.foreground_share > common.sampling.foreground_share == 0


def test_members_are_all_folds_unless_the_time_is_one_folds():
    assert make_plan(fingerprint(volumes=5), PRESETS["M"]).folds.members == 5
    assert make_plan(fingerprint(volumes=5), CPU).folds.members == 1
    assert make_plan(fingerprint(shape=(600, 600, 600)), PRESETS["M"]).folds.members == 4


def test_a_probe_counts_instead_of_the_estimate():
    machine = PRESETS["M"].replace(memory_scale=3.0)
    estimated, probed = make_plan(fingerprint(), PRESETS["M"]), make_plan(fingerprint(), machine)
    assert (estimated.memory.source, probed.memory.source) == ("estimate", "probe")
    assert probed.sampling.batch < estimated.sampling.batch
    assert probed.memory.bytes == pytest.approx(3 * probed.why["memory"].numbers["estimate"], rel=1e-6)
    assert probed.memory.bytes <= 0.9 * 24e9


def test_a_gpu_that_holds_one_patch_accumulates_two():
    small = PRESETS["M"].replace(memory_gb=5.0)
    plan = make_plan(fingerprint(shape=(600, 600, 600)), small)
    assert (plan.sampling.batch, plan.sampling.accumulate) == (1, 2)
    assert make_plan(fingerprint(shape=(600, 600, 600)), PRESETS["M"]).sampling.accumulate == 1
    assert make_plan(fingerprint(), CPU).sampling.accumulate == 1


def test_lines_are_refused_unless_it_is_said_what_they_are():
    with pytest.raises(PlanError, match=r"the labels are lines, not regions\. Center lines of neurons go into skeletons/"):
        make_plan(mitochondria(kind="skeletons"), CPU)
    assert make_plan(mitochondria(kind="skeletons", task="objects"), CPU).task == "objects"


@pytest.mark.parametrize(
    ("diameter", "voxel", "width"),
    [(24.0, 4.0, 8.0), (40.0, 8.0, 13.333), (300.0, 8.0, 40.0), (300.0, 25.0, 50.0), (None, 8.0, 40.0)],
)
def test_a_boundary_leaves_the_middle_of_small_objects(diameter, voxel, width):
    assert boundary_width((voxel, voxel, voxel), diameter) == pytest.approx(width, abs=0.05)


def test_objects_too_small_for_a_seed_are_found_and_kept():
    """Perfect predictions of balls of three voxels: a seed in none of them, a component in each."""
    size = (8.0, 8.0, 8.0)
    facts = mitochondria(
        voxel_size_nm=size,
        diameter_nm={"p10": 24.0, "p50": 24.0, "p90": 24.0},
        volume_nm3={"p10": 19 * 512.0, "p50": 19 * 512.0, "p90": 19 * 512.0},
        task="objects",
    )
    plan = make_plan(facts, CPU)
    assert plan.decoder.kinds == ["seeded", "components"]
    assert max(plan.decoder.grid["min_size"]) <= 19 / 2
    labels = np.zeros((20, 30, 40), np.uint32)
    for number, place in enumerate(itertools.product(range(4, 18, 6), range(4, 28, 6), range(4, 38, 6)), 1):
        ball = sum(np.square(i - a) for i, a in zip(np.indices(labels.shape), place, strict=True)) <= 2
        labels[ball] = number
    boundary = boundary_from_labels(labels, size, plan.heads[1].width_nm)
    stored = np.stack([labels > 0, boundary]).astype(np.uint8) * 254 + 1
    found = {choice.kind: score(segmented, labels, kind="instances")["ap"] for choice, segmented in candidates(stored, plan)}
    assert found["components"] == 1


@pytest.mark.parametrize(
    ("shape", "size", "rotation"),
    [
        ((300, 300, 300), (8.0, 8.0, 8.0), (180, 180, 180)),
        ((1, 512, 512), (10.0, 10.0, 10.0), (180, 0, 0)),
        ((4, 600, 600), (8.0, 8.0, 8.0), (180, 0, 0)),
        ((60, 300, 300), (10.0, 10.0, 10.0), (180, 15, 15)),
        ((100, 500, 500), (40.0, 8.0, 8.0), (180, 0, 0)),
    ],
)
def test_a_plate_is_not_tilted(shape, size, rotation):
    plan = make_plan(fingerprint(voxel_size_nm=size, shape=shape), PRESETS["M"])
    assert plan.augmentation.effects.affine.rotation_degrees == rotation, plan.patch


def test_of_sparse_labels_crops_are_drawn_around_what_is_labelled():
    assert make_plan(fingerprint(), CPU).sampling.foreground_share == 0
    plan = make_plan(fingerprint(labelled_fraction=0.01), CPU)
    assert plan.sampling.foreground_share == 0.5
    assert plan.why["sampling"].numbers["labelled_share"] == 0.01
