"""v1's feature pyramid: a backbone's maps of five stages, brought to one width and added from coarse to fine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import torch
from torch import nn
from torch.nn import functional

from pytc_auto.geometry import Zyx
from pytc_auto.models.v1.blocks import residual_block
from pytc_auto.models.v1.botnet import bottleneck_stack
from pytc_auto.models.v1.efficientnet import efficientnet
from pytc_auto.models.v1.layers import POINT, conv_norm_act, last_convolution, start_orthogonal
from pytc_auto.models.v1.repvgg import repvgg
from pytc_auto.schema.network import Network
from pytc_auto.schema.network_v1 import FPN_STAGES, V1Network

STAGES = tuple(f"layer{stage}" for stage in range(FPN_STAGES))


def v1_fpn(network: Network, channels: int, patch: Zyx) -> nn.Module:
    """The feature pyramid of a plan.

    Args:
        network: Topology and design, of kind v1_fpn_3d.
        channels: Output channels.
        patch: What it trains on; botnet's weights depend on it.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits, all of them before v1's activations.

    Source:
        Lin et al. 2017, CVPR; Lin et al. 2021 (arXiv:2112.05754).
    """
    assert isinstance(network, V1Network)
    return FPN(network, channels, patch)


class FPN(nn.Module):
    """Backbone, lateral convolutions, and the way from the coarsest map to the logits."""

    def __init__(self, design: V1Network, channels: int, patch: Zyx) -> None:
        super().__init__()
        width = design.features[0]
        self.backbone = nn.ModuleDict(dict(BACKBONES[design.backbone or "resnet"](design, patch)))
        self.latlayers = nn.ModuleList(conv_norm_act(design, feature, width, POINT) for feature in design.features)
        self.smooth = nn.ModuleList(conv_norm_act(design, width, width, kernel) for kernel in smoothing(design))
        self.conv_out = last_convolution(design, channels)
        start_orthogonal(self)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits."""
        features, maps = image, []
        for name, layer in self.backbone.items():
            features = layer(features)
            maps += [features] if name in STAGES else []
        lateral = [layer(kept) for layer, kept in zip(self.latlayers, maps, strict=True)]
        merged = lateral.pop()
        for smooth in reversed(list(self.smooth)[1:]):
            fine = lateral.pop()
            merged = smooth(functional.interpolate(merged, size=fine.shape[2:], mode="trilinear", align_corners=True)) + fine
        logits: torch.Tensor = self.conv_out(self.smooth[0](merged))
        return logits


def smoothing(design: V1Network) -> list[Zyx]:
    """Kernels of the convolutions that smooth each stage's sum: 3 where the stage's are longer than one voxel."""
    return [(1 if z == 1 else 3, 3, 3) for z, _, _ in design.kernels]


def resnet(design: V1Network, patch: Zyx) -> Iterator[tuple[str, nn.Module]]:  # noqa: ARG001
    """A convolution, then stages of residual blocks whose first strides; kernels are as the stage's."""
    yield STAGES[0], conv_norm_act(design, 1, design.features[0], design.outer)
    for stage in range(1, FPN_STAGES):
        yield STAGES[stage], _residual_stage(design, stage)


def botnet(design: V1Network, patch: Zyx) -> Iterator[tuple[str, nn.Module]]:
    """The same with a last stage of blocks with attention."""
    *convolutional, _ = resnet(design, patch)
    yield from convolutional
    extent = [-(-n // d) for n, d in zip(patch, design.coarseness(FPN_STAGES - 2), strict=True)]
    yield STAGES[-1], bottleneck_stack(design, extent)


def _residual_stage(design: V1Network, stage: int) -> nn.Sequential:
    before, feature, kernel = *design.features[stage - 1 : stage + 1], design.kernels[stage]
    first = residual_block(design, before, feature, kernel, design.strides[stage])
    return nn.Sequential(first, *(residual_block(design, feature, feature, kernel) for _ in range(design.blocks[stage] - 1)))


BACKBONES: Mapping[str, Callable[[V1Network, Zyx], Iterator[tuple[str, nn.Module]]]] = MappingProxyType(
    {
        "resnet": resnet,
        "botnet": botnet,
        "repvgg": lambda design, _patch: repvgg(design),
        "efficientnet": lambda design, _patch: efficientnet(design),
    }
)
"""Layers by name, in the order of the forward pass; layer0 to layer4 give the five maps."""
