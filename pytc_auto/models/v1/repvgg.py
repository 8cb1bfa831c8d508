"""The backbone repvgg: three branches in training, one convolution that does the same once it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from pytc_auto.models.v1.layers import POINT, activation, convolution
from pytc_auto.schema.network_v1 import V1Network

EPSILON = 1e-5
"""Of torch's batch normalization."""


def repvgg(design: V1Network) -> Iterator[tuple[str, nn.Module]]:
    """Five stages of blocks with batch normalization, whatever the design's norm.

    Source:
        Ding et al. 2021, CVPR.
    """
    made = Deployed if design.block == "repvgg_deployed" else Branched
    before = 1
    for stage, feature in enumerate(design.features):
        kernel, stride = design.kernels[stage], design.strides[stage]
        first = made(design, before, feature, kernel, stride)
        others = (made(design, feature, feature, kernel, POINT) for _ in range(design.blocks[stage] - 1))
        yield f"layer{stage}", nn.Sequential(first, *others)
        before = feature


class Branched(nn.Module):
    """A convolution, a point-wise one and, where nothing changes in size, the identity; each with a norm of its own."""

    def __init__(self, design: V1Network, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.act = activation(design.activation)
        self.rbr_identity = nn.BatchNorm3d(inputs) if inputs == outputs and set(stride) == {1} else None
        self.rbr_dense = _branch(convolution(design, inputs, outputs, kernel, stride=stride), outputs)
        self.rbr_1x1 = _branch(convolution(design, inputs, outputs, POINT, stride=stride), outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, Z, Y, X) to (N, outputs, ...)."""
        added = self.rbr_dense(features) + self.rbr_1x1(features)
        if self.rbr_identity is not None:
            added = added + self.rbr_identity(features)
        result: torch.Tensor = self.act(added)
        return result


class Deployed(nn.Module):
    """One convolution with bias in place of the branches."""

    def __init__(self, design: V1Network, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.act = activation(design.activation)
        self.rbr_reparam = convolution(design, inputs, outputs, kernel, stride=stride, bias=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, Z, Y, X) to (N, outputs, ...)."""
        result: torch.Tensor = self.act(self.rbr_reparam(features))
        return result


def _branch(made: nn.Module, features: int) -> nn.Sequential:
    branch = nn.Sequential()
    branch.add_module("conv", made)
    branch.add_module("bn", nn.BatchNorm3d(features))
    return branch


def deployed(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a network with branches as those of one with single convolutions; others stay.

    Args:
        state: Tensors by name, those of whole blocks.
    """
    marker = ".rbr_dense.conv.weight"
    blocks = [name.removesuffix(marker) for name in state if name.endswith(marker)]
    inside = tuple(f"{block}.rbr_" for block in blocks)
    made = {name: tensor for name, tensor in state.items() if not name.startswith(inside)}
    for block in blocks:
        made[f"{block}.rbr_reparam.weight"], made[f"{block}.rbr_reparam.bias"] = _joined(state, block)
    return made


def _joined(state: Mapping[str, torch.Tensor], block: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernel and bias of one convolution that gives what a block's branches give together, with their running statistics."""
    kernel = state[f"{block}.rbr_dense.conv.weight"]
    point = functional.pad(state[f"{block}.rbr_1x1.conv.weight"], _around(kernel))
    parts = [_folded(state, f"{block}.rbr_dense.bn", kernel), _folded(state, f"{block}.rbr_1x1.bn", point)]
    if f"{block}.rbr_identity.weight" in state:
        same = torch.eye(len(kernel), dtype=kernel.dtype)[..., None, None, None]
        parts.append(_folded(state, f"{block}.rbr_identity", functional.pad(same, _around(kernel))))
    return sum(k for k, _ in parts) + torch.zeros_like(kernel), sum(b for _, b in parts) + torch.zeros(len(kernel))


def _around(kernel: torch.Tensor) -> list[int]:
    """Zeros that make a point as large as a kernel, the last axis first."""
    return [n // 2 for n in reversed(kernel.shape[2:]) for _ in range(2)]


def _folded(state: Mapping[str, torch.Tensor], norm: str, kernel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A kernel times what the norm after it multiplies with, and what the norm adds."""
    factor = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + EPSILON)
    return kernel * factor.reshape(-1, 1, 1, 1, 1), state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * factor
