"""The backbone efficientnet: depthwise convolutions between point-wise ones, with attention over channels or places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import nn
from torch.nn import functional

from pytc_auto.geometry import zyx
from pytc_auto.models.v1.blocks import SqueezeExcitation
from pytc_auto.models.v1.layers import POINT, activation, conv_norm_act, convolution, norm
from pytc_auto.schema.network_v1 import V1Network

FIRST_KERNEL = (3, 3, 3)
DILATIONS = (1, 2, 4, 8)
REDUCTION, POOLED_REDUCTION = 8, 4
Z, Y, X = 2, 3, 4
"""Axes of a map."""


def efficientnet(design: V1Network) -> Iterator[tuple[str, nn.Module]]:
    """A convolution with norm and activation, then five stages of inverted residual blocks whose first strides.

    Source:
        Tan and Le 2019, ICML; Lin et al. 2021 (arXiv:2112.05754).
    """
    features, dilated = design.features, design.block == "inverted_res_dilated"
    yield "conv1", DilatedStem(design) if dilated else convolution(design, 1, features[0], FIRST_KERNEL)
    yield "bn1", norm(design.norm, features[0])
    yield "relu", activation(design.activation)
    made = InvertedDilated if dilated else Inverted
    for stage, feature in enumerate(features):
        kernel, before = design.kernels[stage], features[max(0, stage - 1)]
        first = made(design, before, feature, kernel, design.strides[stage])
        others = (made(design, feature, feature, kernel, POINT) for _ in range(design.blocks[stage] - 1))
        yield f"layer{stage}", nn.Sequential(first, *others)


class DilatedStem(nn.Module):
    """Convolutions of several dilations side by side."""

    def __init__(self, design: V1Network) -> None:
        super().__init__()
        width = design.features[0] // len(DILATIONS)
        self.conv = nn.ModuleList(convolution(design, 1, width, FIRST_KERNEL, dilation=n) for n in DILATIONS)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 1, Z, Y, X) to (N, C, Z, Y, X)."""
        return torch.cat([layer(image) for layer in self.conv], dim=1)


class Inverted(nn.Module):
    """Point-wise, depthwise, attention, point-wise; and what came in, averaged and projected where the size changes."""

    def __init__(self, design: V1Network, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.layers1 = nn.Sequential(
            *_point(design, inputs, inputs),
            activation(design.activation),
            convolution(design, inputs, inputs, kernel, stride=stride, groups=inputs),
            norm(design.norm, inputs),
            activation(design.activation),
        )
        self.layers2 = nn.Sequential(*_point(design, inputs, outputs))
        self.attention = ATTENTION[design.attention or "none"](inputs)
        self.projector = _projector(design, inputs, outputs, stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, Z, Y, X) to (N, outputs, ...)."""
        result: torch.Tensor = self.layers2(self.attention(self.layers1(features)))
        return result + self.projector(_evened(features, result))


class InvertedDilated(nn.Module):
    """The same with four depthwise convolutions of different dilation, each for a quarter of the features."""

    def __init__(self, design: V1Network, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        part = inputs // len(DILATIONS)
        self.DWConv = nn.ModuleList(
            convolution(design, part, part, kernel, stride=stride, groups=part, dilation=n) for n in DILATIONS
        )
        self.layers1_a = nn.Sequential(*_point(design, inputs, inputs), activation(design.activation))
        self.layers1_b = nn.Sequential(norm(design.norm, inputs), activation(design.activation))
        self.layers2 = nn.Sequential(*_point(design, inputs, outputs))
        self.attention = ATTENTION[design.attention or "none"](inputs)
        self.projector = _projector(design, inputs, outputs, stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, Z, Y, X) to (N, outputs, ...)."""
        parts = self.layers1_a(features).chunk(len(DILATIONS), dim=1)
        spread = torch.cat([layer(part) for layer, part in zip(self.DWConv, parts, strict=True)], dim=1)
        result: torch.Tensor = self.layers2(self.attention(self.layers1_b(spread)))
        return result + self.projector(_evened(features, result))


class PooledAttention(nn.Module):
    """Each value times a number that the means along two axes (strips) or one (planes) give.

    Source:
        Hou et al. 2020, CVPR.
    """

    def __init__(self, features: int, kept: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__()
        narrow = features // POOLED_REDUCTION
        self.means = {name: [axis for axis in (Z, Y, X) if axis not in axes] for name, axes in kept.items()}
        for name, axes in kept.items():
            z, y, x = (3 if axis in axes else 1 for axis in (Z, Y, X))
            self.add_module(name, nn.Conv3d(features, narrow, (z, y, x), padding=(z // 2, y // 2, x // 2)))
        self.conv1x1x1 = nn.Conv3d(narrow, features, 1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, Z, Y, X) to the same shape."""
        pooled = [self.get_submodule(name)(features.mean(axes, keepdim=True)) for name, axes in self.means.items()]
        first, second, third = (functional.relu(one) for one in pooled)
        weights: torch.Tensor = self.conv1x1x1(first + second + third).sigmoid()
        return features * weights


ATTENTION: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {
        "squeeze_excitation": lambda features: SqueezeExcitation(features, REDUCTION, "relu"),
        "strip_pool": lambda features: PooledAttention(features, {"conv_z": (Z,), "conv_y": (Y,), "conv_x": (X,)}),
        "plane_pool": lambda features: PooledAttention(features, {"conv_zy": (Z, Y), "conv_yx": (Y, X), "conv_xz": (Z, X)}),
        "none": lambda _: nn.Identity(),
    }
)


def _point(design: V1Network, inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """A point-wise convolution and its norm."""
    return convolution(design, inputs, outputs, POINT), norm(design.norm, outputs)


def _projector(design: V1Network, inputs: int, outputs: int, stride: Sequence[int]) -> nn.Module:
    """What is done to what came in: averaged over the stride, brought to the features."""
    if set(stride) != {1}:
        return nn.Sequential(nn.AvgPool3d(zyx(stride)), conv_norm_act(design, inputs, outputs, POINT, act="none"))
    return nn.Identity() if inputs == outputs else conv_norm_act(design, inputs, outputs, POINT, act="none")


def _evened(features: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
    """One voxel is added at both ends of the axes that become shorter and are of odd extent, so that averages cover all."""
    odd = [int(n != m and n % 2 == 1) for n, m in zip(features.shape[2:], result.shape[2:], strict=True)]
    if not any(odd):
        return features
    return functional.pad(features, [n for n in reversed(odd) for _ in range(2)], mode="replicate")
