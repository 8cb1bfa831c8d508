"""MedNeXt with a kernel and a stride of its own per stage and axis, as MONAI names its parts."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pytc_auto.geometry import Zyx
from pytc_auto.models.norm import InstanceNorm
from pytc_auto.schema.network import Network


def mednext(network: Network, channels: int) -> nn.Module:
    """The MedNeXt of a plan, with torch's default initialization as in its authors' code.

    With cubic kernels, strides of 2 and features that double, weights and outputs are those of MONAI's ``MedNeXt`` (group norm
    of one channel a group, residual connections), key for key.

    Args:
        network: Topology; the coarsest stage is the bottleneck, the decoder mirrors the encoder.
        channels: Output channels.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits.

    Source:
        Roy et al. 2023, MICCAI.
    """
    return MedNeXt(network, channels)


class MedNeXt(nn.Module):
    """Encoder, bottleneck and decoder of inverted depthwise blocks."""

    def __init__(self, network: Network, channels: int) -> None:
        super().__init__()
        features, expansion = network.features, network.expansion or []
        self.checkpointing = network.checkpointing
        fine_to_coarse = range(len(features) - 1)

        def blocks(stage: int) -> Stage:
            width = features[stage]
            made = (Block(width, width, expansion[stage], network.kernels[stage]) for _ in range(network.blocks[stage]))
            return Stage(*made, checkpointing=network.checkpointing)

        def step(stage: int) -> tuple[int, Zyx, Zyx]:
            return expansion[stage], network.kernels[stage], network.strides[stage + 1]

        self.stem = nn.Conv3d(1, features[0], 1)
        self.enc_stages = nn.ModuleList(blocks(i) for i in fine_to_coarse)
        self.down_blocks = nn.ModuleList(DownBlock(features[i], features[i + 1], *step(i)) for i in fine_to_coarse)
        self.bottleneck = blocks(len(features) - 1)
        self.up_blocks = nn.ModuleList(UpBlock(features[i + 1], features[i], *step(i)) for i in reversed(fine_to_coarse))
        self.dec_stages = nn.ModuleList(blocks(i) for i in reversed(fine_to_coarse))
        self.out_0 = Head(features[0], channels)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 1, Z, Y, X) to logits, (N, channels, Z, Y, X)."""
        x = self.stem(image)
        skips = []
        for stage, down in zip(self.enc_stages, self.down_blocks, strict=True):
            x = stage(x)
            skips.append(x)
            x = _through(down, x, self.checkpointing)
        x = self.bottleneck(x)
        for up, stage in zip(self.up_blocks, self.dec_stages, strict=True):
            x = stage(_through(up, x, self.checkpointing) + skips.pop())
        logits: torch.Tensor = self.out_0(x)
        return logits


def _through(block: nn.Module, x: torch.Tensor, checkpointing: bool) -> torch.Tensor:
    """With checkpointing the block is computed again in the backward pass, and only its input is kept."""
    made: torch.Tensor = checkpoint(block, x, use_reentrant=False) if checkpointing and torch.is_grad_enabled() else block(x)
    return made


class Stage(nn.Sequential):
    """Block after block."""

    def __init__(self, *blocks: nn.Module, checkpointing: bool) -> None:
        super().__init__(*blocks)
        self.checkpointing = checkpointing

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, features, Z, Y, X) to the same."""
        for block in self:
            x = _through(block, x, self.checkpointing)
        return x


class Block(nn.Module):
    """Depthwise convolution, norm, expansion, GELU, compression; what comes in is added."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: Zyx) -> None:
        super().__init__()
        self.conv1: nn.Module = nn.Conv3d(inputs, inputs, kernel, padding=_half(kernel), groups=inputs)
        self.norm = InstanceNorm(inputs)
        self.conv2 = nn.Conv3d(inputs, expansion * inputs, 1)
        self.act = nn.GELU()
        self.conv3 = nn.Conv3d(expansion * inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, Z, Y, X) to (N, outputs, Z, Y, X)."""
        return x + self.inner(x)

    def inner(self, x: torch.Tensor) -> torch.Tensor:
        """All but the addition."""
        inner: torch.Tensor = self.conv3(self.act(self.conv2(self.norm(self.conv1(x)))))
        return inner


class DownBlock(Block):
    """A block whose depthwise convolution strides; what comes in is strided and projected before it is added."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: Zyx, stride: Zyx) -> None:
        super().__init__(inputs, outputs, expansion, kernel)
        self.conv1 = nn.Conv3d(inputs, inputs, kernel, stride=stride, padding=_half(kernel), groups=inputs)
        self.res_conv = nn.Conv3d(inputs, outputs, 1, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, Z, Y, X) to (N, outputs, Z, Y, X over the stride)."""
        projected: torch.Tensor = self.res_conv(x)
        return self.inner(x) + projected


class UpBlock(Block):
    """The same with transposed convolutions, which give one voxel too few on an axis of stride 2; it is added in front."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: Zyx, stride: Zyx) -> None:
        super().__init__(inputs, outputs, expansion, kernel)
        self.conv1 = nn.ConvTranspose3d(inputs, inputs, kernel, stride=stride, padding=_half(kernel), groups=inputs)
        self.res_conv = nn.ConvTranspose3d(inputs, outputs, 1, stride=stride)
        self.front = [side for step in reversed(stride) for side in (step - 1, 0)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, Z, Y, X) to (N, outputs, Z, Y, X times the stride)."""
        return functional.pad(self.inner(x), self.front) + functional.pad(self.res_conv(x), self.front)


class Head(nn.Module):
    """Features to logits."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv_out = nn.ConvTranspose3d(inputs, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, Z, Y, X) to (N, channels, Z, Y, X)."""
        logits: torch.Tensor = self.conv_out(x)
        return logits


def _half(kernel: Zyx) -> Zyx:
    """Padding that keeps the extent."""
    return kernel[0] // 2, kernel[1] // 2, kernel[2] // 2
