"""Instance normalization that is fast on a CPU too."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class InstanceNorm(nn.InstanceNorm3d):
    """torch's affine instance normalization, on a CPU computed as group normalization with one channel a group.

    The two are the same formula. torch's CPU kernel for groups keeps channels last, the layout in which convolutions are fastest;
    its kernel for instances copies. On two cores, for a 64³ patch in bf16, a forward pass takes 0.046 s (channels last) instead
    of 0.058 s. Backward it is slow where channels are last (16 of them at 64³ in float32: 117 ms; batch normalization 18 ms), so
    in training a single sample is normalized as a batch of one, which is the same formula, too.
    On a GPU autocast would raise group normalization to float32, so there torch's own is kept.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-5, affine=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Each channel of each sample to mean 0 and variance 1, then scaled and shifted; (N, C, Z, Y, X)."""
        if features.device.type != "cpu":
            return super().forward(features)
        alone = len(features) == 1 and features.shape[2:].numel() > 1
        if alone and torch.is_grad_enabled():
            return functional.batch_norm(features, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return functional.group_norm(features, self.num_features, self.weight, self.bias, self.eps)


def with_own_norms(network: nn.Module) -> nn.Module:
    """The network, changed in place: its affine instance normalizations are the one above, with fresh weights."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.InstanceNorm3d) and not isinstance(child, InstanceNorm):
                setattr(module, name, InstanceNorm(child.num_features))
    return network
