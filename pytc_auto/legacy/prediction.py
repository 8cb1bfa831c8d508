"""How v1 predicted: windows, padding, symmetries and blending as a plan has them."""

from __future__ import annotations

import math
from typing import Any

from pytc_auto.geometry import Zyx, zyx
from pytc_auto.legacy.config import V1Config, refuse

Raw = dict[str, Any]
BLOCK_BYTES = 1e9
MOST_WINDOWS = 8
"""On an axis of a block."""
PAD_MODES = ("reflect", "symmetric", "edge", "wrap", "constant")
NUMBERS = (None, 0, 4, 8, 16)


def for_inference(config: V1Config) -> V1Config:
    """The configuration as v1 changes it when it predicts: what INFERENCE gives is put in place of what training used."""
    changes = {
        "DATASET.IMAGE_NAME": config["INFERENCE.IMAGE_NAME"],
        "DATASET.OUTPUT_PATH": config["INFERENCE.OUTPUT_PATH"],
        "MODEL.RETURN_FEATS": config["INFERENCE.MODEL_RETURN_FEATS"],
    }
    for section, name in _GIVEN:
        if (value := config[f"INFERENCE.{name}"]) is not None:
            changes[f"{section}.{name}"] = value
    return config.replace(changes)


_GIVEN = (
    *(("DATASET", name) for name in ("INPUT_PATH", "PAD_SIZE", "IS_ABSOLUTE_PATH", "DO_CHUNK_TITLE", "DATA_SCALE")),
    *(("MODEL", name) for name in ("INPUT_SIZE", "OUTPUT_SIZE")),
)


def translate_inference(config: V1Config, activations: list[str], channels: int, where: str) -> tuple[Raw, list[tuple[str, str]]]:
    """Prediction as a plan has it, and what happens instead of the values of some keys.

    Args:
        config: As ``for_inference`` gives it.
        activations: One a head.
        channels: Of the prediction.
        where: Names the configuration in errors.

    Raises:
        PlanError: v1 fails with these settings; its own reason is told.
    """
    told = []
    patch = triple(config["MODEL.INPUT_SIZE"], "MODEL.INPUT_SIZE", where)
    flat = patch[0] == 1
    count, merge = config["INFERENCE.AUG_NUM"], config["INFERENCE.AUG_MODE"]
    if config["INFERENCE.BLENDING"] not in ("gaussian", "bump"):
        refuse(where, "AssertionError", f"INFERENCE.BLENDING {config['INFERENCE.BLENDING']} is not gaussian or bump")
    if merge not in ("mean", "max", "min"):
        refuse(where, "AssertionError", f"INFERENCE.AUG_MODE {merge} is not mean, max or min")
    if count not in NUMBERS or isinstance(count, bool):
        refuse(where, "AssertionError", "TestAugmentor.num_aug should be either 4, 8 or 16!")
    mode = config["DATASET.PAD_MODE"]
    if mode not in PAD_MODES:
        told.append(("DATASET.PAD_MODE", "volumes are continued by reflection"))
        mode = "reflect"
    stride = zyx([max(1, n) for n in triple(config["INFERENCE.STRIDE"], "INFERENCE.STRIDE", where)])
    if any(s > p for s, p in zip(stride, patch, strict=True)):
        told.append(("INFERENCE.STRIDE", f"no longer than a window, {list(patch)}; v1 left gaps between windows"))
    raw = {
        "blending": f"v1_{config['INFERENCE.BLENDING']}",
        "patch": patch,
        "stride": [min(s, p) for s, p in zip(stride, patch, strict=True)],
        "pad": _sides(config["DATASET.PAD_SIZE"], where),
        "pad_mode": mode,
        "activations": activations,
        "symmetries": min(count or 1, 8 if flat else 16),
        "merge": merge,
        "block": _block(patch, channels),
    }
    return raw, told


def planned_inference(patch: Zyx, channels: int) -> Raw:
    """Prediction of a network that is not v1's, in our way: nothing learned depends on v1's."""
    return {"blending": "gaussian", "overlap": 0.5, "symmetries": 1, "block": _block(patch, channels), "window": 1}


def triple(given: object, key: str, where: str) -> Zyx:
    """Three whole numbers."""
    whole = isinstance(given, list | tuple) and len(given) == 3 and all(isinstance(n, int) and n > 0 for n in given)
    if not whole:
        refuse(where, "ValueError", f"{key} must be three whole numbers, got {given}")
    return zyx(given)  # type: ignore[arg-type]


def _sides(given: Any, where: str) -> list[list[int]]:
    """Voxels before and after on each axis, of one number, one for each axis, or two."""
    numbers = [given] if isinstance(given, int) else list(given)
    if len(numbers) not in (1, 3, 6) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        refuse(where, "AssertionError", f"len(pad_size) in [1, ndim, 2*ndim]: DATASET.PAD_SIZE {given}")
    if len(numbers) == 6:
        return [numbers[2 * axis : 2 * axis + 2] for axis in range(3)]
    return [[n, n] for n in (numbers * 3)[:3]] if len(numbers) == 1 else [[n, n] for n in numbers]


def _block(patch: Zyx, channels: int) -> Zyx:
    """Whole windows, as many as fit the memory of a block, about as many on each axis: z first."""
    most, times = BLOCK_BYTES / (4 * (channels + 2)), [1, 1, 1]
    while max(times) < MOST_WINDOWS:
        axis = times.index(min(times))
        times[axis] += 1
        if math.prod(n * t for n, t in zip(patch, times, strict=True)) > most:
            times[axis] -= 1
            break
    return zyx([n * t for n, t in zip(patch, times, strict=True)])
