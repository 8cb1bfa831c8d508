"""Does the planner pay? One row: a data set, one way of planning, trained by our trainer, scored once on DATASET/test.

    python benchmarks/plans.py DATASET VARIANT --max-time T [--seed N]

The self-made plan is made once for the time; every variant changes it by hand and sees as many voxels in training.

    self        the plan as it is
    nnunet      nnU-Net's patch, strides and kernels for the same volume, width scaled to equal operations per voxel
    banis       a cube of as many voxels, strides of 2, six affinities (1 and 10 voxels), no erosion
    no-erosion  the plan without eroded borders
    voxels      offsets in voxels, those of Lee et al. 2017: z 2, 3, 4 and y, x 3, 9, 27
    lsd         local shape descriptors learned beside the affinities (Sheridan et al. 2022)
    cube        a cube of as many voxels, kernels of 3 and strides of 2 on every axis
    three       the single steps alone as affinities
    six         single steps and one ring of 90 nm
    focal       focal instead of balanced loss
    no-ema      weights as they are, not averaged
    no-effects  crops flipped and turned by 90° only
    elastic     elastic deformation, too
    defects     every effect of knife and microscope, too
    deep        coarser stages have a loss of their own

The row is appended to results.md beside this file. A run that was interrupted resumes.
"""

from __future__ import annotations

import argparse
import datetime
import math
import shutil
import time
from pathlib import Path
from typing import Any

from accuracy import scored
from results import append, commit, machine

import pytc_auto
from pytc_auto.options import seconds
from pytc_auto.pipeline.runs import Run
from pytc_auto.planning.augmentation import every_effect
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.cost import multiply_adds
from pytc_auto.planning.patch import halving
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Plan

HEADER = (
    "| data | plan | seed | patch, features | steps | Mvoxels seen | test scores | training, s | date | commit | machine |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|\n"
)
SECTION = "## Does the planner pay?\n\n"
LEE_2017 = [(1, 1, 1), (2, 3, 3), (3, 9, 9), (4, 27, 27)]
BANIS = [(1, 1, 1), (10, 10, 10)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("--max-time", default="15m")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "plans")
    arguments = parser.parse_args()
    name = arguments.dataset.resolve().name
    ours = _self_made(arguments.dataset, name, arguments.max_time, arguments.runs)
    run = _variant(ours, arguments.variant, arguments.seed)
    started = time.monotonic()
    trained = pytc_auto.train(run.name, runs=arguments.runs, say=print)
    wall = time.monotonic() - started
    plan = trained.run.plan()
    scores = scored(run, arguments.dataset)
    steps = plan.sampling.steps + plan.sampling.refit_steps
    row = [name, arguments.variant, arguments.seed, f"{'×'.join(map(str, plan.patch))}, {_widths(plan)}", steps]
    row += [f"{steps * math.prod(plan.patch) / 1e6:.0f}", scores, f"{wall:.0f}", datetime.date.today(), commit(), machine()]
    append(f"| {' | '.join(map(str, row))} |\n", section=SECTION, header=HEADER)


def _widths(plan: Plan) -> str:
    return f"{plan.network.features[0]}–{plan.network.features[-1]}"


def _self_made(dataset: Path, name: str, max_time: str, runs: Path) -> Run:
    """The plan for the time, made once."""
    run = Run(runs / f"{name}-plan")
    if not run.plan_file.is_file():
        pytc_auto.plan(dataset / "train", name=run.name, runs=runs, max_seconds=seconds(max_time), say=print)
    return run


def _variant(ours: Run, variant: str, seed: int) -> Run:
    """The run folder of a variant; its plan has no clock, as its steps are given."""
    run = Run(ours.folder.parent / f"{ours.name.removesuffix('-plan')}-{variant}-{seed}")
    if run.plan_file.is_file():
        return run
    plan, facts = ours.plan(), ours.fingerprint()
    changes: dict[str, Any] = {"patch": list(plan.patch), "network.features": plan.network.features, "sampling.seed": seed}
    changes |= VARIANTS[variant](plan, facts)
    share = math.prod(plan.patch) / math.prod(changes["patch"])
    every = max(1, round(plan.sampling.validate_every * share))
    validations, refits = (n // plan.sampling.validate_every for n in (plan.sampling.steps, plan.sampling.refit_steps))
    changes |= {"sampling.validate_every": every, "sampling.steps": every * validations, "sampling.refit_steps": every * refits}
    texts = [f"{key}={_grammar(value)}" for key, value in changes.items()]
    unlimited = plan.machine.replace(seconds=None)
    made = make_plan(facts, unlimited, task=plan.task, by_hand=read_overrides(texts)).replace(name=run.name)
    run.folder.mkdir(parents=True)
    shutil.copy(ours.dataset_file, run.dataset_file)
    shutil.copy(ours.fingerprint_file, run.fingerprint_file)
    made.save(run.plan_file)
    return run


def _grammar(value: Any) -> str:
    return str([list(v) if isinstance(v, tuple) else v for v in value] if isinstance(value, list) else value).replace(" ", "")


def _offsets(steps: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    return [o for z, y, x in steps for o in ((-z, 0, 0), (0, -y, 0), (0, 0, -x))]


def _nnunet(plan: Plan, facts: Fingerprint) -> dict[str, Any]:
    """By the code of nnU-Net's planner, for its default target of 8 GB."""
    import numpy as np
    from dynamic_network_architectures.architectures.unet import PlainConvUNet
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

    planner: Any = object.__new__(ExperimentPlanner)
    planner.UNet_base_num_features, planner.UNet_max_features_3d, planner.UNet_featuremap_min_edge_length = 32, 320, 4
    planner.UNet_reference_val_3d, planner.UNet_reference_val_corresp_GB, planner.UNet_vram_target_GB = 560000000, 8, 8
    planner.UNet_reference_val_corresp_bs_3d, planner.UNet_min_batch_size, planner.max_dataset_covered = 2, 2, 0.05
    planner.UNet_blocks_per_stage_encoder, planner.UNet_blocks_per_stage_decoder = (2,) * 14, (2,) * 13
    planner.dataset_json = {"channel_names": {"0": "em"}, "labels": {"background": 0, "inside": 1}}
    planner.UNet_class, planner.preprocessor_name = PlainConvUNet, "DefaultPreprocessor"
    planner.determine_normalization_scheme_and_whether_mask_is_used_for_norm = lambda: (["ZScoreNormalization"], [False])
    shape = facts.volumes[0].shape
    assert shape is not None
    found = planner.get_plans_for_configuration(
        np.array(plan.voxel_size_nm), np.array(shape), "3d", float(math.prod(shape)) * 100, {}
    )
    arguments = found["architecture"]["arch_kwargs"]
    lists = {"network.strides": arguments["strides"], "network.kernels": arguments["kernel_sizes"]}
    geometry = {key: [tuple(int(n) for n in stage) for stage in value] for key, value in lists.items()}
    patch = [int(n) for n in found["patch_size"]]
    return {"patch": patch, **geometry, "network.features": _equal_width(plan, patch, geometry), "working_scale": [1, 1, 1]}


def _equal_width(plan: Plan, patch: list[int], geometry: dict[str, Any]) -> list[int]:
    """Features with which the topology costs as much per voxel as the plan's."""
    wanted = multiply_adds(plan.network, plan.patch, plan.channels) / math.prod(plan.patch)
    stages = len(geometry["network.strides"])

    def cost(width: int) -> float:
        made = plan.network.replace(
            features=_features(width, stages),
            strides=geometry["network.strides"],
            kernels=geometry["network.kernels"],
            blocks=[2] * stages,
        )
        z, y, x = patch
        return multiply_adds(made, (z, y, x), plan.channels) / math.prod(patch)

    return _features(min(range(4, 65), key=lambda width: abs(cost(width) - wanted)), stages)


def _features(width: int, stages: int) -> list[int]:
    return [width * min(2**i, 8) for i in range(stages)]


def _cube(plan: Plan, _: Fingerprint) -> dict[str, Any]:
    side = halving(math.prod(plan.patch) ** (1 / 3))
    pools = 0
    while side // 2**pools % 2 == 0 and side // 2 ** (pools + 1) >= 6:
        pools += 1
    geometry = {"network.strides": [(1, 1, 1), *[(2, 2, 2)] * pools], "network.kernels": [(3, 3, 3)] * (pools + 1)}
    patch = [side] * 3
    return {"patch": patch, **geometry, "network.features": _equal_width(plan, patch, geometry)}


def _banis(plan: Plan, facts: Fingerprint) -> dict[str, Any]:
    return {**_cube(plan, facts), "labels.erode_nm": 0, "heads.0.offsets": _offsets(BANIS)}


def _six(plan: Plan, _: Fingerprint) -> dict[str, Any]:
    z, y, x = (max(2, round(90 / s)) for s in plan.working_voxel_size_nm)
    return {"heads.0.offsets": _offsets([(1, 1, 1), (z, y, x)])}


def _effects(*names: str) -> Any:
    """The plan's effects with some more, as strong as they would be for these data."""

    def changes(plan: Plan, facts: Fingerprint) -> dict[str, Any]:
        every = every_effect(facts.sections, plan.working_voxel_size_nm, plan.patch)
        return {f"augmentation.effects.{n}": _record(getattr(every, n).model_dump()) for n in names}

    return changes


def _record(values: dict[str, Any]) -> str:
    return "{" + ",".join(f"{k}:{_grammar(list(v) if isinstance(v, tuple) else v)}" for k, v in values.items()) + "}"


def _no_effects(plan: Plan, _: Fingerprint) -> dict[str, Any]:
    effects = plan.augmentation.effects
    return {f"augmentation.effects.{n}": "null" for n in type(effects).model_fields if getattr(effects, n) is not None}


VARIANTS: dict[str, Any] = {
    "self": lambda *_: {},
    "nnunet": _nnunet,
    "banis": _banis,
    "no-erosion": lambda *_: {"labels.erode_nm": 0},
    "voxels": lambda *_: {"heads.0.offsets": _offsets(LEE_2017)},
    "lsd": lambda *_: {"auxiliary": "[{kind:lsd,sigma_nm:100,loss:mse,weight:1}]"},
    "cube": _cube,
    "three": lambda *_: {"heads.0.offsets": _offsets([(1, 1, 1)])},
    "six": _six,
    "focal": lambda *_: {"heads.0.loss": "focal"},
    "no-ema": lambda *_: {"optimizer.ema": 0},
    "no-effects": _no_effects,
    "elastic": _effects("elastic"),
    "defects": _effects("out_of_focus", "motion_blur", "stripes", "fold", "artifact", "missing_section", "dropout", "cut_noise"),
    "deep": lambda *_: {"network.deep_supervision": "true"},
}


if __name__ == "__main__":
    main()
