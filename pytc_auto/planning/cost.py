"""Work of one training step."""

from __future__ import annotations

from pytc_auto.geometry import Zyx
from pytc_auto.planning.layers import layers
from pytc_auto.schema.network import Network

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

OVERHEAD_OPERATIONS = 40.0
"""Normalization, activation, up- and downsampling, as multiply-adds per value they touch (measured on a CPU)."""
RECOMPUTED = 4 / 3
"""With checkpointing the forward pass, a third of a step, is done twice."""


def multiply_adds(network: Network, patch: Zyx, channels: int) -> float:
    """Multiply-adds of one forward pass over one patch."""
    made = layers(network, patch, channels)
    return sum((layer.weights + layer.products + OVERHEAD_OPERATIONS * layer.outputs) * layer.voxels for layer in made)


def relative_work(network: Network, patch: Zyx, channels: int, batch: int) -> float:
    """Work of one step in units of the reference step."""
    reference = multiply_adds(REFERENCE_NETWORK, REFERENCE_PATCH, REFERENCE_CHANNELS)
    again = RECOMPUTED if network.checkpointing else 1.0
    return batch * again * multiply_adds(network, patch, channels) / reference
