"""plan.yaml: every decision, each with the rule and the numbers that made it. No field has a default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from pytc_auto.geometry import Symmetry, Zyx, cutting_axis, symmetry_group, zyx
from pytc_auto.schema.agreement import disagreements
from pytc_auto.schema.augmentation import Augmentation, Probability
from pytc_auto.schema.dataset import PositiveZyx, Task, VoxelSize
from pytc_auto.schema.document import Document, Part
from pytc_auto.schema.heads import Head, ShapeHead
from pytc_auto.schema.inference_v1 import V1Inference
from pytc_auto.schema.network_v1 import AnyNetwork

Precision = Literal["bf16", "fp16", "fp32"]
Numbers = dict[str, float | int | str | bool | list[float] | list[int] | list[str] | None]


BY_HAND = "by hand"
"""The rule of what a person has decided."""

UNDECIDED = ("format_version", "name", "machine", "voxel_size_nm", "auxiliary", "why")
"""Fields of a plan that need no reason: they are given, or may be left out."""
UNKNOWN_VOXEL_SIZE = "v1.unknown_voxel_size"
NO_ZOOM = (1.0, 1.0, 1.0)
"""The rule behind a voxel size that stands in for one that nobody told."""


class Machine(Part):
    """What the plan is made for. An input of the planner."""

    memory_gb: PositiveFloat
    device: Literal["cpu", "cuda"]
    seconds: PositiveFloat | None = Field(description="wall clock for one fold, everything included; null: unlimited")
    seconds_per_step: PositiveFloat = Field(description="time of one training step of the reference network (planning/cost.py)")
    precision: Precision = Field(description="the fastest sound precision on this machine")
    source: Literal["preset", "measured"]
    memory_scale: PositiveFloat | None = Field(None, description="a probed step's memory over its estimate; null: not probed")


class InstanceLabels(Part):
    """Each id is an object."""

    kind: Literal["instances"]
    background: list[int]
    unlabeled: list[int]
    erode_nm: NonNegativeFloat


class ClassLabels(Part):
    """Each value is a class. Class i of the network is the i-th value; outputs use the values."""

    kind: Literal["classes"]
    values: dict[int, str] = Field(min_length=2, max_length=255)
    unlabeled: list[int]


Labels = Annotated[InstanceLabels | ClassLabels, Field(discriminator="kind")]


class Intensity(Part):
    """One clip and scale for the whole data set, in training and prediction alike."""

    clip: tuple[float, float]
    scale: tuple[float, PositiveFloat] = Field(description="subtract, divide")
    range: Literal["stored", "volume"] = Field(
        "stored",
        description="volume: values that are no bytes are first spread over 0 … 255, by each volume's least and greatest",
    )

    @model_serializer(mode="wrap")
    def _stored_is_not_told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if (name, value) != ("range", "stored")}

    @model_validator(mode="after")
    def _clip_has_width(self) -> Self:
        low, high = self.clip
        if low >= high:
            raise ValueError(f"clip must go from low to high, got {[low, high]}. Exchange the two, or widen it")
        return self


class Sampling(Part):
    """What one optimizer step sees, and how many there are."""

    batch: PositiveInt
    accumulate: PositiveInt
    steps: PositiveInt
    validate_every: PositiveInt = Field(description="steps between two validations")
    refit_steps: NonNegativeInt = Field(description="steps on all labelled data once the fold has chosen the decoder; 0: none")
    foreground_share: Probability = Field(description="share of crops drawn around a rare or foreground voxel")
    seed: NonNegativeInt
    patience: PositiveInt | None = Field(None, description="validations without gain after which a fold ends; null: none")


class Optimizer(Part):
    """AdamW with a learning rate that follows a cosine over the steps; weights averaged exponentially (EMA) or equally (SWA)."""

    kind: Literal["adamw"]
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    schedule: Literal["cosine"]
    warmup_steps: NonNegativeInt
    clip_norm: PositiveFloat
    ema: Annotated[float, Field(ge=0, lt=1, description="what the average keeps at each step; 0: no such average")]
    swa_start: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="share of the steps after which all weights count the same in an average; null: no such average"
    )
    weighting: Literal["fixed", "uncertainty"] = Field(
        "fixed", description="of the heads' losses: by their weights alone, or also by what is learned of their noise"
    )

    @model_validator(mode="after")
    def _one_average(self) -> Self:
        if self.ema > 0 and self.swa_start is not None:
            told = f"ema {self.ema:g} and swa_start {self.swa_start:g} are two averages"
            raise ValueError(f"{told}. Set ema to 0, or swa_start to null")
        return self


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    """What is left to its default is not told."""
    return {name: value for name, value in fields.items() if value is not None}


class SlabFolds(Part):
    """A volume is divided along an axis: ``count`` slabs, one held out per fold."""

    kind: Literal["slab"]
    axis: Literal["z", "y", "x"]
    count: PositiveInt = Field(description="folds; 1: one 75/25 division")
    train: Annotated[float, Field(gt=0, lt=1)] = Field(description="share of the axis before the guard is taken")
    guard: NonNegativeInt = Field(description="voxels between training and validation")
    members: PositiveInt = Field(1, description="folds worth training, as an ensemble")
    volume: NonNegativeInt | None = Field(
        None,
        description="number of the labelled volume that is divided, the others are learned from whole; null: all are divided",
    )
    scored: PositiveZyx | None = Field(
        None, description="extent of the box of each held-out part that is predicted and scored; null: all of it"
    )

    @model_serializer(mode="wrap")
    def _all_are_not_told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_nulls(handler(self))


class VolumeFolds(Part):
    """Whole volumes are held out, each in one fold."""

    kind: Literal["volumes"]
    count: Annotated[int, Field(ge=2)]
    members: PositiveInt = Field(1, description="folds worth training, as an ensemble")
    held_out_in: list[NonNegativeInt] | None = Field(
        None, description="the fold that holds out each labelled volume; null: volume i in fold i modulo count"
    )
    scored: PositiveZyx | None = Field(
        None, description="extent of the box of each held-out part that is predicted and scored; null: all of it"
    )

    @model_serializer(mode="wrap")
    def _in_turn_is_not_told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_nulls(handler(self))

    @model_validator(mode="after")
    def _each_fold_holds_out_something(self) -> Self:
        given = self.held_out_in
        if given is not None and set(given) != set(range(self.count)):
            raise ValueError(
                f"held_out_in is {given}, but folds are 0 to {self.count - 1}, each with a volume. Name each of them"
            )
        return self

    def fold_of(self, volume: int) -> int:
        """The fold that holds a volume out."""
        return volume % self.count if self.held_out_in is None else self.held_out_in[volume]


Folds = Annotated[SlabFolds | VolumeFolds, Field(discriminator="kind")]


class Inference(Part):
    """How a volume is predicted."""

    logit_scale: ClassVar[float] = 0.2
    """Sigmoid heads store 255 sigmoid(0.2 logit), so that thresholds stay tunable where the network is sure."""

    overlap: Annotated[float, Field(ge=0, le=0.75)]
    blending: Literal["gaussian"]
    symmetries: PositiveInt = Field(description="predictions averaged per patch")
    block: PositiveZyx
    window: PositiveInt = Field(1, description="extent predicted at once, in patches on each axis longer than one voxel")


class Decoder(Part):
    """Prediction to segmentation. Each kind's parameters are chosen from the grid on validation data by the metric."""

    kinds: list[Literal["agglomerate", "mutex", "seeded", "argmax", "polarity", "components"]] = Field(min_length=1)
    grid: dict[str, list[float]]
    metric: Literal["voi", "dice", "ap", "nerl"]


class Memory(Part):
    """Of one training step."""

    bytes: PositiveInt
    source: Literal["estimate", "probe"]


class Why(Part):
    """The rule that made a decision, with its numbers."""

    rule: str
    numbers: Numbers


class Plan(Document):
    """All decisions. Written by the planner; a person may edit it."""

    format_version: Literal[1]
    name: str
    task: Task
    machine: Machine
    voxel_size_nm: VoxelSize
    working_scale: PositiveZyx
    labels: Labels
    intensity: Intensity
    patch: PositiveZyx
    network: AnyNetwork
    precision: Precision
    heads: list[Head] = Field(min_length=1)
    auxiliary: list[ShapeHead] = Field([], description="learned beside the heads, never predicted")
    sampling: Sampling
    augmentation: Augmentation
    optimizer: Optimizer
    folds: Folds
    inference: Annotated[Inference | V1Inference, Field(discriminator="blending")]
    decoder: Decoder
    memory: Memory
    why: dict[str, Why]

    @property
    def working_voxel_size_nm(self) -> tuple[float, float, float]:
        """Voxel size of the grid the network sees."""
        each = zip(self.voxel_size_nm, self.working_scale, self.zoom, strict=True)
        z, y, x = (size * scale / zoom for size, scale, zoom in each)
        return z, y, x

    @property
    def zoom(self) -> tuple[float, float, float]:
        """Voxels that a network of v1 sees per voxel of a volume; 1 with all others, which see no more than there is."""
        return self.inference.zoom if isinstance(self.inference, V1Inference) else NO_ZOOM

    @property
    def voxel_size_known(self) -> bool:
        """Whether the voxel size is the data's; otherwise it stands in, and volumes of any are predicted."""
        reason = self.why.get("voxel_size_nm")
        return reason is None or reason.rule != UNKNOWN_VOXEL_SIZE

    @property
    def cutting_axis(self) -> int:
        """Index of the coarsest axis, z on ties."""
        return cutting_axis(self.working_voxel_size_nm)

    @property
    def channels(self) -> int:
        """Channels of a prediction: all heads, in order."""
        return sum(head.channels for head in self.heads)

    @property
    def learned(self) -> list[Head | ShapeHead]:
        """The heads and what is learned beside them, in the order of the network's output."""
        return [*self.heads, *self.auxiliary]

    @property
    def outputs(self) -> int:
        """Output channels of the network; a prediction is the first of them."""
        return sum(head.channels for head in self.learned)

    @property
    def offsets(self) -> list[Zyx]:
        """Offsets of the affinity head; empty without one."""
        return [zyx(o) for head in self.heads if head.kind == "affinities" for o in head.offsets]

    @property
    def symmetry_group(self) -> tuple[Symmetry, ...]:
        """All symmetries that the plan's geometry allows, the identity first."""
        group = symmetry_group(
            self.working_voxel_size_nm,
            self.patch,
            per_axis=[*self.network.strides, *self.network.kernels],
            offsets=self.offsets,
        )
        in_plane = any(head.kind == "flow" and head.axes == "yx" for head in self.heads)
        return tuple(s for s in group if s.axes[0] == 0) if in_plane else group

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        faults = disagreements(
            {name: getattr(self, name) for name in type(self).model_fields}, type(self).model_fields, UNDECIDED
        )
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @classmethod
    def faults_between(cls, valid: Mapping[str, Any]) -> list[str]:
        """What does not go together among the fields that are valid in themselves."""
        return disagreements(valid, cls.model_fields, UNDECIDED)
