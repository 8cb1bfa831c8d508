"""The layers of MONAI's networks, as ``layers`` gives those of our own."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pytc_auto.geometry import Zyx
from pytc_auto.planning.layer import Layer, stage_voxels
from pytc_auto.schema.network import Network

KERNEL, STEP = 27, 8
"""Weights of a convolution's kernel, and of one that halves or doubles the extents, per input and output."""
WINDOW = 7
"""Tokens of a Swin UNETR's window, per axis."""
POSITIONS = (2 * WINDOW - 1) ** 3
"""Relative ones, in a window."""
HEADS = 3
TOKEN = 16
"""Extent of a UNETR's token in voxels."""
HEAD = 64
WIDER = 4
"""Features between the two layers of a transformer block's last part, in multiples of those outside."""


def segresnet(network: Network, patch: Zyx, channels: int) -> Iterator[Layer]:
    """Norms come first, so that a block keeps what comes out of each norm and each convolution."""
    features, voxels = network.features, stage_voxels(network, patch)

    def block(stage: int) -> Iterator[Layer]:
        for _ in range(2):
            yield Layer(KERNEL * features[stage] ** 2, features[stage], voxels[stage], 2 * features[stage] * voxels[stage])

    yield Layer(KERNEL * features[0], features[0], voxels[0], features[0] * voxels[0])
    for stage, feature in enumerate(features):
        if stage:
            yield Layer(KERNEL * features[stage - 1] * feature, feature, voxels[stage], feature * voxels[stage])
        for _ in range(network.blocks[stage]):
            yield from block(stage)
    for stage in reversed(range(len(features) - 1)):
        feature = features[stage]
        yield Layer(features[stage + 1] * feature, feature, voxels[stage + 1], feature * voxels[stage])
        yield from block(stage)
    yield Layer(features[0] * channels, channels, voxels[0], features[0] * voxels[0])


def dints(network: Network, patch: Zyx, channels: int) -> Iterator[Layer]:
    """A stem per scale, columns of cells on all paths between neighbouring scales, and the way back up."""
    features, voxels = network.features, stage_voxels(network, patch)
    scales = range(1, len(features))

    def cell(start: int, end: int) -> Iterator[Layer]:
        """An activation of what comes from another scale, resampled; then activation and convolution."""
        feature, extent = features[end], voxels[end]
        if start != end:
            activated = features[start] * max(extent, voxels[start])
            yield Layer(features[start] * feature, feature, extent, activated + feature * extent)
        yield Layer(KERNEL * feature**2, feature, extent, 2 * feature * extent)

    for stage in scales:
        fine, feature, image = features[stage - 1], features[stage], voxels[stage - 1] if stage > 1 else 0.0
        yield Layer(KERNEL * fine, fine, voxels[stage - 1], image + 2 * fine * voxels[stage - 1])
        yield Layer(KERNEL * fine * feature, feature, voxels[stage], feature * voxels[stage])
    for _ in range(network.blocks[1]):
        for end in scales:
            for start in (n for n in (end - 1, end, end + 1) if n in scales):
                yield from cell(start, end)
    for stage in reversed(scales):
        fine, feature = features[stage - 1], features[stage]
        yield Layer(KERNEL * feature * fine, fine, voxels[stage], (feature + fine) * voxels[stage])
    yield Layer(KERNEL * features[0] ** 2, features[0], voxels[0], 2 * features[0] * voxels[0])
    yield Layer(features[0] * channels, channels, voxels[0], features[0] * voxels[0])


def swin_unetr(network: Network, patch: Zyx, channels: int) -> Iterator[Layer]:
    """Transformer blocks in windows from the second stage on, and a residual block on each skip."""
    features, voxels = network.features, stage_voxels(network, patch)
    yield Layer(STEP * features[0], features[0], voxels[1], features[0] * voxels[1])
    for stage in range(1, 5):
        feature, heads = features[stage], HEADS * 2 ** (stage - 1)
        extents = [n // d for n, d in zip(patch, network.coarseness(stage), strict=True)]
        sides = [min(WINDOW, n) for n in extents]
        padded = math.prod(math.ceil(n / side) * side for n, side in zip(extents, sides, strict=True))
        for _ in range(network.blocks[stage]):
            yield Layer(POSITIONS * heads, 0, 0.0, 0.0)
            yield from _transformer(feature, voxels[stage], padded, (heads, math.prod(sides), True))
        merged = 2 * feature * voxels[stage]
        yield Layer(2 * STEP * feature**2, 2 * feature, voxels[stage + 1], merged + 2 * feature * voxels[stage + 1])
    yield from _residual(1, features[0], voxels[0])
    for stage in (1, 2, 3, 5):
        yield Layer(0, 0, 0.0, features[stage] * voxels[stage])
        yield from _residual(features[stage], features[stage], voxels[stage])
    for stage in reversed(range(5)):
        yield from _joined(features[stage + 1], features[stage], voxels[stage])
    yield Layer(features[0] * channels, channels, voxels[0], 0.0)


def unetr(network: Network, patch: Zyx, channels: int) -> Iterator[Layer]:
    """A transformer over all tokens, whose skips are brought to the finer stages by transposed convolutions."""
    features, voxels = network.features, stage_voxels(network, patch)
    hidden, tokens = features[-1], voxels[-1]
    yield Layer(TOKEN**3 * hidden, hidden, tokens, 0.0)
    yield Layer(int(hidden * tokens), 0, 0.0, 0.0)
    for _ in range(network.blocks[-1]):
        yield from _transformer(hidden, tokens, tokens, (max(1, hidden // HEAD), tokens, False))
    yield Layer(0, 0, 0.0, 2 * hidden * tokens)
    yield from _residual(1, features[0], voxels[0])
    for stage in (1, 2, 3):
        feature, inputs = features[stage], hidden
        for finer in range(3, stage - 1, -1):
            kept = feature * voxels[finer] if stage < 3 else 0.0
            yield Layer(STEP * inputs * feature, feature, voxels[finer] / STEP, kept)
            if finer < 3:
                yield from _residual(feature, feature, voxels[finer])
            inputs = feature
    for stage in reversed(range(4)):
        yield from _joined(features[stage + 1], features[stage], voxels[stage])
    yield Layer(features[0] * channels, channels, voxels[0], 0.0)


def _residual(inputs: int, feature: int, voxels: float) -> Iterator[Layer]:
    """Two convolutions with norm and activation; what is added is projected where the number of features changes."""
    yield Layer(KERNEL * inputs * feature, feature, voxels, 2 * feature * voxels)
    yield Layer(KERNEL * feature**2, feature, voxels, 2 * feature * voxels)
    if inputs != feature:
        yield Layer(inputs * feature, feature, voxels, feature * voxels)


def _joined(below: int, feature: int, voxels: float) -> Iterator[Layer]:
    """A transposed convolution, and a residual block on what it gives beside the skip."""
    yield Layer(STEP * below * feature, feature, voxels / STEP, 2 * feature * voxels)
    yield from _residual(2 * feature, feature, voxels)


def _transformer(feature: int, voxels: float, padded: float, attention: tuple[int, float, bool]) -> Iterator[Layer]:
    """Norm, queries, keys and values, attention and projection of windows that are padded; norm and two layers.

    Args:
        feature: Of a token.
        voxels: Tokens.
        padded: The same with those that fill up the windows.
        attention: Heads, tokens that see each other, and whether a bias in float32 is added.
    """
    heads, seen, biased = attention
    weighed = heads * seen * padded
    products = 2 * seen * feature * padded / voxels
    yield Layer(3 * feature**2, 3 * feature, padded, feature * voxels + 5 * feature * padded)
    yield Layer(0, 0, voxels, 0.0 if biased else weighed, full=weighed if biased else 0.0, products=products)
    yield Layer(feature**2, feature, padded, feature * padded)
    yield Layer(WIDER * feature**2, WIDER * feature, voxels, (2 + WIDER) * feature * voxels)
    yield Layer(WIDER * feature**2, feature, voxels, WIDER * feature * voxels)
