"""The last stage of the backbone botnet: blocks in which each voxel sees all others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pytc_auto.models.v1.layers import activation
from pytc_auto.schema.network_v1 import BOTNET_BLOCKS, V1Network

HEADS, HEAD = 4, 32
"""Of the attention, and each one's features."""
NARROWER = 2


def bottleneck_stack(design: V1Network, extent: Sequence[int]) -> nn.Module:
    """Three blocks with batch normalization, the first of which halves all axes.

    Args:
        design: Features and activation.
        extent: Of the map that comes in, (z, y, x).

    Source:
        Srinivas et al. 2021, CVPR.
    """
    before, feature = design.features[-2:]
    inner = [n // 2 for n in extent]
    blocks = [Bottleneck(design, before, feature, extent, halves=True)]
    blocks += [Bottleneck(design, feature, feature, inner, halves=False) for _ in range(BOTNET_BLOCKS - 1)]
    return Stack(nn.Sequential(*blocks))


class Stack(nn.Module):
    """The blocks, under v1's name."""

    def __init__(self, net: nn.Sequential) -> None:
        super().__init__()
        self.net = net

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, Z, Y, X) to (N, outputs, Z / 2, Y / 2, X / 2)."""
        result: torch.Tensor = self.net(features)
        return result


class Bottleneck(nn.Module):
    """Narrow, attend, widen; and what came in."""

    def __init__(self, design: V1Network, inputs: int, outputs: int, extent: Sequence[int], *, halves: bool) -> None:
        super().__init__()
        act, narrow, attended = activation(design.activation), outputs // NARROWER, HEADS * HEAD
        self.shortcut: nn.Module = nn.Identity()
        if halves:
            strided = nn.Conv3d(inputs, outputs, 3, stride=2, padding=1, bias=False, padding_mode="replicate")
            self.shortcut = nn.Sequential(strided, nn.BatchNorm3d(outputs), act)
        last = nn.BatchNorm3d(outputs)
        self.net = nn.Sequential(
            nn.Conv3d(inputs, narrow, 1, bias=False),
            nn.BatchNorm3d(narrow),
            act,
            Attention(narrow, extent),
            nn.AvgPool3d(3, stride=2, padding=1) if halves else nn.Identity(),
            nn.BatchNorm3d(attended),
            act,
            nn.Conv3d(attended, outputs, 1, bias=False),
            last,
        )
        self.activation = act
        nn.init.zeros_(last.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, Z, Y, X) to (N, outputs, ...)."""
        result: torch.Tensor = self.activation(self.net(features) + self.shortcut(features))
        return result


class Attention(nn.Module):
    """Each voxel sees all others, by what they hold and where they lie."""

    def __init__(self, features: int, extent: Sequence[int]) -> None:
        super().__init__()
        self.to_qkv = nn.Conv3d(features, 3 * HEADS * HEAD, 1, bias=False)
        self.pos_emb = Positions(extent)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, Z, Y, X) to (N, heads x features, Z, Y, X)."""
        joined = self.to_qkv(features).flatten(2).unflatten(1, (3, HEADS, HEAD)).transpose(3, 4)
        query, key, value = joined.unbind(1)
        query = query * HEAD**-0.5
        weights = (query @ key.transpose(2, 3) + query @ self.pos_emb().T).softmax(-1)
        attended: torch.Tensor = (weights @ value).transpose(2, 3).flatten(1, 2).unflatten(2, features.shape[2:])
        return attended


class Positions(nn.Module):
    """What is learned of each place: the sum of what is learned of its z, y and x."""

    def __init__(self, extent: Sequence[int]) -> None:
        super().__init__()
        self.depth, self.height, self.width = (nn.Parameter(torch.randn(n, HEAD) * HEAD**-0.5) for n in extent)

    def forward(self) -> torch.Tensor:
        """(Z x Y x X, features)."""
        return (self.depth[:, None, None] + self.height[:, None] + self.width).flatten(0, 2)
