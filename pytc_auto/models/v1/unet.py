"""v1's U-Nets: stages of one convolution and one residual block, skips that are added."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from pytc_auto.geometry import Zyx
from pytc_auto.models.v1.blocks import residual_block
from pytc_auto.models.v1.layers import POINT, conv_norm_act, convolution, last_convolution, norm, start_orthogonal
from pytc_auto.schema.network import Network
from pytc_auto.schema.network_v1 import V1Network

FLAT_KERNEL = (1, 3, 3)
"""Of a U-Net's blocks in every stage, isotropic ones included: v1 does not tell them, and its weights are of this shape."""
GROWTH = (1, 1, 1)
"""v1 pads the point-wise convolutions of the deepest map, which so becomes two voxels longer on each axis."""
INTERPOLATION = {4: "bilinear", 5: "trilinear"}
"""By the number of a map's axes, sample and features included."""


def v1_unet(network: Network, channels: int) -> nn.Module:
    """The U-Net of a plan, in 3D or section by section.

    Args:
        network: Topology and design, of kind v1_unet_3d, v1_unet_plus_3d, v1_unet_2d or v1_unet_plus_2d.
        channels: Output channels.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits, all of them before v1's activations.

    Source:
        Lin et al. 2021 (arXiv:2112.05754); Lee et al. 2017 (arXiv:1706.00120).
    """
    assert isinstance(network, V1Network)
    return (UNetPlus if "plus" in network.kind else UNet)(network, channels)


class UNet(nn.Module):
    """Encoder, decoder and the skips between them."""

    def __init__(self, design: V1Network, channels: int) -> None:
        super().__init__()
        features, strided = design.features, design.pooling == "stride"
        self.align, self.flat = strided, design.dimensions == 2
        self.conv_in = conv_norm_act(design, 1, features[0], design.outer)
        self.conv_out = last_convolution(design, channels)
        self.down_layers, self.up_layers = nn.ModuleList(), nn.ModuleList()
        for stage, feature in enumerate(features):
            kernel, stride, before = design.kernels[stage], design.strides[stage], features[max(0, stage - 1)]
            narrower = conv_norm_act(design, before, feature, kernel, stride=stride if strided else POINT)
            block = residual_block(design, feature, feature, FLAT_KERNEL)
            self.down_layers.append(nn.Sequential(_pooling(design, stride), narrower, block))
            if stage:
                wider = conv_norm_act(design, feature, before, kernel)
                self.up_layers.append(nn.ModuleList([wider, residual_block(design, before, before, FLAT_KERNEL)]))
        start_orthogonal(self)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits."""
        sections = image.shape[2]
        if self.flat:
            image = image.transpose(1, 2).flatten(0, 1)
        logits: torch.Tensor = self.conv_out(self._decoded(self._encoded(self.conv_in(image))))
        return logits.unflatten(0, (-1, sections)).transpose(1, 2) if self.flat else logits

    def _encoded(self, features: torch.Tensor) -> list[torch.Tensor]:
        """The maps of all stages, fine to coarse."""
        maps = []
        for down in self.down_layers:
            features = down(features)
            maps.append(features)
        return maps

    def _decoded(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """The finest stage's map, from those of the encoder."""
        decoded = deepest = self.deepened(maps[-1])
        for stage in reversed(range(len(self.up_layers))):
            narrow, block = self.up_layers[stage].children()
            decoded = block(self.with_deepest(self.added(narrow(decoded), maps[stage]), deepest, stage))
        return decoded

    def added(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """A coarse map resized to the extent of a fine one, and the fine one."""
        mode = INTERPOLATION[fine.ndim]
        return functional.interpolate(coarse, size=fine.shape[2:], mode=mode, align_corners=self.align) + fine

    def deepened(self, deepest: torch.Tensor) -> torch.Tensor:
        """What becomes of the coarsest map before it is decoded."""
        return deepest

    def with_deepest(self, decoded: torch.Tensor, deepest: torch.Tensor, stage: int) -> torch.Tensor:  # noqa: ARG002
        """What a stage of the decoder sees beside its skip."""
        return decoded


class UNetPlus(UNet):
    """A U-Net with attention on the coarsest map, which is added to all stages of the decoder."""

    def __init__(self, design: V1Network, channels: int) -> None:
        super().__init__(design, channels)
        *finer, deepest = design.features
        self.feat_layers = nn.ModuleList(conv_norm_act(design, deepest, feature, POINT, padding=GROWTH) for feature in finer)
        self.non_local = NonLocal(design, deepest)

    def deepened(self, deepest: torch.Tensor) -> torch.Tensor:
        """The coarsest map after attention."""
        attended: torch.Tensor = self.non_local(deepest)
        return attended

    def with_deepest(self, decoded: torch.Tensor, deepest: torch.Tensor, stage: int) -> torch.Tensor:
        """The coarsest map is added."""
        return self.added(self.feat_layers[stage](deepest), decoded)


class NonLocal(nn.Module):
    """Each voxel sees all others; a fresh one changes nothing.

    Source:
        Wang et al. 2018, CVPR.
    """

    def __init__(self, design: V1Network, features: int) -> None:
        super().__init__()
        inner = max(1, features // 2)
        self.g = convolution(design, features, inner, POINT, bias=True)
        last = norm(design.norm, features, design.dimensions)
        self.W = nn.Sequential(convolution(design, inner, features, POINT, bias=True), last)
        self.theta = convolution(design, features, inner, POINT, bias=True)
        self.phi = convolution(design, features, inner, POINT, bias=True)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) to the same shape."""
        query, key, value = (part(features).flatten(2) for part in (self.theta, self.phi, self.g))
        weights = (query.transpose(1, 2) @ key).softmax(-1)
        attended = (weights @ value.transpose(1, 2)).transpose(1, 2).unflatten(2, features.shape[2:])
        added: torch.Tensor = self.W(attended) + features
        return added


def _pooling(design: V1Network, stride: Zyx) -> nn.Module:
    """Before a stage: the maximum over the stride's voxels, or nothing."""
    if design.pooling == "stride" or set(stride) == {1}:
        return nn.Identity()
    return nn.MaxPool2d(stride[1:]) if design.dimensions == 2 else nn.MaxPool3d(stride)
