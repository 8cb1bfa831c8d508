"""Convolutions, norms and activations as v1 names and orders them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pytc_auto.schema.network_v1 import GROUPS, Activation, Norm, V1Network

SLOPE = 0.2
POINT = (1, 1, 1)

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {
        "relu": lambda: nn.ReLU(inplace=True),
        "leaky_relu": lambda: nn.LeakyReLU(SLOPE, inplace=True),
        "elu": lambda: nn.ELU(inplace=True),
        "gelu": nn.GELU,
        "silu": lambda: nn.SiLU(inplace=True),
        "swish": nn.SiLU,
        "efficient_swish": nn.SiLU,
        "none": nn.Identity,
    }
)
"""v1's two swishes and SiLU are one function."""


class GroupNorm(nn.GroupNorm):
    """torch's, in the precision of what comes in; autocast would raise it to float32, which doubles what training keeps."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Each group of each sample to mean 0 and variance 1, then scaled and shifted; (N, C, ...)."""
        if features.dtype == torch.float32:
            return super().forward(features)
        weight, bias = self.weight.to(features.dtype), self.bias.to(features.dtype)
        with torch.autocast(features.device.type, enabled=False):
            return functional.group_norm(features, self.num_groups, weight, bias, self.eps)


class SyncBatchNorm(nn.SyncBatchNorm):
    """torch's, which refuses the CPU where processes train together; there each has its own statistics."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Each channel to mean 0 and variance 1, then scaled and shifted; (N, C, ...)."""
        if features.device.type == "cpu":
            return nn.BatchNorm3d.forward(self, features)
        return super().forward(features)


def activation(name: Activation) -> nn.Module:
    """By v1's name of it."""
    return ACTIVATIONS[name]()


def norm(kind: Norm, features: int, dimensions: int = 3) -> nn.Module:
    """By v1's name of it; instance normalization has no weights, and the momentum is always torch's 0.1."""
    if kind == "gn":
        return GroupNorm(GROUPS[dimensions], features)
    if kind == "none":
        return nn.Identity()
    batch, instance = (nn.BatchNorm2d, nn.InstanceNorm2d) if dimensions == 2 else (nn.BatchNorm3d, nn.InstanceNorm3d)
    made = {"bn": batch, "sync_bn": SyncBatchNorm, "in": instance}[kind]
    return made(features)


def convolution(  # noqa: PLR0913
    design: V1Network,
    inputs: int,
    outputs: int,
    kernel: Sequence[int],
    *,
    stride: Sequence[int] = POINT,
    padding: Sequence[int] | None = None,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> nn.Module:
    """A convolution that keeps the extent where it does not stride, in the design's dimensions and padding mode.

    Args:
        design: Dimensions and padding mode.
        inputs: Features.
        outputs: Features.
        kernel: Along z, y, x, as all that follows; in 2D what is along z is left out.
        stride: In voxels.
        padding: In voxels; by default half the kernel.
        dilation: In the plane, and along z where the kernel is longer than one voxel there.
        groups: Of features.
        bias: Whether there is one.
    """
    spread = [dilation if k > 1 else 1 for k in kernel]
    around = [d * (k // 2) for k, d in zip(kernel, spread, strict=True)] if padding is None else padding
    made: Any = nn.Conv2d if design.dimensions == 2 else nn.Conv3d
    first = 3 - design.dimensions
    # A rim of no voxels would still be a copy of the map, wherever its values come from.
    mode = design.padding if any(around) else "zeros"
    layer: nn.Module = made(
        inputs,
        outputs,
        tuple(kernel[first:]),
        stride=tuple(stride[first:]),
        padding=tuple(around[first:]),
        dilation=tuple(spread[first:]),
        groups=groups,
        bias=bias,
        padding_mode=mode,
    )
    return layer


def conv_norm_act(  # noqa: PLR0913
    design: V1Network,
    inputs: int,
    outputs: int,
    kernel: Sequence[int],
    *,
    stride: Sequence[int] = POINT,
    padding: Sequence[int] | None = None,
    act: Activation | None = None,
) -> nn.Sequential:
    """Convolution, norm, activation: children 0, 1, 2. ``act`` is by default the design's."""
    return nn.Sequential(
        convolution(design, inputs, outputs, kernel, stride=stride, padding=padding),
        norm(design.norm, outputs, design.dimensions),
        activation(act or design.activation),
    )


def norm_act_conv(design: V1Network, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> nn.Sequential:
    """Norm, activation, convolution: children 0, 1, 2."""
    return nn.Sequential(
        norm(design.norm, inputs, design.dimensions),
        activation(design.activation),
        convolution(design, inputs, outputs, kernel, stride=stride),
    )


def last_convolution(design: V1Network, outputs: int) -> nn.Sequential:
    """To the logits: a convolution with bias, child 0."""
    return nn.Sequential(convolution(design, design.features[0], outputs, design.outer, bias=True))


def start_orthogonal(network: nn.Module) -> None:
    """Draw the kernels of all convolutions and linear layers, in place, as v1 did; biases stay.

    Source:
        Saxe et al. 2014, ICLR.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.orthogonal_(module.weight)
