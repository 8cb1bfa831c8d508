"""v1's residual blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pytc_auto.models.v1.layers import POINT, activation, conv_norm_act, norm_act_conv
from pytc_auto.schema.network_v1 import REDUCTION, Activation, V1Network


class Residual(nn.Module):
    """Two convolutions and what came in, projected where extent or features change; then the activation."""

    def __init__(self, design: V1Network, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Sequential(
            conv_norm_act(design, inputs, outputs, kernel, stride=stride),
            conv_norm_act(design, outputs, outputs, kernel, act="none"),
        )
        self.projector = _projector(design, inputs, outputs, stride)
        self.act: nn.Module = activation(design.activation)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) to (N, outputs, ...)."""
        added: torch.Tensor = self.conv(features) + self.projector(features)
        return self.act(added)


class PreActivated(nn.Module):
    """Norm and activation ahead of both convolutions, and none after what came in is added."""

    def __init__(self, design: V1Network, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Sequential(
            norm_act_conv(design, inputs, outputs, kernel, stride), norm_act_conv(design, outputs, outputs, kernel, POINT)
        )
        self.projector = _projector(design, inputs, outputs, stride)
        self.without_norm = design.norm == "none"

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) to (N, outputs, ...).

        Without a norm, v1's activation in place falls on what came in, so that it is the activated values that are added.
        """
        kept = features.clone() if self.without_norm else features
        added: torch.Tensor = self.conv(kept) + self.projector(kept)
        return added


class SqueezeExcitation(nn.Module):
    """Each channel times a number that the means of all channels give.

    Source:
        Hu et al. 2018, CVPR.
    """

    def __init__(self, features: int, reduction: int, act: Activation) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(features, features // reduction, bias=False),
            activation(act),
            nn.Linear(features // reduction, features, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) to the same shape."""
        weights: torch.Tensor = self.fc(features.flatten(2).mean(2))
        return features * weights.reshape(*weights.shape, *[1] * (features.ndim - 2))


def residual_block(
    design: V1Network, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int] = POINT
) -> nn.Module:
    """The design's block, residual or pre-activated, with squeeze and excitation or without."""
    made = (PreActivated if design.block.endswith("_pa") else Residual)(design, inputs, outputs, kernel, stride)
    if "_se" in design.block:
        made.conv = nn.Sequential(made.conv, SqueezeExcitation(outputs, REDUCTION[design.dimensions], design.activation))
    return made


def _projector(design: V1Network, inputs: int, outputs: int, stride: Sequence[int]) -> nn.Module:
    if inputs == outputs and set(stride) == {1}:
        return nn.Identity()
    return conv_norm_act(design, inputs, outputs, POINT, stride=stride, act="none")
