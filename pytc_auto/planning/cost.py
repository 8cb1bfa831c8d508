"""Work, time and memory of one training step."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pytc_auto.geometry import Zyx
from pytc_auto.schema.plan import Network

REFERENCE_PATCH: Zyx = (64, 64, 64)
REFERENCE_NETWORK = Network(
    kind="unet",
    features=[16, 32, 64, 128],
    strides=[(1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)],
    kernels=[(3, 3, 3)] * 4,
    blocks=[2, 2, 2, 2],
)
"""``Machine.seconds_per_step`` is the time of one training step of this network on one patch of this size."""
REFERENCE_CHANNELS = 6

BYTES_16_BIT = 2
SAVED_PER_OUTPUT = 3.0
"""A block keeps its convolution's output, the normalized values and the activation for the backward pass."""
ALIVE_OUTPUTS = 6.0
"""Skip connection, what comes from below, the two joined, and a convolution's output before and after its norm."""
OPTIMIZER_BYTES = 20
"""Per parameter: float32 weight, gradient, two moments of AdamW, EMA."""
WORKSPACE_BYTES = 3e8
OVERHEAD_OPERATIONS = 40.0
"""Normalization, activation, up- and downsampling, as multiply-adds per value they touch (measured on a CPU)."""


def multiply_adds(network: Network, patch: Zyx, channels: int) -> float:
    """Multiply-adds of one forward pass over one patch."""
    convolutions = sum(
        math.prod(k) * inputs * outputs * voxels for k, inputs, outputs, voxels in _layers(network, patch, channels)
    )
    values = sum(outputs * voxels for _, _, outputs, voxels in _layers(network, patch, channels))
    return convolutions + OVERHEAD_OPERATIONS * values


def relative_work(network: Network, patch: Zyx, channels: int, batch: int) -> float:
    """Work of one step in units of the reference step."""
    reference = multiply_adds(REFERENCE_NETWORK, REFERENCE_PATCH, REFERENCE_CHANNELS)
    return batch * multiply_adds(network, patch, channels) / reference


def parameters(network: Network, channels: int) -> int:
    """Weights of the convolutions."""
    return int(sum(math.prod(k) * inputs * outputs for k, inputs, outputs, _ in _layers(network, (1, 1, 1), channels)))


def memory_bytes(network: Network, patch: Zyx, channels: int, batch: int) -> int:
    """Estimate for one step: values saved for the backward pass, optimizer state, workspace."""
    saved = sum(outputs * voxels for _, _, outputs, voxels in _layers(network, patch, channels))
    activations = batch * saved * SAVED_PER_OUTPUT * BYTES_16_BIT
    return int(activations + parameters(network, channels) * OPTIMIZER_BYTES + WORKSPACE_BYTES)


def forward_bytes(network: Network, patch: Zyx, channels: int) -> int:
    """Estimate for a forward pass alone: what is alive at the finest stage, and the logits, of which there is a sum, too."""
    voxels = math.prod(patch)
    alive = voxels * network.features[0] * ALIVE_OUTPUTS * BYTES_16_BIT
    return int(alive + 2 * 4 * voxels * channels + WORKSPACE_BYTES)


def _layers(network: Network, patch: Zyx, channels: int) -> Iterator[tuple[Zyx, int, int, float]]:
    """Kernel, input and output features and output voxels of every convolution of a U-Net of this topology."""
    voxels = float(math.prod(patch))
    extents = []
    inputs = 1
    for feature, stride, kernel, blocks in zip(network.features, network.strides, network.kernels, network.blocks, strict=True):
        voxels /= math.prod(stride)
        extents.append(voxels)
        for _ in range(blocks):
            yield kernel, inputs, feature, voxels
            inputs = feature
    for stage in reversed(range(len(network.features) - 1)):
        feature, below = network.features[stage], network.features[stage + 1]
        yield network.strides[stage + 1], below, feature, extents[stage] / math.prod(network.strides[stage + 1])
        for block in range(network.blocks[stage]):
            yield network.kernels[stage], feature * 2 if block == 0 else feature, feature, extents[stage]
    yield (1, 1, 1), network.features[0], channels, extents[0]
