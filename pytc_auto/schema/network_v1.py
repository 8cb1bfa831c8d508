"""The networks of PyTorch Connectomics v1: what a plan says of them, and what they can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytc_auto.geometry import Zyx, zyx
from pytc_auto.schema.dataset import PositiveZyx
from pytc_auto.schema.network import Network

V1Kind = Literal["v1_unet_3d", "v1_unet_plus_3d", "v1_unet_2d", "v1_unet_plus_2d", "v1_fpn_3d"]
Block = Literal[
    "residual",
    "residual_pa",
    "residual_se",
    "residual_se_pa",
    "inverted_res",
    "inverted_res_dilated",
    "repvgg",
    "repvgg_deployed",
]
Norm = Literal["bn", "sync_bn", "gn", "in", "none"]
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "swish", "efficient_swish", "none"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
Backbone = Literal["resnet", "repvgg", "botnet", "efficientnet"]
Attention = Literal["squeeze_excitation", "strip_pool", "plane_pool", "none"]

FLAT, CUBIC = 1, 3
"""Extent along z of the kernels of anisotropic and of isotropic stages."""
FPN_STAGES = 5
BLOCKS_3D = ("residual", "residual_pa", "residual_se", "residual_se_pa")
BLOCKS_2D = ("residual", "residual_se")
BLOCKS_OF: dict[str, tuple[str, ...]] = {
    "resnet": BLOCKS_2D,
    "botnet": BLOCKS_2D,
    "repvgg": ("repvgg", "repvgg_deployed"),
    "efficientnet": ("inverted_res", "inverted_res_dilated"),
}
"""By backbone."""
GROUPS = {2: 16, 3: 8}
"""Of group normalization, by the network's dimensions."""
REDUCTION = {2: 16, 3: 4}
"""Of a residual block's squeeze and excitation."""
BOTNET_BLOCKS = 3


class V1Network(Network):
    """A network with the names, shapes and numerics of v1, so that its checkpoints are loaded as they are.

    ``strides`` and ``kernels`` say of each stage whether it is isotropic: [1, 2, 2] and [1, 3, 3], or [2, 2, 2] and [3, 3, 3].
    The blocks of a U-Net have kernels of [1, 3, 3] nevertheless, as in v1.
    """

    kind: V1Kind  # type: ignore[assignment]
    outer: PositiveZyx = Field(description="kernel of the last convolution, in most networks also of the first")
    block: Block
    norm: Norm = Field(description="batch, batch over all devices, groups, instance, none")
    activation: Activation
    padding: PaddingMode
    pooling: Literal["stride", "max"] = Field(description="how a stage is made coarser than the one before")
    backbone: Backbone | None = Field(None, description="of v1_fpn_3d; null for the others")
    attention: Attention | None = Field(None, description="of efficientnet's blocks; null for the others")

    @property
    def dimensions(self) -> int:
        """2 where each section is seen by itself."""
        return 2 if self.kind.endswith("_2d") else 3

    @property
    def divisor(self) -> Zyx:
        """What a patch must divide by: nothing, as maps are resized to the skip's extent; attention wants whole steps."""
        return self.coarseness(len(self.strides) - 1) if self.backbone == "botnet" else (1, 1, 1)

    @property
    def one_extent(self) -> bool:
        """Maps that are made coarser by strides align at their corners, for extents of a multiple of the strides plus one."""
        return self.pooling == "stride"

    def fitted(self, patch: Zyx) -> Zyx:
        """The largest patch within one whose maps align on their way down and up."""
        total, odd = self.coarseness(len(self.strides) - 1), int(self.pooling == "stride" and self.backbone != "botnet")
        return zyx([n if d == 1 else max(1, (n - odd) // d) * d + odd for n, d in zip(patch, total, strict=True)])

    @model_validator(mode="after")
    def _v1_could_build_it(self) -> Self:
        if faults := [*_wrong_stages(self), *_wrong_layers(self), *_wrong_features(self)]:
            raise ValueError("; ".join(faults))
        return self


AnyNetwork = Annotated[Network | V1Network, Field(discriminator="kind")]
"""As a plan has it."""


@dataclass(frozen=True)
class Stages:
    """What v1's isotropy settings come to.

    Attributes:
        strides, kernels: Per stage, fine to coarse.
        outer: Kernel of the outermost convolutions.
    """

    strides: list[Zyx]
    kernels: list[Zyx]
    outer: Zyx


def stages_v1(kind: V1Kind, isotropy: Sequence[bool], *, sizes: Sequence[int] | None = None, whole: bool = False) -> Stages:
    """Strides and kernels of v1's ISOTROPY.

    Args:
        kind: Of network. Those in 2D have no isotropy; then only the number of stages counts.
        isotropy: Per stage.
        sizes: Extent of each stage's kernels (KERNEL_SIZES), for the backbone efficientnet; its fourth stage
            never strides along z.
        whole: IS_ISOTROPIC, which makes all stages isotropic.
    """
    cubic = [(whole or i) and not kind.endswith("_2d") for i in isotropy]
    first = cubic[0] if kind == "v1_fpn_3d" else whole and not kind.endswith("_2d")
    strides = [_triple(2 if i else 1, 2) for i in cubic]
    if sizes is not None:
        strides[3] = (1, 2, 2)
    kernels = [_triple(n if i else FLAT, n) for i, n in zip(cubic, sizes or [CUBIC] * len(cubic), strict=True)]
    return Stages([(1, 1, 1), *strides[1:]], kernels, _triple(5 if first else FLAT, 5))


def _triple(along_z: int, in_plane: int) -> Zyx:
    return along_z, in_plane, in_plane


def _wrong_stages(network: V1Network) -> Iterator[str]:
    """Strides, kernels and numbers of blocks that v1 did not have."""
    kind, sizes = network.kind, {3, 5} if network.backbone == "efficientnet" else {3}
    if any(s not in ((1, 2, 2), (2, 2, 2)) for s in network.strides[1:]):
        yield f"{kind} has strides of [1, 2, 2] or [2, 2, 2], strides has {[list(s) for s in network.strides]}. Use those"
    if any(y != x or y not in sizes or z not in (FLAT, y) for z, y, x in network.kernels):
        known = " or ".join(f"[1, {n}, {n}] or [{n}, {n}, {n}]" for n in sorted(sizes))
        yield f"{kind} has kernels of {known}, kernels has {[list(k) for k in network.kernels]}. Use those"
    if network.outer not in ((1, 5, 5), (5, 5, 5)):
        yield f"outer is {list(network.outer)}. Use [1, 5, 5] or [5, 5, 5]"
    cubic = [z != FLAT for z, _, _ in network.kernels]
    strided = [z == 2 for z, _, _ in network.strides]
    if network.backbone != "efficientnet" and cubic[1:] != strided[1:]:
        told = f"kernels are isotropic in stages {_places(cubic)}, strides in {_places(strided)}"
        yield f"{told}. Use [3, 3, 3] where all axes are halved, and [1, 3, 3] elsewhere"
    if network.dimensions == 2 and (any(cubic) or any(strided)):
        yield f"{kind} sees each section by itself. Use strides of [1, 2, 2] and kernels of [1, 3, 3]"
    if network.outer[0] == 5 and not (cubic[0] if kind == "v1_fpn_3d" else all(cubic)):
        yield "outer is [5, 5, 5] in isotropic networks only. Use [1, 5, 5]"
    yield from _wrong_blocks(network)


def _wrong_blocks(network: V1Network) -> Iterator[str]:
    """Numbers of blocks that v1 did not have."""
    fixed = list(network.blocks)
    if network.backbone is None:
        fixed = [1] * len(fixed)
    elif network.backbone != "efficientnet":
        fixed[:1] = [1]
    if network.backbone == "botnet":
        fixed[-1:] = [BOTNET_BLOCKS]
    if fixed != network.blocks:
        yield f"{network.kind} has blocks such as {fixed}, got {network.blocks}. Use those"


def _places(chosen: Sequence[bool]) -> list[int]:
    return [number for number, one in enumerate(chosen) if one]


def _wrong_layers(network: V1Network) -> Iterator[str]:
    """Combinations of backbone, block, attention and pooling that v1 did not have."""
    kind, backbone = network.kind, network.backbone
    if (kind == "v1_fpn_3d") != (backbone is not None):
        yield f"backbone is {backbone or 'null'}, kind is {kind}. {'Give one' if backbone is None else 'Use null'}"
    known = BLOCKS_OF[backbone] if backbone else BLOCKS_2D if network.dimensions == 2 else BLOCKS_3D
    if network.block not in known:
        yield f"{backbone or kind} has blocks of {' or '.join(known)}, block is {network.block}. Use one of those"
    if (backbone == "efficientnet") != (network.attention is not None):
        yield f"attention is efficientnet's, backbone is {backbone or 'null'}. {'Use null' if network.attention else 'Give one'}"
    if kind == "v1_fpn_3d" and network.pooling != "stride":
        yield f"v1_fpn_3d is made coarser by strides, pooling is {network.pooling}. Use stride"


def _wrong_features(network: V1Network) -> Iterator[str]:
    """Features that the norms and blocks do not divide."""
    by, who = 1, "squeeze and excitation"
    if network.norm == "gn":
        by, who = GROUPS[network.dimensions], f"group normalization in {network.dimensions}D"
    elif network.block == "inverted_res_dilated":
        by, who = 4, "inverted_res_dilated"
    if any(feature % by for feature in network.features):
        yield f"{who} needs features that divide by {by}, got {network.features}. Use those, or another norm"
    least = REDUCTION[network.dimensions] if "_se" in network.block else 8 if network.attention else 1
    if min(network.features) < least:
        yield f"{network.block} needs at least {least} features, got {network.features}. Use more, or another block"
