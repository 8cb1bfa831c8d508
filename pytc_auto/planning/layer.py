"""One layer of a network: what it computes, and what training keeps of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytc_auto.geometry import Zyx
from pytc_auto.schema.network import Network


@dataclass(frozen=True)
class Layer:
    """One convolution with its normalization and activation.

    Attributes:
        weights: Of the kernel, biases left out; also its multiply-adds per voxel.
        outputs: Features.
        voxels: At which it is evaluated, for one sample.
        saved: Values that are kept for the backward pass.
        block: Number of the block that it belongs to; what lies outside of blocks has none.
        inputs: Values that come into the block, at its first layer; they are what checkpointing keeps.
        full: Values that are kept in float32 whatever the precision; in a lower one a copy is kept beside them.
        products: Multiply-adds per voxel that are not by weights.
    """

    weights: int
    outputs: int
    voxels: float
    saved: float
    block: int | None = None
    inputs: float = 0.0
    full: float = 0.0
    products: float = 0.0


def stage_voxels(network: Network, patch: Zyx) -> list[float]:
    """Of each stage's feature maps."""
    return [math.prod(patch) / math.prod(network.coarseness(stage)) for stage in range(len(network.strides))]
