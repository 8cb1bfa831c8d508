"""Model folders: what is in one, and whether several can predict together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pytc_auto.errors import ModelError
from pytc_auto.geometry import ZyxFloat
from pytc_auto.pipeline.runs import SELECTION, model_of
from pytc_auto.schema.inference_v1 import V1Inference
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import ClassLabels, Plan
from pytc_auto.schema.selection import Selection

SAME_VOXEL = 0.05
"""Voxel sizes that differ by no more than this share are taken as equal."""

_LEARNED_BY = {"loss", "weight", "class_weights"}
"""Of a head: how it is learned, which does not change what its channels mean."""


@dataclass(frozen=True)
class Model:
    """A model folder, or some members of it."""

    folder: Path
    plan: Plan
    decoder: DecoderChoice
    weights: tuple[Path, ...]

    @classmethod
    def open(cls, folder: str | Path, members: Sequence[int] | None = None) -> Model:
        """Check what is there; weights are loaded later.

        Args:
            folder: That ``pytc train`` exported, or the run that it is in.
            members: Folds whose networks are used; all by default.

        Raises:
            ModelError: A file of the model is missing, or it has no such member.
        """
        folder = model_of(folder)
        weights = {path.stem.removeprefix("fold_"): path for path in sorted(folder.glob("fold_*.safetensors"))}
        missing = [n for n in ("plan.yaml", "decoder.json") if not (folder / n).is_file()]
        missing += [] if weights else ["fold_0.safetensors"]
        if missing:
            raise ModelError(f"{folder}: is not a model folder, it lacks {', '.join(missing)}. Give a trained run or its model.")
        wanted = list(weights) if members is None else [str(number) for number in dict.fromkeys(members)]
        unknown = [name for name in wanted if name not in weights]
        if unknown:
            raise ModelError(f"{folder}: has no member {', '.join(unknown)}. Its members are {', '.join(weights)}.")
        chosen = tuple(path for name, path in weights.items() if name in wanted)
        return cls(folder, Plan.load(folder / "plan.yaml"), DecoderChoice.load(folder / "decoder.json"), chosen)

    @cached_property
    def hash(self) -> str:
        """Of plan, decoder and the members' weights."""
        digest = hashlib.sha256(self.decoder.text(".json").encode())
        for path in (self.folder / "plan.yaml", *self.weights):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def networks(self) -> list[Any]:
        """One network per member, weights loaded strictly."""
        from pytc_auto.models.build import build_network
        from pytc_auto.models.weights import load_weights

        found = []
        for path in self.weights:
            network = build_network(self.plan)
            load_weights(network, path)
            found.append(network.eval())
        return found


def open_models(folders: Sequence[str | Path], members: Sequence[int] | None = None) -> tuple[Model, ...]:
    """Models that predict the same channels on the same grid, so that their logits can be averaged.

    Args:
        folders: One at least; one that ``pytc select`` wrote stands for all models in it, with the decoder that was tuned for
            them together. The first one's decoder and blocks are used.
        members: Folds used of each model; all by default.

    Raises:
        ModelError: A folder is incomplete; one is given twice; two do not agree, all differences are listed.
    """
    models = tuple(model for folder in folders for model in _opened(Path(folder), members))
    if not models:
        raise ModelError("no model to predict with. Give a trained run or its model.")
    resolved = [model.folder.resolve() for model in models]
    twice = sorted({str(folder) for folder in resolved if resolved.count(folder) > 1})
    if twice:
        raise ModelError(f"{', '.join(twice)}: is given more than once. Give each model once.")
    faults = [fault for model in models[1:] for fault in differences(models[0], model)]
    if faults:
        raise ModelError("\n".join(["These models cannot predict together:", *faults, "Predict with each of them alone."]))
    return models


def same_size(one: ZyxFloat, other: ZyxFloat) -> bool:
    """Whether two voxel sizes are equal within 5 %."""
    return all(abs(a - b) <= SAME_VOXEL * b for a, b in zip(one, other, strict=True))


def _opened(folder: Path, members: Sequence[int] | None) -> list[Model]:
    """A model, or those that a selection names, each with the selection's decoder."""
    if not (folder / SELECTION).is_file():
        return [Model.open(folder, members)]
    selection = Selection.load(folder / SELECTION)
    return [replace(Model.open(folder / one.folder, members), decoder=selection.decoder) for one in selection.members]


def differences(first: Model, other: Model) -> list[str]:
    """What another model's channels or grid have in another way, so that the two cannot predict together."""
    one, two = _meaning(first.plan), _meaning(other.plan)
    if same_size(two["voxel_size_nm"], one["voxel_size_nm"]):
        two["voxel_size_nm"] = one["voxel_size_nm"]
    return [f"{key}: {first.folder} has {one[key]}, {other.folder} has {two[key]}." for key in one if one[key] != two[key]]


def _scale(plan: Plan) -> str:
    """What a plan's predictions are, of which the mean is taken."""
    inference = plan.inference
    return f"v1's {', '.join(inference.activations)}" if isinstance(inference, V1Inference) else "logits"


def _meaning(plan: Plan) -> dict[str, Any]:
    """The grid of a plan's predictions, and what their channels and the decoded values are."""
    values = list(plan.labels.values) if isinstance(plan.labels, ClassLabels) else None
    return {
        "voxel_size_nm": plan.voxel_size_nm,
        "working_scale": plan.working_scale,
        "inference.zoom": plan.zoom,
        "inference": _scale(plan),
        "intensity.range": plan.intensity.range,
        "heads": [head.model_dump(exclude=_LEARNED_BY) for head in plan.heads],
        "labels": plan.labels.kind if values is None else f"classes of values {values}",
    }
