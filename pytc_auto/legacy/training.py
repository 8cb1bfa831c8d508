"""How v1 trained: steps, batches and optimizer as a plan has them."""

from __future__ import annotations

from typing import Any

from pytc_auto.legacy.config import V1Config

Raw = dict[str, Any]
ADAMS = ("Adam", "AdamW")
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-2
"""Of AdamW, in place of those that v1 had for SGD."""
REJECTING = tuple(f"DATASET.REJECT_SAMPLING.{name}" for name in ("SIZE_THRES", "DIVERSITY", "P"))
REFIT = 2
"""A single volume is divided for validation; afterwards one step for so many learns from all of it."""


def translate_sampling(config: V1Config, *, divided: bool) -> tuple[Raw, list[tuple[str, str]]]:
    """Steps and batches; divided: a single volume has a part held out, which v1 learned from, too."""
    told = []
    steps = max(1, config["SOLVER.ITERATION_TOTAL"])
    rejecting = config["DATASET.REJECT_SAMPLING.SIZE_THRES"] > 0 or config["DATASET.REJECT_SAMPLING.DIVERSITY"] > 0
    if rejecting:
        text = "that share of the crops is drawn around a foreground voxel; v1 drew crops anew that held too little"
        told += [(key, text) for key in REJECTING if config.is_changed(key)]
    elif config.is_changed("DATASET.REJECT_SAMPLING.P"):
        told.append(("DATASET.REJECT_SAMPLING.P", "had no effect without SIZE_THRES or DIVERSITY"))
    raw = {
        "batch": max(1, config["SOLVER.SAMPLES_PER_BATCH"]),
        "accumulate": max(1, config["SOLVER.ITERATION_STEP"]),
        "steps": steps,
        "validate_every": min(steps, max(1, config["SOLVER.ITERATION_VAL"])),
        "refit_steps": steps // REFIT if divided else 0,
        "foreground_share": min(1.0, max(0.0, config["DATASET.REJECT_SAMPLING.P"])) if rejecting else 0.0,
        "seed": 0,
    }
    return raw, told


def translate_optimizer(config: V1Config) -> tuple[Raw, list[tuple[str, str]]]:
    """AdamW in place of SGD; its rate warms up as long as v1's, and falls as a cosine."""
    told = []
    adam = config["SOLVER.NAME"] in ADAMS
    if config["SOLVER.NAME"] != "AdamW":
        told.append(("SOLVER.NAME", "AdamW"))
    if not adam:
        told.append(("SOLVER.BASE_LR", f"{LEARNING_RATE:g}, of AdamW"))
        told.append(("SOLVER.WEIGHT_DECAY", f"{WEIGHT_DECAY:g}, of AdamW"))
    if config["SOLVER.LR_SCHEDULER_NAME"] != "WarmupCosineLR":
        told.append(("SOLVER.LR_SCHEDULER_NAME", "the learning rate follows a cosine"))
    warm = str(config["SOLVER.LR_SCHEDULER_NAME"]).startswith("Warmup")
    if not warm and config.is_changed("SOLVER.WARMUP_ITERS"):
        told.append(("SOLVER.WARMUP_ITERS", "had no effect with this scheduler"))
    steps = max(1, config["SOLVER.ITERATION_TOTAL"])
    return {
        "kind": "adamw",
        "learning_rate": max(1e-8, config["SOLVER.BASE_LR"]) if adam else LEARNING_RATE,
        "weight_decay": max(0.0, config["SOLVER.WEIGHT_DECAY"]) if adam else WEIGHT_DECAY,
        "schedule": "cosine",
        "warmup_steps": min(max(0, config["SOLVER.WARMUP_ITERS"]), steps // 2) if warm else 0,
        "clip_norm": _clip(config, told),
        "ema": 0.0,
        "swa_start": _swa_start(config, steps, told),
    }, told


def _clip(config: V1Config, told: list[tuple[str, str]]) -> float:
    if not config["SOLVER.CLIP_GRADIENTS.ENABLED"]:
        unused = [f"SOLVER.CLIP_GRADIENTS.{name}" for name in ("CLIP_TYPE", "CLIP_VALUE")]
        told += [(key, "the gradient's norm is clipped at 1") for key in unused if config.is_changed(key)]
        return 1.0
    if config["SOLVER.CLIP_GRADIENTS.CLIP_TYPE"] != "norm":
        told.append(("SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "the norm of the whole gradient is clipped, not each value"))
    return max(1e-6, config["SOLVER.CLIP_GRADIENTS.CLIP_VALUE"])


def _swa_start(config: V1Config, steps: int, told: list[tuple[str, str]]) -> float | None:
    start = max(0, config["SOLVER.SWA.START_ITER"]) / steps
    if config["SOLVER.SWA.ENABLED"] and start < 1:
        return round(start, 4)
    if config["SOLVER.SWA.ENABLED"]:
        told.append(("SOLVER.SWA.ENABLED", "no average of weights: it would begin after the last step"))
    if config.is_changed("SOLVER.SWA.START_ITER"):
        told.append(("SOLVER.SWA.START_ITER", "no average of weights is taken"))
    return None
