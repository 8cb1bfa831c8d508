"""A network that works on blocks of voxels: each voxel of a block is a channel of the input, and has channels of the output."""

from __future__ import annotations

import torch
from torch import nn

from pytc_auto.geometry import Zyx


class Folded(nn.Module):
    """Voxels to channels, the network, channels to voxels.

    Source:
        Shi et al. 2016, CVPR (sub-pixel convolution).
    """

    def __init__(self, inner: nn.Module, block: Zyx) -> None:
        """Wrap a network.

        Args:
            inner: With as many input channels as a block has voxels, and as many outputs for each channel of the result.
            block: Extent, z, y, x.
        """
        super().__init__()
        self.inner = inner
        self.block = block

    def forward(self, image: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """(N, 1, Z, Y, X) to logits, (N, channels, Z, Y, X); with deep supervision a list, of which the finest are unfolded."""
        logits = self.inner(fold(image, self.block))
        return [unfold(logits[0], self.block), *logits[1:]] if isinstance(logits, list) else unfold(logits, self.block)


def fold(image_nczyx: torch.Tensor, block: Zyx) -> torch.Tensor:
    """(N, C, Z, Y, X) to (N, C times a block's voxels, Z, Y, X over its extent); voxels in the order z, y, x."""
    n, c, z, y, x = image_nczyx.shape
    a, b, d = block
    split = image_nczyx.reshape(n, c, z // a, a, y // b, b, x // d, d)
    return split.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, c * a * b * d, z // a, y // b, x // d)


def unfold(logits_nczyx: torch.Tensor, block: Zyx) -> torch.Tensor:
    """The reverse of ``fold``."""
    n, c, z, y, x = logits_nczyx.shape
    a, b, d = block
    split = logits_nczyx.reshape(n, c // (a * b * d), a, b, d, z, y, x)
    return split.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, c // (a * b * d), z * a, y * b, x * d)
