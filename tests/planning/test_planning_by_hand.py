from __future__ import annotations

import time

import pytest
from samples import CPU, fingerprint, mitochondria

from pytc_auto.errors import BudgetError, PlanError
from pytc_auto.planning.by_hand import combinations, read_overrides
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.report.tables import plan_rows

M = PRESETS["M"]
CUBE = fingerprint(shape=(500, 600, 700))


def planned(*texts, facts=CUBE, machine=M):
    return make_plan(facts, machine, by_hand=read_overrides(texts))


def test_a_patch_by_hand_stays_and_strides_kernels_offsets_and_memory_follow():
    ruled, plan = planned(), planned("patch=[30,100,96]")
    assert plan.patch == (30, 100, 96)
    assert plan.network.divisor == (1, 4, 16)
    assert plan.network.strides != ruled.network.strides
    assert len(plan.offsets) < len(ruled.offsets)
    assert plan.memory.bytes != ruled.memory.bytes
    assert plan.folds.guard == 48
    assert plan.why["patch"].rule == "by hand"
    assert plan.why["patch"].numbers == {"planned": list(ruled.patch)}
    assert plan.why["network"].rule == "network.mednext"


def test_single_values_are_marked_and_the_rest_of_the_record_stays_the_rules():
    plan = planned("optimizer.learning_rate=3e-4", "labels.erode_nm=0", "augmentation.effects.noise=null")
    ruled = planned()
    assert plan.optimizer == ruled.optimizer.replace(learning_rate=3e-4)
    assert plan.labels.erode_nm == 0
    assert plan.augmentation.effects.noise is None
    assert plan.why["optimizer"].rule == "optimizer.adamw"
    assert plan.why["optimizer.learning_rate"].rule == "by hand"
    assert plan.why["optimizer.learning_rate"].numbers == {"planned": 1e-3}
    assert {row[0]: row[1] for row in plan_rows(plan)}["optimizer.learning_rate"] == "0.0003"
    assert list(plan.why).index("optimizer.learning_rate") == list(plan.why).index("optimizer") + 1


@pytest.mark.parametrize("kind", ["unet", "resenc", "mednext"])
def test_a_kind_by_hand_has_its_blocks(kind):
    network = planned(f"network.kind={kind}").network
    assert network.kind == kind
    assert network.blocks[:4] == {"unet": [2] * 4, "resenc": [1, 3, 4, 6], "mednext": [2] * 4}[kind]
    assert (network.expansion is not None) == network.checkpointing == (kind == "mednext")
    assert planned(f"network.kind={kind}", facts=fingerprint(), machine=CPU.replace(seconds=7200)).network.kind == kind


def test_lists_by_hand_settle_the_number_of_stages():
    network = planned("network.features=[16,32,64]").network
    assert network.features == [16, 32, 64]
    assert [len(getattr(network, name)) for name in ("strides", "kernels", "blocks")] == [3, 3, 3]
    with pytest.raises(PlanError, match=r"features has 3, blocks has 2\. Give lists of one length"):
        planned("network.features=[16,32,64]", "network.blocks=[1,1]")


def test_strides_by_hand_round_the_patch_that_the_rule_chooses():
    plan = planned("network.strides=[[1,1,1],[3,3,3],[3,2,2]]")
    assert plan.network.kind == "resenc"
    assert plan.network.divisor == (9, 6, 6)
    assert plan.patch == (126, 126, 126)


def test_a_patch_that_the_strides_do_not_divide_is_refused_with_what_fits():
    with pytest.raises(PlanError, match=r"patch is 30 voxels on z, but network.strides divide z by 4. Use 28 or 32"):
        planned("patch=[30,100,100]", "network.strides=[[1,1,1],[4,4,4]]")


def test_batch_and_steps_by_hand():
    plan = planned("sampling.batch=2", "sampling.steps=1000")
    assert (plan.sampling.batch, plan.sampling.steps) == (2, 1000)
    assert plan.sampling.steps % plan.sampling.validate_every == plan.sampling.refit_steps % plan.sampling.validate_every == 0
    assert plan.optimizer.warmup_steps == 100
    assert planned("sampling.validate_every=700").sampling.steps % 700 == 0
    with pytest.raises(BudgetError, match="or not what is given by hand"):
        planned("sampling.batch=512")
    with pytest.raises(BudgetError, match="90000 are the least"):
        planned("sampling.steps=90000", machine=CPU)
    hours = CPU.replace(seconds=36000)
    once, often = (planned("patch=[64,64,64]", f"sampling.accumulate={n}", facts=fingerprint(), machine=hours) for n in (1, 4))
    assert often.sampling.steps < once.sampling.steps / 3


def test_the_working_scale_by_hand_carries_on():
    plan = planned("working_scale=[1,2,2]", facts=mitochondria(gap_nm=10.0))
    assert plan.working_scale == (1, 2, 2)
    assert plan.why["working_scale"].numbers == {"planned": [1, 1, 1]}
    assert plan.augmentation.effects.blur.sigma_nm == pytest.approx(2 * 4.6)


def test_offsets_by_hand_change_channels_and_symmetries():
    plan = planned("heads.0.offsets=[[-1,0,0],[0,-1,0],[0,0,-1],[0,0,-9]]")
    assert plan.channels == 4
    assert plan.augmentation.symmetries < planned().augmentation.symmetries


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pach=[1,2,3]", "a plan has no field pach. Did you mean patch? Known: working_scale, labels"),
        ("network.kinds=unet", "override: network.kinds: unknown field. Did you mean kind? Known here: kind, features"),
        (
            "network.kind=vnet",
            "override: network.kind: there is no kind 'vnet'. Known: unet, resenc, mednext, dynunet",
        ),
        ("augmentation.effects.nois.sigma=1", "override: augmentation.effects.nois: unknown field. Did you mean noise?"),
        ("optimizer.ema=1.5", "override: optimizer.ema: Input should be less than 1 (got 1.5)"),
        ("heads.4.loss=x", "override: heads.4: heads is a list of 1. Write its number, from 0"),
        ("patch=[32,160]", "override: patch.2: is missing"),
        ("patch=3,4", "gives several values. A plan takes one; pytc sweep tries them all"),
        ("patch.0.x=3", "override: patch"),
        ("machine.memory_gb=80", "machine is not overridden here; use --size or --max-time"),
        ("task=objects", "task is not overridden here; use --task"),
        ("+patch=3", "none is added or removed"),
        ("~decoder", "none is added or removed"),
        ("patch", "is no override"),
        ("heads.0.offsets=[", "is no override"),
        ("sampling.batch=many", "override: sampling: batch: Input should be a valid integer"),
        ("heads.0.offsets=[[-999,0,0],[0,-1,0]]", "offset [-999, 0, 0] reaches outside the patch"),
    ],
)
def test_what_is_not_valid_is_refused_with_what_is(text, message):
    with pytest.raises(PlanError) as caught:
        planned(text)
    assert message in str(caught.value)


def test_all_overrides_that_are_not_understood_are_told_at_once():
    with pytest.raises(PlanError) as caught:
        read_overrides(["pach=3", "task=objects", "patch=1,2"])
    assert len(str(caught.value).splitlines()) == 3


def test_a_sweep_is_a_grid_in_the_order_of_the_command_line():
    grid = combinations(["network.kind=unet,resenc", "patch=[64,64,64]", "optimizer.learning_rate=choice(1e-3,3e-4)"])
    assert grid == [
        ("network.kind=unet", "patch=[64,64,64]", "optimizer.learning_rate=0.001"),
        ("network.kind=unet", "patch=[64,64,64]", "optimizer.learning_rate=0.0003"),
        ("network.kind=resenc", "patch=[64,64,64]", "optimizer.learning_rate=0.001"),
        ("network.kind=resenc", "patch=[64,64,64]", "optimizer.learning_rate=0.0003"),
    ]
    assert [c[0] for c in combinations(["sampling.seed=range(3)"])] == [f"sampling.seed={n}" for n in range(3)]
    assert [c[0] for c in combinations(["patch=[8,8,8],[9,9,9]"])] == ["patch=[8,8,8]", "patch=[9,9,9]"]
    with pytest.raises(PlanError, match="is no grid"):
        combinations(["optimizer.learning_rate=interval(0,1)"])
    with pytest.raises(PlanError, match="no field pach"):
        combinations(["pach=1,2"])


@pytest.mark.parametrize(
    ("texts", "messages"),
    [
        (["network.knd=unet"], ["network.knd: unknown field. Did you mean kind?"]),
        (["network={knd: 3}"], ["network.knd: unknown field"]),
        (
            ["network.kind=foo", "folds.kind=slob"],
            ["there is no kind 'foo'. Known: unet", "no kind 'slob'. Known: slab, volumes."],
        ),
        (["precision=fp8"], ["override: precision: there is no precision 'fp8'. Known: bf16, fp16, fp32."]),
    ],
)
def test_a_wrong_name_is_told_before_data_are_looked_at(texts, messages):
    for read in (read_overrides, combinations):
        with pytest.raises(PlanError) as caught:
            read(texts)
        assert len(str(caught.value).splitlines()) == len(messages)
        assert all(message in str(caught.value) for message in messages)
    with pytest.raises(PlanError, match=r"^override: network\.kind: there is no kind 'foo'[^\n]*$"):
        combinations(["network.kind=unet,foo"])
    with pytest.raises(PlanError, match=r"^override: network\.knd: unknown field[^\n]*$"):
        combinations(["network.knd=unet,mednext"])


@pytest.mark.parametrize(
    "text",
    [
        "heads.0.kind=x",
        "decoder.grid.threshold=[0.5]",
        "labels.values.0=x",
        "network.kind=mednext",
        "labels.erode_nm=3",
        "patch=x",
    ],
)
def test_what_only_data_or_rules_can_judge_is_left_to_them(text):
    assert len(read_overrides([text]).values) == 1


def test_a_plan_takes_less_than_a_second():
    planned()
    started = time.process_time()
    planned("patch=[64,64,64]")
    assert time.process_time() - started < 1


@pytest.mark.parametrize("axis", range(3))
def test_a_patch_may_be_twice_as_long_as_a_volume_and_no_longer(axis):
    shape, name = [48, 48, 48], "zyx"[axis]
    facts = fingerprint(shape=tuple(shape))
    shape[axis] = 96
    assert list(make_plan(facts, PRESETS["M"], by_hand=read_overrides([f"patch={shape}".replace(" ", "")])).patch) == shape
    shape[axis] = 112
    with pytest.raises(PlanError, match=f"patch is 112 voxels on {name}, but the longest volume has 48 there.* Use 48 or less"):
        make_plan(facts, PRESETS["M"], by_hand=read_overrides([f"patch={shape}".replace(" ", "")]))
