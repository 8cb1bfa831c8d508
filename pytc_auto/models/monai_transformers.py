"""MONAI's networks with attention: Swin UNETR, within windows, and UNETR, over the whole patch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pytc_auto.geometry import Zyx
from pytc_auto.models.norm import with_own_norms
from pytc_auto.schema.network import Network

INSTANCE = ("instance", {"affine": True})
HEAD = 64
"""Features of an attention head."""
HEADS = 3
"""Of a Swin UNETR's first transformer stage; they double with the features."""
SKIPS = (3, 6, 9)
"""Transformer blocks of a UNETR whose tokens go to the decoder, fine to coarse."""


def swin_unetr(network: Network, channels: int) -> nn.Module:
    """MONAI's Swin UNETR with windows of 7 x 7 x 7 tokens of 2 x 2 x 2 voxels.

    Args:
        network: Topology; ``blocks`` counts the transformer blocks of the second to the fifth stage.
        channels: Output channels.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits.

    Source:
        Hatamizadeh et al. 2022 (arXiv:2201.01266).
    """
    from monai.networks.nets.swin_unetr import SwinUNETR

    made = SwinUNETR(
        in_channels=1,
        out_channels=channels,
        depths=network.blocks[1:5],
        num_heads=[HEADS * 2**i for i in range(4)],
        feature_size=network.features[0],
        norm_name=INSTANCE,
    )
    _fix_indices(made)
    return with_own_norms(made)


def _fix_indices(made: nn.Module) -> None:
    """Take the tables of relative positions, whole numbers, out of the state, which is averaged over the training."""
    for module in made.modules():
        if "relative_position_index" in module._buffers:
            index = module._buffers.pop("relative_position_index")
            object.__setattr__(module, "relative_position_index", index)


def unetr(network: Network, channels: int, patch: Zyx) -> nn.Module:
    """MONAI's UNETR: a vision transformer on tokens of 16 x 16 x 16 voxels, and a convolutional decoder.

    Args:
        network: Topology; the last stage is the transformer.
        channels: Output channels.
        patch: It has one position for each token of this extent. For other extents they are interpolated.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits.

    Source:
        Hatamizadeh et al. 2022, WACV.
    """
    from monai.networks.nets.unetr import UNETR

    hidden = network.features[-1]
    made = UNETR(
        in_channels=1,
        out_channels=channels,
        img_size=patch,
        feature_size=network.features[0],
        hidden_size=hidden,
        mlp_dim=4 * hidden,
        num_heads=next(n for n in range(max(1, hidden // HEAD), 0, -1) if hidden % n == 0),
        norm_name=INSTANCE,
    )
    for block in made.vit.blocks:
        block.norm_cross_attn = nn.Identity()
    return Unetr(with_own_norms(made))


class Unetr(nn.Module):
    """MONAI's UNETR for patches of any extent that divides by 16."""

    vit: Any
    encoder1: nn.Module
    encoder2: nn.Module
    encoder3: nn.Module
    encoder4: nn.Module
    decoder2: nn.Module
    decoder3: nn.Module
    decoder4: nn.Module
    decoder5: nn.Module
    out: nn.Module

    def __init__(self, made: Any) -> None:
        super().__init__()
        self.grid: list[int] = list(made.feat_size)
        for name, child in made.named_children():
            self.add_module(name, child)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 1, Z, Y, X) to logits, (N, channels, Z, Y, X)."""
        maps = self._tokens(image)
        x = maps.pop()
        steps = [(self.decoder5, self.encoder4), (self.decoder4, self.encoder3), (self.decoder3, self.encoder2)]
        for decode, encode in steps:
            x = decode(x, encode(maps.pop()))
        logits: torch.Tensor = self.out(self.decoder2(x, self.encoder1(image)))
        return logits

    def _tokens(self, image: torch.Tensor) -> list[torch.Tensor]:
        """What the transformer makes of the image, (N, hidden, Z / 16, Y / 16, X / 16): for the skips, and at its end."""
        embedding = self.vit.patch_embedding
        embedded = embedding.patch_embeddings(image)
        x = (embedded + self._positions(list(embedded.shape[2:]))).flatten(2).transpose(1, 2)
        kept = []
        for number, block in enumerate(self.vit.blocks):
            x = block(x)
            kept += [x] if number in SKIPS else []
        return [tokens.transpose(1, 2).unflatten(2, embedded.shape[2:]) for tokens in [*kept, self.vit.norm(x)]]

    def _positions(self, grid: list[int]) -> torch.Tensor:
        """The learned positions, (1, hidden, Z, Y, X) tokens."""
        learned: torch.Tensor = self.vit.patch_embedding.position_embeddings.transpose(1, 2).unflatten(2, self.grid)
        return learned if grid == self.grid else functional.interpolate(learned, grid, mode="trilinear")
