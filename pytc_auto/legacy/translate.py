"""A v1 configuration as a plan, and what of it has no counterpart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytc_auto.errors import PlanError
from pytc_auto.geometry import Zyx, ZyxFloat, symmetry_group, zyx
from pytc_auto.legacy.augmentation import translate_augmentation
from pytc_auto.legacy.config import V1Config, defaults, refuse
from pytc_auto.legacy.decoder import translate_decoder
from pytc_auto.legacy.heads import Learned, translate_heads
from pytc_auto.legacy.keys import FIELDS, GONE, fields_of
from pytc_auto.legacy.network import carried_over, translate_network
from pytc_auto.legacy.prediction import for_inference, planned_inference, translate_inference, triple
from pytc_auto.legacy.training import translate_optimizer, translate_sampling
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.network import Network
from pytc_auto.schema.plan import NO_ZOOM, UNKNOWN_VOXEL_SIZE, Machine, Plan

Raw = dict[str, Any]
RULE = "v1"
STAND_IN: Mapping[bool, ZyxFloat] = {True: (8.0, 8.0, 8.0), False: (30.0, 8.0, 8.0)}
"""Voxel size in nm where nobody tells it, for isotropic windows and for others."""
WIDE = 1e9
"""Gray values beyond it are none."""
WHOLE = 0.01
"""A factor this near a whole number is one."""
MAY_BE_NULL = ("MODEL.ATTENTION", "INFERENCE.AUG_NUM")
Memory = Callable[[Plan], int]
"""Bytes of a training step."""


@dataclass(frozen=True)
class Row:
    """What happens instead of a key's value."""

    key: str
    value: str
    instead: str


@dataclass(frozen=True)
class Given:
    """What a configuration does not tell.

    Attributes:
        name: Of the plan.
        machine: What the plan is made for.
        memory: Of a training step.
        voxel_size_nm: (z, y, x) of the volumes; None where it is not known.
        folds: How the volumes are divided, as a plan has it.
    """

    name: str
    machine: Machine
    memory: Memory
    voxel_size_nm: ZyxFloat | None
    folds: Raw


@dataclass(frozen=True)
class Translation:
    """A configuration as plans.

    Attributes:
        plan: To train.
        model_plan: To predict with v1's weights; on another grid where v1 predicted on another than it trained on.
        decoder: Of the model folder.
        rows: What has no counterpart, or another one.
    """

    plan: Plan
    model_plan: Plan
    decoder: DecoderChoice
    rows: list[Row]


def translate(config: V1Config, given: Given, where: str) -> Translation:
    """Every value of a configuration that is not v1's default is in the plan or in the rows.

    Args:
        config: As it was loaded.
        given: What it does not tell.
        where: Names it in errors.

    Raises:
        PlanError: v1 itself fails with it, in its own words; or images of several channels are asked for.
    """
    refuse_nulls(config, where)
    made = _Made(config, given, where)
    try:
        raw = made.raw()
    except (TypeError, ValueError, IndexError) as error:
        raise PlanError(f"{where}: a value is not of the kind that v1 takes ({error}). Compare it with v1's default.") from error
    plan = Plan.parse(raw, where)
    plan = plan.replace(memory={"bytes": max(1, given.memory(plan)), "source": "estimate"})
    choice = DecoderChoice.parse(made.choice, where)
    return Translation(plan, made.model_plan(plan), choice, _rows(config, made.told))


def refuse_nulls(config: V1Config, where: str) -> None:
    """See that no value is null that v1 has need of; YACS lets null stand for anything.

    Raises:
        PlanError: Some are; all are named.
    """
    used = dict.fromkeys(key for keys in FIELDS.values() for key in keys)
    nulls = [key for key in used if config[key] is None and defaults()[key] is not None and key not in MAY_BE_NULL]
    if nulls:
        refuse(where, "TypeError", f"{', '.join(nulls)} must not be None")


class _Made:
    """The parts of a plan as they are made, and what is told meanwhile."""

    def __init__(self, config: V1Config, given: Given, where: str) -> None:
        self.config = config
        self.given = given
        self.where = where
        self.told: list[tuple[str, str]] = []
        self.choice: Raw = {}
        self.model_scale: Zyx = (1, 1, 1)
        self.model_zoom: ZyxFloat = NO_ZOOM

    def raw(self) -> Raw:
        """All fields but the memory."""
        config, where = self.config, self.where
        patch = triple(config["MODEL.INPUT_SIZE"], "MODEL.INPUT_SIZE", where)
        scale, zoom = self._scales()
        known, size = self._voxel_size(patch)
        z, y, x = (s * f / n for s, f, n in zip(size, scale, zoom, strict=True))
        working = (z, y, x)
        learned = translate_heads(config, working, where)
        self.told += learned.told
        network = self._noted(translate_network(config, patch, where))
        patch = self._fitted(patch, network)
        inference = self._inference(learned, patch, zoom)
        sampling = self._noted(translate_sampling(config, divided=self.given.folds["kind"] == "slab"))
        decoder, self.choice = translate_decoder(learned.heads)
        return {
            "format_version": 1,
            "name": self.given.name,
            "task": learned.task,
            "machine": self.given.machine,
            "voxel_size_nm": size,
            "working_scale": scale,
            "labels": learned.labels,
            "intensity": self._intensity(),
            "patch": patch,
            "network": network,
            "precision": "fp32",
            "heads": learned.heads,
            "auxiliary": [],
            "sampling": sampling,
            "augmentation": self._augmentation(working, patch, network, learned.heads),
            "optimizer": self._noted(translate_optimizer(config)),
            "folds": self.given.folds,
            "inference": inference,
            "decoder": decoder,
            "memory": {"bytes": 1, "source": "estimate"},
            "why": _why(known=known),
        }

    def model_plan(self, plan: Plan) -> Plan:
        """The plan on the grid of the prediction."""
        if carried_over(self.config):
            return plan.replace(inference=plan.inference.replace(zoom=self.model_zoom))
        return plan.replace(working_scale=self.model_scale)

    def _fitted(self, patch: Zyx, network: Raw) -> Zyx:
        """What v1 trained on; of another network than v1's the largest patch within it that it takes."""
        if carried_over(self.config):
            return patch
        fitted = Network.model_validate(network).fitted(patch)
        if fitted != patch:
            self.told.append(("MODEL.INPUT_SIZE", f"the patch is {list(fitted)}, which the network divides"))
        return fitted

    def _inference(self, learned: Learned, patch: Zyx, zoom: ZyxFloat) -> Raw:
        """v1's way for v1's networks, ours for others."""
        channels = sum(_channels(head) for head in learned.heads)
        made = self._noted(translate_inference(for_inference(self.config), learned.activations, channels, self.where))
        if carried_over(self.config):
            return {**made, "zoom": zoom}
        unused = [key for key in FIELDS["inference"] if self.config.is_changed(key)]
        self.told += [(key, "another network is planned, which is predicted in our way") for key in unused]
        return planned_inference(patch, channels)

    def _noted(self, part: tuple[Raw, list[tuple[str, str]]]) -> Raw:
        self.told += part[1]
        return part[0]

    def _scales(self) -> tuple[Zyx, ZyxFloat]:
        """The grid of the training; that of the prediction is kept for the model folder.

        Networks of v1 see volumes zoomed as v1 zoomed them, all others averages of whole voxels.
        """
        config, given = self.config, self.config["DATASET.IMAGE_SCALE"]
        trained = self._factors(given or config["DATASET.DATA_SCALE"], "DATASET.DATA_SCALE")
        predicted = self._factors(given or for_inference(config)["DATASET.DATA_SCALE"], "INFERENCE.DATA_SCALE")
        if predicted != trained:
            told = f"the model folder sees volumes zoomed by {list(predicted)}"
            self.told.append(("INFERENCE.DATA_SCALE", f"{told}, the plan for training by {list(trained)}"))
        elif given and config["INFERENCE.DATA_SCALE"]:
            self.told.append(("INFERENCE.DATA_SCALE", "had no effect beside DATASET.IMAGE_SCALE"))
        if carried_over(config):
            self.model_zoom = predicted
            return (1, 1, 1), trained
        scale = self._scale(trained, "DATASET.DATA_SCALE")
        self.model_scale = scale if predicted == trained else self._scale(predicted, "INFERENCE.DATA_SCALE")
        return scale, NO_ZOOM

    def _factors(self, given: Any, key: str) -> ZyxFloat:
        """Voxels that v1's network saw per voxel of a volume."""
        numbers = given if isinstance(given, list | tuple) and len(given) == 3 else None
        if numbers is None or not all(isinstance(n, int | float) and 0 < n < math.inf for n in numbers):
            refuse(self.where, "RuntimeError", f"{key} must be three factors, got {given}")
        z, y, x = (float(n) for n in numbers)
        return z, y, x

    def _scale(self, numbers: ZyxFloat, key: str) -> Zyx:
        """Voxels of a volume per voxel that the network sees, as far as these are whole numbers."""
        scale = zyx([max(1, round(1 / n)) for n in numbers])
        if all(abs(n * s - 1) <= WHOLE for n, s in zip(numbers, scale, strict=True)):
            if scale != (1, 1, 1):
                self.told.append((key, "voxels are averaged; v1 took the value between two of them"))
            return scale
        told = f"volumes are not resampled by {list(numbers)}: resample them beforehand, and give that voxel size"
        self.told.append((key, told))
        return (1, 1, 1)

    def _voxel_size(self, patch: Zyx) -> tuple[bool, ZyxFloat]:
        """Whether it is known, and the size or what stands in for it."""
        if self.given.voxel_size_nm is not None:
            return True, self.given.voxel_size_nm
        return False, STAND_IN[bool(self.config["DATASET.IS_ISOTROPIC"]) or len(set(patch)) == 1]

    def _intensity(self) -> Raw:
        """A byte x becomes (x / 255 - MEAN) / STD; other values become bytes first, volume by volume."""
        mean, std = self.config["DATASET.MEAN"], self.config["DATASET.STD"]
        mean, std = {"sigmoid": (0.0, 1.0), "tanh": (0.5, 0.5)}.get(self.config["DATASET.MATCH_ACT"], (mean, std))
        if self.config["DATASET.NORMALIZE_RANGE"]:
            return {"clip": [0.0, 255.0], "scale": [255.0 * mean, 255.0 * std], "range": "volume"}
        return {"clip": [-WIDE, WIDE], "scale": [255.0 * mean, 255.0 * std]}

    def _augmentation(self, size: ZyxFloat, patch: Zyx, network: Raw, heads: list[Raw]) -> Raw:
        """Effects, and all symmetries that there are or none."""
        varied = translate_augmentation(self.config, size, patch)
        self.told += varied.told
        offsets = [zyx(o) for head in heads if head["kind"] == "affinities" for o in head["offsets"]]
        layers = [zyx(step) for step in (*network["strides"], *network["kernels"])]
        group = symmetry_group(size, patch, per_axis=layers, offsets=offsets)
        if any(head["kind"] == "flow" for head in heads):
            group = tuple(symmetry for symmetry in group if symmetry.axes[0] == 0)
        return {"symmetries": len(group) if varied.symmetric else 1, "effects": varied.effects}


def _channels(head: Raw) -> int:
    """Output channels of a head."""
    if head["kind"] == "v1":
        return int(head["channels"])
    counts = {"affinities": len(head.get("offsets", ())), "classes": len(head.get("class_weights", ())), "polarity": 3, "flow": 2}
    return counts.get(head["kind"], 1)


def _why(*, known: bool) -> dict[str, Raw]:
    """The keys behind each field."""
    why = {name: {"rule": RULE, "numbers": {"keys": list(keys)}} for name, keys in FIELDS.items() if name in Plan.model_fields}
    without_keys = ("precision", "memory", *(() if known else ("voxel_size_nm",)))
    rules = {"voxel_size_nm": UNKNOWN_VOXEL_SIZE}
    why |= {name: {"rule": rules.get(name, RULE), "numbers": {}} for name in without_keys}
    return {name: why[name] for name in Plan.model_fields if name in why}


def _rows(config: V1Config, told: list[tuple[str, str]]) -> list[Row]:
    """What was told, and of each other key that is not the default and decides nothing, what happens instead."""
    noted = {key for key, _ in told}
    silent = [(key, GONE[key]) for key in config.changed if key not in noted and not fields_of(key)]
    texts: dict[str, list[str]] = {key: [] for key in config.values}
    for key, text in [*told, *silent]:
        texts[key] += [] if text in texts[key] else [text]
    return [Row(key, str(config[key]), "; ".join(found)) for key, found in texts.items() if found]
