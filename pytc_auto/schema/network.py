"""The network's topology, and what each kind of network can be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from pytc_auto.geometry import Zyx, zyx
from pytc_auto.schema.dataset import PositiveZyx
from pytc_auto.schema.document import Part

DOUBLING = tuple(2**i for i in range(16))
LEAST_SUPERVISED = 8
"""Voxels along each axis that is pooled; coarser feature maps learn nothing from a loss of their own."""


@dataclass(frozen=True)
class NetworkTraits:
    """What a kind of network can be.

    Attributes:
        least_stages: At least so many.
        most_stages: At most so many; None: any number.
        anisotropic: Whether strides and kernels may differ from axis to axis. Otherwise each stage but the first halves all axes,
            and kernels are of 3.
        most_stride: Of an axis, from stage to stage; None: any.
        growth: Features of the first stages, in multiples of the first; those of other stages are free.
        features_by: What the first stage's features divide by.
        blocks: Of the first stages; None where any number will do.
        equal_blocks: Whether all stages but the first have the same number of blocks.
        one_extent: Whether what it learned holds for windows of the patch's extent only.
        deep_supervision: Whether coarser stages can have a loss of their own.
        cut_along_z: Whether it takes y and x alike, and z as them or as coarser.
    """

    least_stages: int = 2
    most_stages: int | None = None
    anisotropic: bool = False
    most_stride: int | None = 2
    growth: tuple[int, ...] = ()
    features_by: int = 1
    blocks: tuple[int | None, ...] = ()
    equal_blocks: bool = False
    one_extent: bool = False
    deep_supervision: bool = False
    cut_along_z: bool = False

    @property
    def divides_by(self) -> int:
        """What every axis of a patch divides by, at least."""
        return 1 if self.anisotropic else 2 ** (self.least_stages - 1)


TRAITS: Mapping[str, NetworkTraits] = MappingProxyType(
    {
        "unet": NetworkTraits(anisotropic=True, most_stride=None, deep_supervision=True),
        "resenc": NetworkTraits(anisotropic=True, most_stride=None, deep_supervision=True),
        "mednext": NetworkTraits(anisotropic=True, deep_supervision=True),
        "dynunet": NetworkTraits(3, anisotropic=True, blocks=(2,) * 16, deep_supervision=True),
        "segresnet": NetworkTraits(growth=DOUBLING),
        "swin_unetr": NetworkTraits(
            6, 6, growth=(1, 1, 2, 4, 8, 16), features_by=12, blocks=(1, None, None, None, None, 1), one_extent=True
        ),
        "unetr": NetworkTraits(5, 5, growth=(1, 2, 4, 8), blocks=(1, 1, 1, 1, 12), one_extent=True),
        "dints": NetworkTraits(3, growth=DOUBLING, blocks=(1,), equal_blocks=True),
        "v1_unet_3d": NetworkTraits(anisotropic=True, cut_along_z=True),
        "v1_unet_plus_3d": NetworkTraits(anisotropic=True, cut_along_z=True),
        "v1_unet_2d": NetworkTraits(anisotropic=True, cut_along_z=True),
        "v1_unet_plus_2d": NetworkTraits(anisotropic=True, cut_along_z=True),
        "v1_fpn_3d": NetworkTraits(5, 5, anisotropic=True, cut_along_z=True),
    }
)
"""By kind."""


class Network(Part):
    """Topology, one entry per stage, fine to coarse."""

    kind: Literal["unet", "resenc", "mednext", "dynunet", "segresnet", "swin_unetr", "unetr", "dints"]
    features: list[PositiveInt] = Field(min_length=1)
    strides: list[PositiveZyx]
    kernels: list[PositiveZyx]
    blocks: list[PositiveInt] = Field(description="of the encoder; the last stage is the bottleneck")
    expansion: list[PositiveInt] | None = Field(None, description="of mednext's blocks, per stage; null for the other kinds")
    checkpointing: bool = Field(False, description="mednext: recompute each block in the backward pass, to save memory")
    deep_supervision: bool = Field(False, description="coarser stages of the decoder have a loss of their own")

    @property
    def divisor(self) -> Zyx:
        """What a patch must divide by, per axis."""
        return self.coarseness(len(self.strides) - 1)

    @property
    def traits(self) -> NetworkTraits:
        """What its kind can be."""
        return TRAITS[self.kind]

    @property
    def one_extent(self) -> bool:
        """Whether what it learned holds for windows of the patch's extent only."""
        return self.traits.one_extent

    def fitted(self, patch: Zyx) -> Zyx:
        """The largest patch within one that the network takes, at least one step."""
        return zyx([max(d, n // d * d) for n, d in zip(patch, self.divisor, strict=True)])

    def coarseness(self, stage: int) -> Zyx:
        """Voxels of the patch that lie in one of a stage, per axis."""
        return zyx([math.prod(s[i] for s in self.strides[: stage + 1]) for i in range(3)])

    def supervised(self, patch: Zyx) -> list[int]:
        """The stages of the decoder, fine to coarse, that have a loss of their own beside the finest's."""
        if not self.deep_supervision:
            return []
        return [stage for stage in range(1, len(self.strides) - 1) if _roomy(patch, self.coarseness(stage))]

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        stages = len(self.features)
        lengths = {name: len(getattr(self, name) or ()) for name in ("strides", "kernels", "blocks")}
        if self.kind == "mednext":
            lengths["expansion"] = len(self.expansion or ())
        faults = [
            f"{name} has {n} stages, features has {stages}. Give one entry per stage"
            for name, n in lengths.items()
            if n != stages
        ]
        if self.kind != "mednext" and (self.expansion is not None or self.checkpointing):
            faults.append(f"expansion and checkpointing are mednext's, kind is {self.kind}. Use null and false")
        if any(k % 2 == 0 for kernel in self.kernels for k in kernel):
            faults.append(f"kernels must be odd on each axis, got {[list(k) for k in self.kernels]}")
        if self.strides and set(self.strides[0]) != {1}:
            faults.append(f"the first stage's stride must be [1, 1, 1], got {list(self.strides[0])}")
        faults += _beyond(self)
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _roomy(patch: Zyx, coarseness: Zyx) -> bool:
    return all(c == 1 or n // c >= LEAST_SUPERVISED for n, c in zip(patch, coarseness, strict=True))


def _beyond(network: Network) -> Iterator[str]:
    """What the kind cannot be."""
    kind, traits, stages = network.kind, network.traits, len(network.features)
    if stages < traits.least_stages or stages > (traits.most_stages or stages):
        wanted = f"{traits.least_stages}" if traits.most_stages == traits.least_stages else f"at least {traits.least_stages}"
        yield f"{kind} needs {wanted} stages, features has {stages}. Give so many, or use another kind"
    if network.deep_supervision and not traits.deep_supervision:
        able = ", ".join(name for name, other in TRAITS.items() if other.deep_supervision)
        yield f"{kind} gives its finest logits only, deep_supervision is true. Use false, or one of {able}"
    yield from _wrong_steps(network)
    yield from _wrong_sizes(network)


def _wrong_steps(network: Network) -> Iterator[str]:
    """Strides and kernels that the kind cannot have."""
    kind, traits = network.kind, network.traits
    if not traits.anisotropic:
        if any(set(stride) != {2} for stride in network.strides[1:]):
            given = [list(stride) for stride in network.strides]
            yield f"{kind} halves all axes from stage to stage, strides has {given}. Use [2, 2, 2], or another kind"
        if any(set(kernel) != {3} for kernel in network.kernels):
            yield f"{kind} has kernels of [3, 3, 3], kernels has {[list(k) for k in network.kernels]}. Use those"
    elif (most := traits.most_stride) is not None and (wide := [list(s) for s in network.strides if max(s) > most]):
        yield f"{kind} pools an axis by 1 or {most} from stage to stage, strides has {wide}. Use {most}, and one stage more"


def _wrong_sizes(network: Network) -> Iterator[str]:
    """Features and blocks that the kind cannot have."""
    kind, traits, features, blocks = network.kind, network.traits, network.features, network.blocks
    if features[0] % traits.features_by:
        by = traits.features_by
        yield f"{kind}'s first features divide by {by}, got {features[0]}. Use {max(by, features[0] // by * by)}"
    grown = [features[0] * times for times, _ in zip(traits.growth, features, strict=False)]
    if features[: len(grown)] != grown:
        yield f"{kind}'s features grow as {grown}, got {features}. Use those"
    fixed = [n if wanted is None else wanted for n, wanted in zip(blocks, traits.blocks, strict=False)]
    fixed += blocks[len(fixed) :]
    if traits.equal_blocks:
        fixed = [*fixed[:1], *fixed[1:2] * (len(fixed) - 1)]
    if blocks != fixed:
        yield f"{kind} has blocks such as {fixed}, got {blocks}. Use those"
