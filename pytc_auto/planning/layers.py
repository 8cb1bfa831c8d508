"""The convolutions of a network with what they compute and what training keeps of them, by the network's kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from pytc_auto.geometry import Zyx
from pytc_auto.planning.layer import Layer, stage_voxels
from pytc_auto.planning.layers_monai import dints, segresnet, swin_unetr, unetr
from pytc_auto.planning.layers_v1 import v1_fpn, v1_unet
from pytc_auto.schema.network import Network


def layers(network: Network, patch: Zyx, channels: int) -> Iterator[Layer]:
    """All convolutions of a network for one patch, in the order of the forward pass."""
    yield from LAYERS[network.kind](network, patch, channels)
    voxels = stage_voxels(network, patch)
    for stage in network.supervised(patch):
        yield Layer(network.features[stage] * channels, channels, voxels[stage], 0.0)


def _convolution(kernel: Zyx, inputs: int, outputs: int, voxels: float, joined: int = 0) -> Layer:
    """With norm and activation: both outputs are kept; of the first after a skip connection the joined input, too."""
    return Layer(math.prod(kernel) * inputs * outputs, outputs, voxels, (2 * outputs + joined) * voxels)


def _decoder(network: Network, voxels: list[float], convolutions: list[int]) -> Iterator[Layer]:
    """Transposed convolutions, skip connections, convolutions."""
    for stage in reversed(range(len(network.features) - 1)):
        feature, below, stride = network.features[stage], network.features[stage + 1], network.strides[stage + 1]
        yield Layer(math.prod(stride) * below * feature, feature, voxels[stage] / math.prod(stride), 0.0)
        yield _convolution(network.kernels[stage], 2 * feature, feature, voxels[stage], joined=2 * feature)
        for _ in range(convolutions[stage] - 1):
            yield _convolution(network.kernels[stage], feature, feature, voxels[stage])


def _unet(network: Network, patch: Zyx, channels: int) -> Iterator[Layer]:
    voxels, inputs = stage_voxels(network, patch), 1
    for stage, feature in enumerate(network.features):
        for _ in range(network.blocks[stage]):
            yield _convolution(network.kernels[stage], inputs, feature, voxels[stage])
            inputs = feature
    yield from _decoder(network, voxels, network.blocks)
    yield Layer(network.features[0] * channels, channels, voxels[0], 0.0)


def _resenc(network: Network, patch: Zyx, channels: int) -> Iterator[Layer]:
    """A stem, then blocks of two convolutions; where a block changes extent or features, what is added is projected."""
    voxels, inputs = stage_voxels(network, patch), network.features[0]
    yield _convolution(network.kernels[0], 1, inputs, voxels[0])
    for stage, feature in enumerate(network.features):
        for _ in range(network.blocks[stage]):
            yield _convolution(network.kernels[stage], inputs, feature, voxels[stage])
            yield _convolution(network.kernels[stage], feature, feature, voxels[stage])
            if inputs != feature:
                yield Layer(inputs * feature, feature, voxels[stage], (inputs + feature) * voxels[stage])
            inputs = feature
    yield from _decoder(network, voxels, [1] * len(voxels))
    yield Layer(network.features[0] * channels, channels, voxels[0], 0.0)


def _mednext(network: Network, patch: Zyx, channels: int) -> Iterator[Layer]:
    """Depthwise convolution, expansion, compression; the step to another stage also projects what comes in."""
    features, voxels, count = network.features, stage_voxels(network, patch), iter(range(10**6))
    expansion = network.expansion or [1] * len(features)

    def block(stage: int, outputs: int, where: tuple[float, float], inputs: int) -> Iterator[Layer]:
        number, kernel, wide = next(count), math.prod(network.kernels[stage]), expansion[stage] * inputs
        before, after = where
        yield Layer(kernel * inputs, inputs, min(where), inputs * (before + 2 * after), number, inputs * before)
        yield Layer(inputs * wide, wide, after, 2 * wide * after, number)
        yield Layer(wide * outputs, outputs, after, 0.0, number)
        if before != after:
            yield Layer(inputs * outputs, outputs, min(where), 0.0, number)

    def stage_blocks(stage: int) -> Iterator[Layer]:
        for _ in range(network.blocks[stage]):
            yield from block(stage, features[stage], (voxels[stage], voxels[stage]), features[stage])

    yield Layer(features[0], features[0], voxels[0], voxels[0])
    for stage in range(len(features) - 1):
        yield from stage_blocks(stage)
        yield from block(stage, features[stage + 1], (voxels[stage], voxels[stage + 1]), features[stage])
    yield from stage_blocks(len(features) - 1)
    for stage in reversed(range(len(features) - 1)):
        yield from block(stage, features[stage], (voxels[stage + 1], voxels[stage]), features[stage + 1])
        yield from stage_blocks(stage)
    yield Layer(features[0] * channels, channels, voxels[0], features[0] * voxels[0])


LAYERS: Mapping[str, Callable[[Network, Zyx, int], Iterator[Layer]]] = MappingProxyType(
    {
        "unet": _unet,
        "resenc": _resenc,
        "mednext": _mednext,
        "dynunet": _unet,
        "segresnet": segresnet,
        "swin_unetr": swin_unetr,
        "unetr": unetr,
        "dints": dints,
        "v1_unet_3d": v1_unet,
        "v1_unet_plus_3d": v1_unet,
        "v1_unet_2d": v1_unet,
        "v1_unet_plus_2d": v1_unet,
        "v1_fpn_3d": v1_fpn,
    }
)
