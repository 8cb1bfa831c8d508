"""Memory of training and of prediction, by arithmetic."""

from __future__ import annotations

import itertools
import math

from pytc_auto.geometry import Zyx
from pytc_auto.planning.layers import layers
from pytc_auto.schema.network import Network
from pytc_auto.schema.plan import Precision

BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}
LOSS_BYTES = 20
"""Per logit: in the network's precision and in float32, their gradients, target and mask."""
ALIVE_GRADIENTS = 3
"""Of the finest stage's feature maps in the backward pass: from above, from the skip connection, to below."""
STATE_BYTES = 20
"""Per parameter: float32 weight, gradient, two moments of AdamW, EMA."""
WORKSPACE_BYTES = 3e8
"""Of convolution algorithms and the allocator."""
ALIVE_OUTPUTS = 6.0
"""At the finest stage: skip connection, what comes from below, the two joined, an output before and after its norm.

In a mednext it is what comes in, its norm, and the expanded values before and after their activation."""

ALIVE_ATTENTION = 3
"""Copies in float32 of the largest attention: weighed, with its bias, and as shares."""


def saved_bytes(network: Network, patch: Zyx, channels: int, *, precision: Precision = "bf16") -> int:
    """What a forward pass over one patch keeps for the backward pass, the network's own float32 weights not counted.

    Autocast keeps a 16-bit copy of each weight. With checkpointing it is the input of each block and what lies outside of blocks.
    """
    made = list(layers(network, patch, channels))
    if network.checkpointing:
        values = sum(layer.inputs if layer.block is not None else layer.saved for layer in made)
        copies = sum(layer.weights for layer in made if layer.block is None)
    else:
        values, copies = sum(layer.saved for layer in made), sum(layer.weights for layer in made)
    size, low = BYTES[precision], precision != "fp32"
    image = math.prod(patch) if network.kind != "mednext" else 0
    full = sum(layer.full for layer in made) * (4 + size * low)
    return int(size * (values + image) + full + size * copies * low)


def recomputed_bytes(network: Network, patch: Zyx, channels: int, *, precision: Precision = "bf16") -> int:
    """The largest block, which checkpointing computes again in the backward pass; 0 without checkpointing."""
    if not network.checkpointing:
        return 0
    inner = [layer for layer in layers(network, patch, channels) if layer.block is not None]
    blocks = itertools.groupby(inner, key=lambda layer: layer.block)
    return int(BYTES[precision] * max(sum(layer.saved for layer in block) for _, block in blocks))


def parameters(network: Network, channels: int) -> int:
    """Weights of the convolutions."""
    return sum(layer.weights for layer in layers(network, network.divisor, channels))


def memory_bytes(network: Network, patch: Zyx, channels: int, batch: int, *, precision: Precision = "bf16") -> int:
    """Estimate for one training step: values saved for the backward pass, loss and gradients, optimizer state, workspace."""
    voxels = math.prod(patch)
    saved = saved_bytes(network, patch, channels, precision=precision)
    again = recomputed_bytes(network, patch, channels, precision=precision)
    logits = voxels + sum(voxels / math.prod(network.coarseness(stage)) for stage in network.supervised(patch))
    passing = logits * channels * LOSS_BYTES + voxels * ALIVE_GRADIENTS * network.features[0] * BYTES[precision]
    weighed = _attention_bytes(network, patch, channels)
    return int(batch * (saved + again + passing + weighed) + parameters(network, channels) * STATE_BYTES + WORKSPACE_BYTES)


def forward_bytes(network: Network, patch: Zyx, channels: int) -> int:
    """Estimate for a forward pass alone: what is alive at the finest stage, and the logits, of which there is a sum, too."""
    voxels = math.prod(patch)
    outputs = 2 + 2 * network.expansion[0] if network.expansion else ALIVE_OUTPUTS
    alive = max(voxels * network.features[0] * outputs * BYTES["bf16"], _attention_bytes(network, patch, channels))
    return int(alive + voxels * 2 * 4 * channels + WORKSPACE_BYTES)


def _attention_bytes(network: Network, patch: Zyx, channels: int) -> float:
    """Of the largest attention, which is alive as a whole; 0 for networks without."""
    return ALIVE_ATTENTION * 4 * max(layer.full for layer in layers(network, patch, channels))
