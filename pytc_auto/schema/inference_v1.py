"""Prediction as PyTorch Connectomics v1 did it; weights of v1 depend on its windows, so its ways are decisions of a plan."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat

from pytc_auto.schema.dataset import PositiveZyx
from pytc_auto.schema.document import Part

Activation = Literal["sigmoid", "tanh", "softmax", "relu", "elu", "none"]
Sides = tuple[NonNegativeInt, NonNegativeInt]


class V1Inference(Part):
    """The volume is padded, and windows lie every ``stride`` voxels, the last ones moved inward.

    What is blended has gone through the activations and is at least 0; the whole part of 255 times it is stored.
    """

    logit_scale: ClassVar[float] = 1.0

    blending: Literal["v1_gaussian", "v1_bump"]
    zoom: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(
        description="voxels that the network sees per voxel of a volume, in training, too: cubic splines, corner to corner"
    )
    patch: PositiveZyx = Field(description="of a window, in voxels; a network of v1 may be trained on smaller ones")
    stride: PositiveZyx = Field(description="between two windows, in voxels")
    pad: tuple[Sides, Sides, Sides] = Field(description="voxels before and after the volume, per axis")
    pad_mode: Literal["reflect", "symmetric", "edge", "wrap", "constant"] = Field(description="as in numpy.pad")
    activations: list[Activation] = Field(min_length=1, description="of each head; a tanh is brought to 0 … 1")
    symmetries: Literal[1, 4, 8, 16] = Field(description="flips of x and y; and exchange of the two; and flips of z")
    merge: Literal["mean", "min", "max"] = Field(description="of the symmetries' predictions; affinities keep their channels")
    block: PositiveZyx
