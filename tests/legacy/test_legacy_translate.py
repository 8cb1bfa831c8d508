import json
from pathlib import Path

import pytest
import yaml
from tests_legacy import given, instead, made

from pytc_auto.errors import PlanError
from pytc_auto.legacy.config import defaults, load_config
from pytc_auto.legacy.keys import DATASET_FILE, FIELDS, GONE, fields_of
from pytc_auto.legacy.translate import translate
from pytc_auto.schema.plan import Plan

SHIPPED, MORE = (
    json.loads((Path(__file__).parent / name).read_text())["configs"] for name in ("shipped_configs.json", "more_configs.json")
)
BY_PATH = {each["path"]: each for each in SHIPPED}


def loaded(folder, shipped):
    paths = []
    for name, content in (("base", BY_PATH[shipped["base"]]["config"] if shipped["base"] else {}), ("config", shipped["config"])):
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(yaml.safe_dump(content))
    return load_config(paths[1], base=paths[0])


def summary(plan):
    heads = ", ".join(h.kind + (str(h.channels) if h.channels > 1 else "") for h in plan.heads)
    return f"{plan.network.kind}: {heads}: {plan.decoder.kinds[0]}"


@pytest.mark.parametrize("shipped", [*SHIPPED, *MORE], ids=lambda each: each["path"])
def test_each_configuration_becomes_a_plan_or_is_refused_with_v1s_reason(tmp_path, shipped):
    if shipped["becomes"].startswith("refused: "):
        with pytest.raises(PlanError) as caught:
            translate(loaded(tmp_path, shipped), given(), shipped["path"])
        assert f"itself cannot use it ({shipped['becomes'].removeprefix('refused: ')})" in str(caught.value)
        return
    config = loaded(tmp_path, shipped)
    translation = translate(config, given(), shipped["path"])
    plan = translation.plan
    assert summary(plan) == shipped["becomes"]
    assert Plan.parse(yaml.safe_load(plan.text()), "again") == plan
    assert plan.channels == config["MODEL.OUT_PLANES"]
    told = {row.key for row in translation.rows} | {k for why in plan.why.values() for k in why.numbers.get("keys", [])}
    assert set(config.changed) <= told | set(FIELDS[DATASET_FILE])
    assert {why.rule for why in plan.why.values()} == {"v1"}
    assert all(row.value == str(config[row.key]) for row in translation.rows)


def test_there_are_all_shipped_configurations():
    assert len(SHIPPED) == 41
    assert sum(each["becomes"].startswith("refused") for each in SHIPPED) == 2
    assert len(MORE) == 24
    assert len({each["path"] for each in [*SHIPPED, *MORE]}) == 65


def test_every_key_has_a_field_or_a_word_and_never_both():
    decided = {key for keys in FIELDS.values() for key in keys}
    assert decided | set(GONE) == set(defaults())
    assert not decided & set(GONE)
    assert set(FIELDS) - {DATASET_FILE} <= set(Plan.model_fields)
    assert fields_of("MODEL.TARGET_OPT") == ["task", "labels", "heads", "decoder"]


OTHER_VALUES = {
    "MODEL.ARCHITECTURE": "unet_plus_3d",
    "MODEL.BLOCK_TYPE": "residual_se",
    "MODEL.TARGET_OPT": ["4-1-1"],
    "MODEL.WEIGHT_OPT": [["0"]],
    "MODEL.LOSS_OPTION": [["DiceLoss"]],
    "MODEL.LABEL_EROSION": 2,
    "MODEL.LOSS_WEIGHT": [[2.0]],
    "DATASET.REJECT_SAMPLING.SIZE_THRES": 10,
    "DATASET.REJECT_SAMPLING.DIVERSITY": 3,
    "SOLVER.SWA.START_ITER": 100000,
    "MODEL.PAD_MODE": "zeros",
    "MODEL.NORM_MODE": "in",
    "MODEL.ACT_MODE": "relu",
    "MODEL.IN_PLANES": None,
    "DATASET.MATCH_ACT": "sigmoid",
    "DATASET.PAD_MODE": "edge",
    "DATASET.IMAGE_SCALE": [1.0, 0.5, 0.5],
    "DATASET.DATA_SCALE": [1.0, 0.5, 0.5],
    "SOLVER.NAME": "AdamW",
    "SOLVER.LR_SCHEDULER_NAME": "WarmupCosineLR",
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": "norm",
    "INFERENCE.OUTPUT_ACT": ["tanh"],
    "INFERENCE.BLENDING": "bump",
    "INFERENCE.AUG_MODE": "max",
    "INFERENCE.AUG_NUM": 8,
    "INFERENCE.INPUT_SIZE": [9, 65, 65],
    "INFERENCE.STRIDE": [3, 60, 60],
    "INFERENCE.PAD_SIZE": [1, 2, 3],
    "INFERENCE.DATA_SCALE": [1.0, 0.5, 0.5],
    "MODEL.POOLING_LAYER": True,
}
NEEDED = {
    "MODEL.BACKBONE": {"MODEL.ARCHITECTURE": "fpn_3d"},
    "MODEL.BLOCKS": {"MODEL.ARCHITECTURE": "fpn_3d"},
    "MODEL.DEPLOY_MODE": {"MODEL.ARCHITECTURE": "fpn_3d", "MODEL.BACKBONE": "repvgg"},
    "MODEL.KERNEL_SIZES": {"MODEL.ARCHITECTURE": "fpn_3d", "MODEL.BACKBONE": "efficientnet", "MODEL.BLOCK_TYPE": "inverted_res"},
    "MODEL.ATTENTION": {"MODEL.ARCHITECTURE": "fpn_3d", "MODEL.BACKBONE": "efficientnet", "MODEL.BLOCK_TYPE": "inverted_res"},
    "MODEL.SWIN_UNETR_FEATURE_SIZE": {"MODEL.ARCHITECTURE": "swinunetr"},
    "MODEL.DEPTHS": {"MODEL.ARCHITECTURE": "swinunetr"},
    "MODEL.UNETR_FEATURE_SIZE": {"MODEL.ARCHITECTURE": "unetr", "MODEL.INPUT_SIZE": [16, 256, 256]},
    "MODEL.HIDDEN_SIZE": {"MODEL.ARCHITECTURE": "unetr", "MODEL.INPUT_SIZE": [16, 256, 256]},
    "MODEL.LOSS_KWARGS_KEY": {"MODEL.TARGET_OPT": ["9-3"], "MODEL.OUT_PLANES": 3, "MODEL.LOSS_KWARGS_VAL": [[[[1.0, 2.0, 3.0]]]]},
    "MODEL.LOSS_KWARGS_VAL": {"MODEL.TARGET_OPT": ["9-3"], "MODEL.OUT_PLANES": 3, "MODEL.LOSS_KWARGS_KEY": [[["class_weight"]]]},
    "DATASET.DO_2D": {"MODEL.TARGET_OPT": ["2"], "MODEL.OUT_PLANES": 3},
    "DATASET.REJECT_SAMPLING.P": {"DATASET.REJECT_SAMPLING.SIZE_THRES": 10},
    "SOLVER.BASE_LR": {"SOLVER.NAME": "AdamW"},
    "SOLVER.WEIGHT_DECAY": {"SOLVER.NAME": "AdamW"},
    "SOLVER.WARMUP_ITERS": {"SOLVER.LR_SCHEDULER_NAME": "WarmupCosineLR"},
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": {"SOLVER.CLIP_GRADIENTS.ENABLED": True},
    "SOLVER.SWA.START_ITER": {"SOLVER.SWA.ENABLED": True, "SOLVER.ITERATION_TOTAL": 200000},
    "MODEL.WEIGHT_OPT": {"MODEL.LOSS_OPTION": [["WeightedBCEWithLogitsLoss", "DiceLoss"]]},
    "SOLVER.CLIP_GRADIENTS.ENABLED": {"SOLVER.CLIP_GRADIENTS.CLIP_VALUE": 2.5},
    "AUGMENTOR.ROTATE.P": {"AUGMENTOR.ROTATE.ROT90": False},
    "AUGMENTOR.COPYPASTE.P": {"AUGMENTOR.COPYPASTE.ENABLED": True},
    "MODEL.ISOTROPY": {},
}
VALUES = {
    "MODEL.BACKBONE": "repvgg",
    "MODEL.BLOCKS": [2, 3, 2, 2],
    "MODEL.DEPLOY_MODE": True,
    "MODEL.KERNEL_SIZES": [3, 5, 5, 3, 3],
    "MODEL.ATTENTION": "strip_pool",
    "MODEL.SWIN_UNETR_FEATURE_SIZE": 24,
    "MODEL.DEPTHS": [2, 4, 2, 2],
    "MODEL.UNETR_FEATURE_SIZE": 32,
    "MODEL.HIDDEN_SIZE": 384,
    "MODEL.LOSS_KWARGS_KEY": [[["class_weight"]]],
    "MODEL.LOSS_KWARGS_VAL": [[[[1.0, 2.0, 3.0]]]],
    "MODEL.ISOTROPY": [False, False, True, True, True],
    "MODEL.INPUT_SIZE": [9, 129, 129],
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": 2.5,
}


def another(key):
    """A value of a key that is not the one it has."""
    old = defaults()[key]
    if key in OTHER_VALUES or key in VALUES:
        return {**OTHER_VALUES, **VALUES}[key]
    if isinstance(old, bool):
        return not old
    if isinstance(old, int | float):
        return old + 1 if isinstance(old, int) else old / 2 or 0.5
    if isinstance(old, str):
        return old + "x"
    if isinstance(old, list) and old and all(isinstance(n, int | float) for n in old):
        return [type(n)(n + 1) for n in old]
    return ["other"] if isinstance(old, list) else "other"


KEYS = [key for key in defaults() if key not in FIELDS[DATASET_FILE] and key != "MODEL.IN_PLANES"]


@pytest.mark.parametrize("key", KEYS)
def test_every_key_changes_a_field_that_names_it_or_is_told(key):
    needed = NEEDED.get(key, {})
    before, after = made(needed), made({**needed, key: another(key)})
    moved = {
        name
        for plans in ((before.plan, after.plan), (before.model_plan, after.model_plan))
        for name in Plan.model_fields
        if getattr(plans[0], name) != getattr(plans[1], name)
    }
    named = {name for name, why in after.plan.why.items() if key in why.numbers.get("keys", [])}
    assert moved & named or instead(after, key), (moved, named)
    assert moved <= named | {"augmentation", "labels", "heads", "decoder", "inference"}, moved - named


def test_the_defaults_become_v1s_numbers():
    plan = made().plan
    network = plan.network
    assert (plan.patch, network.features, network.block, network.norm) == ((8, 256, 256), [28, 36, 48, 64, 80], "residual", "bn")
    assert (network.activation, network.padding, network.pooling) == ("elu", "replicate", "stride")
    assert network.strides == [(1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2)]
    assert plan.intensity.model_dump() == {"clip": (0.0, 255.0), "scale": (127.5, 127.5), "range": "volume"}
    assert (plan.sampling.batch, plan.sampling.steps, plan.precision) == (2, 40000, "fp32")
    way = plan.inference
    assert (way.blending, way.patch, way.stride, way.merge) == ("v1_gaussian", (8, 256, 256), (4, 128, 128), "mean")
    assert (way.pad, way.pad_mode, way.symmetries, way.activations) == (((2, 2), (64, 64), (64, 64)), "reflect", 1, ["sigmoid"])
    effects = plan.augmentation.effects
    assert effects.section_shift.shift_nm == 16 * 6
    assert effects.elastic.probability == 0.75
    assert effects.missing_section.probability == pytest.approx(0.9 / 8)
    assert plan.augmentation.symmetries == 16


def test_prediction_overwrites_what_training_used():
    changes = {"INFERENCE.INPUT_SIZE": [4, 64, 96], "INFERENCE.PAD_SIZE": [1, 2, 3, 4, 5, 6], "INFERENCE.AUG_NUM": 16}
    plan = made({**changes, "INFERENCE.STRIDE": [2, 32, 48], "INFERENCE.BLENDING": "bump", "INFERENCE.AUG_MODE": "min"}).plan
    assert plan.patch == (8, 256, 256)
    way = plan.inference
    assert (way.patch, way.pad, way.symmetries) == ((4, 64, 96), ((1, 2), (3, 4), (5, 6)), 16)
    assert (way.stride, way.blending, way.merge) == ((2, 32, 48), "v1_bump", "min")
    assert made({"INFERENCE.PAD_SIZE": [7]}).plan.inference.pad == ((7, 7),) * 3


@pytest.mark.parametrize(
    ("codes", "planes", "heads", "activations"),
    [
        (["0"], 1, [("foreground", 1)], ["sigmoid"]),
        (["0-3-5"], 1, [("foreground", 1)], ["sigmoid"]),
        (["1"], 3, [("polarity", 3)], ["sigmoid"]),
        (["1-1"], 3, [("classes", 3)], ["softmax"]),
        (["2"], 3, [("affinities", 3)], ["sigmoid"]),
        (["2-1-1-1-v1", "2-2-3-3-v1"], 6, [("affinities", 6)], ["sigmoid"]),
        (["2", "2"], 6, [("affinities", 3), ("affinities", 3)], ["sigmoid", "sigmoid"]),
        (["2-1-3-3-v2"], 3, [("v1", 3)], ["sigmoid"]),
        (["3-25-2-1"], 1, [("v1", 1)], ["sigmoid"]),
        (["4-2-0", "0"], 2, [("boundary", 1), ("foreground", 1)], ["sigmoid", "sigmoid"]),
        (["5-2d-0-0-5.0-0"], 1, [("skeleton_distance", 1)], ["tanh"]),
        (["5-2d-0-1-5.0-0"], 11, [("v1", 11)], ["softmax"]),
        (["6", "6-2d-4-50"], 2, [("signed_distance", 1), ("signed_distance", 1)], ["tanh", "tanh"]),
        (["0", "7"], 3, [("foreground", 1), ("flow", 2)], ["sigmoid", "tanh"]),
        (["9-4"], 4, [("classes", 4)], ["softmax"]),
        (["9-4", "0"], 5, [("classes", 4), ("foreground", 1)], ["softmax", "sigmoid"]),
        (["9-4", "2"], 7, [("v1", 4), ("affinities", 3)], ["softmax", "sigmoid"]),
        (["0", "I-2"], 3, [("foreground", 1), ("v1", 2)], ["sigmoid", "sigmoid"]),
        (["0", "all"], 5, [("foreground", 1), ("v1", 4)], ["sigmoid", "sigmoid"]),
    ],
)
def test_targets_become_heads(codes, planes, heads, activations):
    each = [a for a, code in zip(activations, codes, strict=False)]
    given_acts = each if len(each) == len(codes) else [activations[0]] * len(codes)
    losses = {"MODEL.LOSS_OPTION": [["DiceLoss"]] * len(codes), "MODEL.LOSS_WEIGHT": [[1.0]] * len(codes)}
    plan = made({"MODEL.TARGET_OPT": codes, "MODEL.OUT_PLANES": planes, "INFERENCE.OUTPUT_ACT": given_acts, **losses}).plan
    assert [(head.kind, head.channels) for head in plan.heads] == heads
    assert plan.inference.activations == activations
    assert plan.channels == planes


def test_affinities_keep_v1s_order_and_steps():
    codes = ["2-1-2-3-pni", "2-4-5-6-v1"]
    plan = made({"MODEL.TARGET_OPT": codes, "MODEL.OUT_PLANES": 6, "INFERENCE.OUTPUT_ACT": ["sigmoid"] * 2}).plan
    assert plan.offsets == [(0, 0, -3), (0, -2, 0), (-1, 0, 0), (-4, 0, 0), (0, -5, 0), (0, 0, -6)]
    flat = {"DATASET.DO_2D": True, "MODEL.INPUT_SIZE": [1, 65, 65], "MODEL.ARCHITECTURE": "unet_2d", "MODEL.OUT_PLANES": 2}
    assert made({**flat, "MODEL.TARGET_OPT": ["2"]}).plan.offsets == [(0, -1, 0), (0, 0, -1)]


def test_lengths_in_voxels_become_nanometers():
    changes = {"MODEL.TARGET_OPT": ["2", "4-3-1", "6-2d-4-50"], "MODEL.OUT_PLANES": 5, "MODEL.LABEL_EROSION": 2}
    plan = made({**changes, "INFERENCE.OUTPUT_ACT": ["sigmoid", "sigmoid", "tanh"]}, voxel_size_nm=(40.0, 5.0, 7.0)).plan
    assert plan.labels.erode_nm == 10.0
    assert (plan.heads[1].width_nm, plan.heads[2].scale_nm) == (30.0, 20.0)


@pytest.mark.parametrize(
    ("names", "weights", "loss"),
    [
        (["WeightedBCEWithLogitsLoss", "DiceLoss"], ["1", "0"], "dice_balanced_bce"),
        (["WeightedBCEWithLogitsLoss", "DiceLoss"], ["0", "0"], "dice_bce"),
        (["WeightedBCEWithLogitsLoss"], ["1"], "balanced_bce"),
        (["WeightedBCEFocalLoss"], ["0"], "focal"),
        (["DiceLoss"], ["0"], "dice_balanced_bce"),
    ],
)
@pytest.mark.parametrize("codes", [["0"], ["2"], ["1"]])
def test_losses(names, weights, loss, codes):
    planes = {"0": 1, "2": 3, "1": 3}[codes[0]]
    changes = {"MODEL.LOSS_OPTION": [names], "MODEL.WEIGHT_OPT": [weights], "MODEL.LOSS_WEIGHT": [[2.0] * len(names)]}
    translation = made({**changes, "MODEL.TARGET_OPT": codes, "MODEL.OUT_PLANES": planes})
    assert (translation.plan.heads[0].loss, translation.plan.heads[0].weight) == (loss, 2.0)
    exact = names[0] == "WeightedBCEWithLogitsLoss" or "Focal" in names[0]
    assert bool(instead(translation, "MODEL.LOSS_OPTION")) != exact


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (["5"], "ValueError: not enough values to unpack (expected 6): MODEL.TARGET_OPT 5"),
        (["3"], "ValueError: not enough values to unpack (expected 4)"),
        (["4-1-1-1"], "ValueError: too many values to unpack (expected 3)"),
        (["8-2"], "KeyError: '8'"),
        (["x"], "KeyError: 'x'"),
        (["9"], "IndexError"),
        (["9-a"], "ValueError"),
        ([], "IndexError: MODEL.TARGET_OPT is empty"),
        ([0], "AssertionError"),
    ],
)
def test_targets_that_crash_v1_are_refused_with_its_reason(codes, reason):
    with pytest.raises(PlanError, match="v1 itself cannot use it") as caught:
        made({"MODEL.TARGET_OPT": codes})
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"MODEL.ARCHITECTURE": "unet_residual_3d"}, "unet_residual_3d is not among unet_3d, unet_2d"),
        ({"INFERENCE.BLENDING": "flat"}, "flat is not gaussian or bump"),
        ({"INFERENCE.AUG_NUM": 5}, "TestAugmentor.num_aug should be either 4, 8 or 16!"),
        ({"INFERENCE.AUG_MODE": "median"}, "median is not mean, max or min"),
        ({"DATASET.PAD_SIZE": [1, 2]}, "len(pad_size) in [1, ndim, 2*ndim]"),
        ({"MODEL.INPUT_SIZE": [1, 2]}, "MODEL.INPUT_SIZE must be three whole numbers"),
        ({"DATASET.DATA_SCALE": [0, 1, 1]}, "DATASET.DATA_SCALE must be three factors"),
        ({"MODEL.IN_PLANES": 3}, "MODEL.IN_PLANES is 3, but volumes have one channel here"),
        ({"MODEL.NORM_MODE": "bnn"}, "network.v1_unet_3d.norm"),
        ({"MODEL.FILTERS": [30, 36, 48, 64, 80], "MODEL.NORM_MODE": "gn"}, "divide by 8"),
    ],
)
def test_other_values_that_v1_cannot_run_are_refused(changes, reason):
    with pytest.raises(PlanError) as caught:
        made(changes)
    assert reason in str(caught.value)


def test_activations_that_do_not_go_with_the_targets_are_told():
    translation = made({"INFERENCE.OUTPUT_ACT": ["sigmoid", "softmax"]})
    assert translation.plan.inference.activations == ["sigmoid"]
    assert "v1 itself cannot predict with 2 activations for 1 targets" in instead(translation, "INFERENCE.OUTPUT_ACT")
    assert "v1 itself fails in its first step" in instead(made({"MODEL.OUT_PLANES": 4}), "MODEL.OUT_PLANES")


def test_a_voxel_size_that_nobody_told_stands_in():
    plan = made(voxel_size_nm=None).plan
    assert not plan.voxel_size_known
    assert plan.voxel_size_nm == (30.0, 8.0, 8.0)
    assert made({"MODEL.INPUT_SIZE": [64, 64, 64]}, voxel_size_nm=None).plan.voxel_size_nm == (8.0, 8.0, 8.0)
    assert made().plan.voxel_size_known


@pytest.mark.parametrize(("name", "kind"), [("deeplabv3c", "unet"), ("swinunetr", "swin_unetr"), ("unetr", "unetr")])
def test_an_architecture_that_is_not_carried_over_is_planned_anew(name, kind):
    size = [1, 257, 257] if kind == "unet" else [64, 128, 128]
    translation = made({"MODEL.ARCHITECTURE": name, "MODEL.INPUT_SIZE": size})
    assert translation.plan.network.kind == kind
    assert translation.plan.inference.blending == "gaussian"
    assert "not carried over" in instead(translation, "MODEL.ARCHITECTURE")


def test_training_without_a_counterpart_is_told():
    translation = made({"SOLVER.SWA.ENABLED": True, "SOLVER.SWA.START_ITER": 30000, "SOLVER.ITERATION_TOTAL": 40000})
    optimizer = translation.plan.optimizer
    assert (optimizer.kind, optimizer.swa_start, optimizer.ema) == ("adamw", 0.75, 0.0)
    assert instead(translation, "SOLVER.NAME") == "AdamW"
    adam = made({"SOLVER.NAME": "Adam", "SOLVER.BASE_LR": 3e-4, "SOLVER.LR_SCHEDULER_NAME": "WarmupCosineLR"}).plan.optimizer
    assert (adam.learning_rate, adam.weight_decay, adam.warmup_steps) == (3e-4, 1e-4, 1000)
