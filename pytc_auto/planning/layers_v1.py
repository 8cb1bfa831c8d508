"""The layers of v1's networks, as ``layers`` gives those of our own.

A convolution that pads by values of the map copies the map with its rim, and keeps that copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pytc_auto.geometry import Zyx, zyx
from pytc_auto.planning.layer import Layer
from pytc_auto.schema.network import Network
from pytc_auto.schema.network_v1 import BOTNET_BLOCKS, FPN_STAGES, REDUCTION, V1Network

FLAT_KERNEL, POINT = (1, 3, 3), (1, 1, 1)
STEM_KERNEL = (3, 3, 3)
OUT_OF_PLACE = ("gelu", "silu", "swish", "efficient_swish")
"""Activations that keep what comes in."""
DILATIONS = (1, 2, 4, 8)
HEADS, HEAD = 4, 32
"""Of botnet's attention."""


@dataclass(frozen=True)
class _Map:
    """Features at the voxels of a stage."""

    features: int
    extent: Zyx

    @property
    def voxels(self) -> int:
        return math.prod(self.extent)

    @property
    def values(self) -> float:
        return float(self.features * self.voxels)

    def grown(self, by: Zyx) -> _Map:
        return _Map(self.features, zyx([n + b for n, b in zip(self.extent, by, strict=True)]))


@dataclass(frozen=True)
class _Keeping:
    """What a design keeps of a convolution, a norm and an activation.

    Attributes:
        design: Padding mode, norm, activation, block.
    """

    design: V1Network

    @property
    def normed(self) -> int:
        """What comes into the norm, and into the activation where it is not changed in place."""
        return int(self.design.norm != "none") + int(self.design.activation in OUT_OF_PLACE)

    def convolution(self, source: _Map, target: _Map, kernel: Zyx, kept: float, *, fresh: bool = False, groups: int = 1) -> Layer:
        """One convolution.

        Args:
            source: What comes in.
            target: What goes out.
            kernel: Extent.
            kept: Maps as the target that are kept after it.
            fresh: Whether what comes in is not yet kept.
            groups: Of features.
        """
        saved = self.rimmed(source, kernel) + source.values * fresh + kept * target.values
        weights = math.prod(kernel) * source.features * target.features // groups
        return Layer(weights, target.features, float(target.voxels), saved)

    def rimmed(self, source: _Map, kernel: Zyx, dilations: Sequence[int] = (1,)) -> float:
        """Values of the copy with a rim that a convolution makes of what comes in; each dilation has its share of features."""
        if max(kernel) == 1 or self.design.padding == "zeros":
            return 0.0
        rims = [source.grown(zyx([(k - 1) * dilation for k in kernel])) for dilation in dilations]
        return sum(made.values for made in rims) / len(rims)

    def unit(self, source: _Map, target: _Map, kernel: Zyx, *, fresh: bool = False) -> Layer:
        """Convolution, norm and activation, in any order."""
        return self.convolution(source, target, kernel, 1 + self.normed, fresh=fresh)

    def block(self, source: _Map, target: _Map, kernel: Zyx, *, fresh: bool = False) -> Iterator[Layer]:
        """A residual block; the source is ``fresh`` where it is not yet kept."""
        activated_copy = self.design.block.endswith("_pa") and self.design.norm == "none"
        yield self.unit(source, target, kernel, fresh=fresh or activated_copy)
        yield self.unit(target, target, kernel)
        if (source.features, source.extent) != (target.features, target.extent):
            yield self.convolution(source, target, POINT, 1)
        if "_se" in self.design.block:
            narrow = target.features // REDUCTION[self.design.dimensions]
            yield Layer(2 * narrow * target.features, 0, 0.0, target.values)


def _maps(network: Network, patch: Zyx) -> list[_Map]:
    """Of each stage; extents are rounded up, as strides do."""
    found = []
    for stage, features in enumerate(network.features):
        extent = [math.ceil(n / d) for n, d in zip(patch, network.coarseness(stage), strict=True)]
        found.append(_Map(features, zyx(extent)))
    return found


def v1_unet(network: Network, patch: Zyx, channels: int) -> Iterator[Layer]:
    """A convolution and a block per stage, down and up again; a plus network brings the coarsest map to all stages."""
    assert isinstance(network, V1Network)
    keeping, maps, image = _Keeping(network), _maps(network, patch), _Map(1, patch)
    pooled = network.pooling == "max"
    yield keeping.unit(image, maps[0], network.outer)
    source = maps[0]
    for stage, made in enumerate(maps):
        if pooled and stage:
            source = _Map(source.features, made.extent)
            yield Layer(0, 0, 0.0, 0.0, full=source.values)
        yield keeping.unit(source, made, network.kernels[stage], fresh=bool(pooled and stage))
        yield from keeping.block(made, made, FLAT_KERNEL)
        source = made
    if "plus" in network.kind:
        yield from _non_local(keeping, maps[-1])
    for stage in reversed(range(len(maps) - 1)):
        fine, coarse = maps[stage], maps[stage + 1]
        yield keeping.unit(coarse, _Map(fine.features, coarse.extent), network.kernels[stage + 1])
        if "plus" in network.kind:
            grown = maps[-1].grown((2, 2, 2) if network.dimensions == 3 else (0, 2, 2))
            rim = grown.values if network.padding != "zeros" else 0.0
            yield Layer(0, 0, 0.0, rim)
            yield keeping.convolution(maps[-1], _Map(fine.features, grown.extent), POINT, 1 + keeping.normed)
        yield from keeping.block(fine, fine, FLAT_KERNEL, fresh=True)
    yield keeping.convolution(maps[0], _Map(channels, patch), network.outer, 0)


def _non_local(keeping: _Keeping, deepest: _Map) -> Iterator[Layer]:
    """Queries, keys and values at half width, and the way back."""
    inner, seen = _Map(max(1, deepest.features // 2), deepest.extent), deepest.voxels
    if keeping.design.dimensions == 2:
        seen = math.prod(deepest.extent[1:])
    for _ in range(3):
        yield keeping.convolution(deepest, inner, POINT, 1)
    yield Layer(0, 0, float(deepest.voxels), 0.0, full=seen * deepest.voxels, products=2 * seen * inner.features)
    yield keeping.convolution(inner, deepest, POINT, 2, fresh=True)


def v1_fpn(network: Network, patch: Zyx, channels: int) -> Iterator[Layer]:
    """The backbone, a point-wise convolution per stage, and one more where a stage is added to the coarser ones."""
    assert isinstance(network, V1Network)
    keeping, maps = _Keeping(network), _maps(network, patch)
    yield from BACKBONES[network.backbone or "resnet"](keeping, maps, _Map(1, patch))
    width = network.features[0]
    lateral = [_Map(width, made.extent) for made in maps]
    for made, brought in zip(maps, lateral, strict=True):
        yield keeping.unit(made, brought, POINT)
    for stage in reversed(range(FPN_STAGES)):
        kernel = zyx([1 if network.kernels[stage][0] == 1 else 3, 3, 3])
        finer = lateral[max(0, stage - 1)]
        yield keeping.unit(finer, finer, kernel, fresh=True)
    yield keeping.convolution(lateral[0], _Map(channels, patch), network.outer, 0)


def _resnet(keeping: _Keeping, maps: list[_Map], image: _Map) -> Iterator[Layer]:
    design = keeping.design
    yield keeping.unit(image, maps[0], design.outer)
    for stage in range(1, FPN_STAGES):
        yield from _stage(keeping, maps, stage)


def _stage(keeping: _Keeping, maps: list[_Map], stage: int) -> Iterator[Layer]:
    source = maps[stage - 1]
    for _ in range(keeping.design.blocks[stage]):
        yield from keeping.block(source, maps[stage], keeping.design.kernels[stage])
        source = maps[stage]


def _botnet(keeping: _Keeping, maps: list[_Map], image: _Map) -> Iterator[Layer]:
    """The last stage's first block attends before it halves the extents."""
    yield keeping.unit(image, maps[0], keeping.design.outer)
    for stage in range(1, FPN_STAGES - 1):
        yield from _stage(keeping, maps, stage)
    source, target = maps[-2], maps[-1]
    yield keeping.unit(source, target, STEM_KERNEL)
    for _ in range(BOTNET_BLOCKS):
        narrow, joined = _Map(target.features // 2, source.extent), _Map(HEADS * HEAD, source.extent)
        yield keeping.unit(source, narrow, POINT)
        yield keeping.convolution(narrow, _Map(3 * joined.features, source.extent), POINT, 4 / 3)
        seen = source.voxels
        yield Layer(HEAD * sum(source.extent), 0, float(seen), 0.0, full=HEADS * seen**2, products=3 * seen * joined.features)
        shrunk = _Map(joined.features, target.extent)
        yield Layer(0, 0, 0.0, joined.values + 2 * shrunk.values)
        yield keeping.convolution(shrunk, target, POINT, 2)
        source = target


def _repvgg(keeping: _Keeping, maps: list[_Map], image: _Map) -> Iterator[Layer]:
    """Each branch keeps what comes into its norm; what comes in is kept with its rim, too."""
    design, source = keeping.design, image
    branches = 1 if design.block == "repvgg_deployed" else 2
    beyond = int(design.activation in OUT_OF_PLACE)
    for stage, target in enumerate(maps):
        for _ in range(design.blocks[stage]):
            kept = 1 + beyond + (branches == 2)
            yield keeping.convolution(source, target, design.kernels[stage], kept)
            if branches == 2:
                yield keeping.convolution(source, target, POINT, 1)
            source = target


def _efficientnet(keeping: _Keeping, maps: list[_Map], image: _Map) -> Iterator[Layer]:
    """Point-wise, depthwise, attention, point-wise, and the projection of what comes in."""
    design, source = keeping.design, maps[0]
    yield keeping.unit(image, source, STEM_KERNEL)
    for stage, target in enumerate(maps):
        for _ in range(design.blocks[stage]):
            kernel, middle = design.kernels[stage], _Map(source.features, target.extent)
            yield keeping.unit(source, source, POINT)
            yield keeping.convolution(source, middle, kernel, 1 + keeping.normed, groups=source.features)
            if design.block == "inverted_res_dilated":
                wider = keeping.rimmed(source, kernel, DILATIONS) - keeping.rimmed(source, kernel)
                yield Layer(0, 0, 0.0, wider)
            yield from _attention(design, middle)
            yield keeping.convolution(middle, target, POINT, 2, fresh=design.attention != "none")
            yield from _projected(keeping, source, target)
            source = target


def _projected(keeping: _Keeping, source: _Map, target: _Map) -> Iterator[Layer]:
    """What comes in is averaged, with a rim where an extent is odd, and brought to the features."""
    if source.extent != target.extent:
        odd = [2 * (n != m and n % 2) for n, m in zip(source.extent, target.extent, strict=True)]
        if any(odd):
            yield Layer(0, 0, 0.0, source.grown(zyx(odd)).values)
        yield keeping.convolution(_Map(source.features, target.extent), target, POINT, 1, fresh=True)
    elif source.features != target.features:
        yield keeping.convolution(source, target, POINT, 1)


def _attention(design: V1Network, made: _Map) -> Iterator[Layer]:
    kernels = {"squeeze_excitation": 0, "strip_pool": 3, "plane_pool": 9}
    if design.attention == "squeeze_excitation":
        yield Layer(2 * made.features * (made.features // 8), 0, 0.0, 0.0)
    elif design.attention in kernels:
        narrow = made.features // 4
        weights = (3 * kernels[design.attention] + 1) * made.features * narrow
        yield Layer(weights, made.features, float(made.voxels), made.values + narrow * made.voxels)


BACKBONES: Mapping[str, Callable[[_Keeping, list[_Map], _Map], Iterator[Layer]]] = MappingProxyType(
    {"resnet": _resnet, "botnet": _botnet, "repvgg": _repvgg, "efficientnet": _efficientnet}
)
