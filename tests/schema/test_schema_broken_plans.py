"""A plan edited by hand with a single field made wrong is refused with the field's path; several faults are told at once."""

from __future__ import annotations

import copy

import pytest
import yaml
from samples import CPU, fingerprint, mitochondria

from pytc_auto.errors import PlanError
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.plan import Plan

COMPACT = {"solidity": 0.9, "border_fraction": 0.1, "foreground_fraction": 0.2, "touching_fraction": 0.0}
SHAPE = {"kind": "lsd", "sigma_nm": 100.0, "loss": "mse", "weight": 1.0}
FOREGROUND = "{kind:foreground,width_nm:0.0,loss:dice_bce,weight:1.0},{kind:boundary,width_nm:40.0,loss:dice_bce,weight:1.0}"
DISTANCE = "{kind:signed_distance,scale_nm:80.0,loss:smooth_l1,weight:1.0},{kind:flow,loss:mse,weight:1.0}"
BY_HAND = read_overrides([f"heads=[{FOREGROUND},{DISTANCE}]"])
SYNAPSES = read_overrides(["heads=[{kind:polarity,loss:dice_bce,weight:1.0}]"])
CLASSES = {"kind": "classes", "values": {0: "a", 1: "b"}, "unlabeled": []}
PLANS = {
    "neurons": make_plan(fingerprint(), CPU),
    "classes": make_plan(mitochondria(), CPU),
    "objects": make_plan(fingerprint(**COMPACT), PRESETS["M"]),
    "volumes": make_plan(fingerprint(volumes=5), PRESETS["S"]),
    "distances": make_plan(fingerprint(**COMPACT), PRESETS["M"], by_hand=BY_HAND),
    "synapses": make_plan(fingerprint(**COMPACT), PRESETS["M"], by_hand=SYNAPSES),
}
RAW = {name: yaml.safe_load(plan.text()) for name, plan in PLANS.items()}
FREE = ("name", "why", "labels.values", "augmentation.effects", "decoder.grid")
"""Text that may be anything, or records whose entries may be missing or null; their own tests are below."""


def leaves(node, path=()):
    """Paths of all plain values."""
    if isinstance(node, dict | list):
        for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(inner, (*path, key))
    else:
        yield path


def dotted(path):
    return ".".join(map(str, path))


def changed(raw, path, change):
    """A copy in which the holder of a path's last step was changed."""
    made = copy.deepcopy(raw)
    holder = made
    for step in path[:-1]:
        holder = holder[step]
    change(holder, path[-1])
    return made


def refused(raw):
    with pytest.raises(PlanError) as caught:
        Plan.parse(raw, "plan.yaml")
    return str(caught.value).splitlines()


def put(value):
    return lambda holder, key: holder.__setitem__(key, value)


CASES = [(name, path) for name, raw in RAW.items() for path in leaves(raw) if not dotted(path).startswith(FREE)]


def without_kind(path):
    """Faults in tagged records have the tag in their path."""
    return {str(step) for step in path}


@pytest.mark.parametrize(("name", "path"), CASES, ids=lambda v: v if isinstance(v, str) else dotted(v))
def test_a_value_of_a_wrong_type_is_refused_with_its_path(name, path):
    lines = refused(changed(RAW[name], path, put({"not": "a value"})))
    assert any(
        without_kind(path) <= set(line.split(": ")[1].split(".")) | {path[-1] if path[-1] in ("kind", "blending") else ""}
        for line in lines
    ), lines
    assert all(line.startswith("plan.yaml: ") and ("(got " in line or ". " in line or "Add it" in line) for line in lines), lines


NUMBERS = [
    (name, path)
    for name, path in CASES
    if not any(str(step) in ("offsets", "background", "unlabeled", "clip", "scale") for step in path) or "effects" in path
]


@pytest.mark.parametrize(("name", "path"), NUMBERS, ids=lambda v: v if isinstance(v, str) else dotted(v))
def test_a_negative_number_is_refused_with_its_path(name, path):
    lines = refused(changed(RAW[name], path, put(-3)))
    assert any(str(path[0]) in line and ("-3" in line or "Add it" in line) for line in lines), lines


RECORDS = sorted({(name, path[:depth]) for name, path in CASES for depth in range(1, len(path) + 1)}, key=str)
OPTIONAL = {
    "auxiliary",
    "why.auxiliary",
    "machine.memory_scale",
    "network.expansion",
    "network.checkpointing",
    "network.deep_supervision",
    "folds.members",
    "inference.window",
    "sampling.patience",
    "optimizer.swa_start",
    "optimizer.weighting",
}


@pytest.mark.parametrize(
    ("name", "path"),
    [(n, p) for n, p in RECORDS if dotted(p) not in OPTIONAL and not any(isinstance(step, int) for step in p)],
    ids=lambda v: v if isinstance(v, str) else dotted(v),
)
def test_a_missing_field_is_refused_with_its_path(name, path):
    lines = refused(changed(RAW[name], path, lambda holder, key: holder.pop(key)))
    assert any(str(path[-1]) in line for line in lines), lines


@pytest.mark.parametrize("effect", list(RAW["classes"]["augmentation"]["effects"]))
def test_a_wrong_effect_is_refused(effect):
    path = ("augmentation", "effects", effect)
    assert any(f"augmentation.effects.{effect}" in line for line in refused(changed(RAW["classes"], path, put("strong"))))
    negative = {"probability": -0.1}
    assert any(
        f"augmentation.effects.{effect}.probability" in line for line in refused(changed(RAW["classes"], path, put(negative)))
    )


@pytest.mark.parametrize("field", [name for name in RAW["neurons"]["why"] if name != "auxiliary"])
def test_a_decision_without_a_reason_is_refused_with_what_to_write(field):
    (line,) = refused(changed(RAW["neurons"], ("why", field), lambda holder, key: holder.pop(key)))
    assert line == f"plan.yaml: why.{field}: why has no entry for {field}. Add {field}: {{rule: by hand, numbers: {{}}}}"


def test_faults_of_fields_and_between_fields_are_told_at_once():
    raw = copy.deepcopy(RAW["neurons"])
    z = raw["patch"][0]
    raw["sampling"]["steps"] = -1
    raw["patch"][0] = z + 1
    raw["heads"][0]["offsets"].append([0, 900, 0])
    raw["decoder"]["kinds"] = ["argmax"]
    raw["optimizer"]["learnin_rate"] = 1
    del raw["why"]["folds"]
    lines = refused(raw)
    for wanted in (
        "sampling.steps: Input should be greater than 0 (got -1)",
        f"patch: patch is {z + 1} voxels on z, but network.strides divide z by 8. Use {z} or {z + 8}, or pool z less",
        "heads.0.offsets.9: offset [0, 900, 0] reaches outside the patch",
        "decoder.kinds: argmax reads classes, heads has affinities. Use agglomerate or mutex",
        "optimizer.learnin_rate: unknown field. Did you mean learning_rate?",
        "why.folds: why has no entry for folds",
    ):
        assert sum(wanted in line for line in lines) == 1, (wanted, lines)
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("name", "path", "value", "message"),
    [
        ("neurons", ("network", "kind"), "vnet", "network: Input tag 'vnet'"),
        ("neurons", ("network", "expansion"), [2, 2, 2, 2], "expansion and checkpointing are mednext's, kind is unet"),
        ("neurons", ("heads", 0, "kind"), "distance", "heads.0: Input tag 'distance'"),
        ("neurons", ("labels", "kind"), "voxels", "labels: Input tag 'voxels'"),
        ("neurons", ("folds", "kind"), "random", "folds: Input tag 'random'"),
        ("neurons", ("intensity", "clip"), [220, 10], "intensity: clip must go from low to high, got [220.0, 10.0]"),
        ("neurons", ("decoder", "kinds"), ["seeded"], "decoder.kinds: seeded reads boundary and foreground"),
        ("classes", ("heads", 0, "class_weights"), [1, 1, 1], "heads.0.class_weights: has 3 values, labels.values has 2"),
        ("classes", ("labels", "values"), {0: "a"}, "labels.classes.values"),
        ("distances", ("heads", 2, "scale_nm"), 0, "heads.2.signed_distance.scale_nm: Input should be greater than 0 (got 0)"),
        ("distances", ("heads", 3, "loss"), "dice_bce", "heads.3.flow.loss: Input should be 'smooth_l1' or 'mse'"),
        ("distances", ("decoder", "kinds"), ["polarity"], "decoder.kinds: polarity reads polarity, heads has boundary"),
        ("synapses", ("decoder", "kinds"), ["seeded"], "decoder.kinds: seeded reads boundary and foreground, heads has polarity"),
        ("synapses", ("labels",), CLASSES, "heads.0.kind: kind polarity does not go with labels of kind classes"),
        ("objects", ("decoder", "grid"), {"distance_threshold": [0.3]}, "decoder.grid: distance_threshold is of a distance"),
        ("classes", ("auxiliary",), [SHAPE], "auxiliary: shape descriptors are of instances, labels are of kind classes. Use []"),
        ("neurons", ("optimizer", "swa_start"), 0.7, " and swa_start 0.7 are two averages. Set ema to 0, or"),
        ("neurons", ("auxiliary",), [{**SHAPE, "sigma_nm": -1}], "auxiliary.0.sigma_nm: Input should be greater than 0 (got -1)"),
    ],
)
def test_contradictions_name_the_field_and_the_fix(name, path, value, message):
    assert any(message in line for line in refused(changed(RAW[name], path, put(value))))
