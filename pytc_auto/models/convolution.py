"""Convolutions on a CPU: by the faster kernels, in the faster layout.

torch hands a convolution to oneDNN, except one in float32 of a single small sample (channels × Z × Y at most 20,480), which an
older routine takes that is up to twenty times slower: the stem and the coarse stages of any network whose patches come one by
one, most of a narrow one. There oneDNN is called by its name and gives the same numbers. In bf16 all goes to oneDNN as it is.

Where channels are last, oneDNN's convolutions are faster, the gradients of weights most of all; depthwise ones of float32 are
slower. Layouts are handed on from layer to layer by the weights, in bf16 from the patch on. Timings are in docs/log.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from pytc_auto.models.precision import computed_in
from pytc_auto.schema.plan import Precision

SMALL = 20_480
"""Channels × Z × Y up to which torch 2 keeps a single sample from oneDNN (``ConvParams::use_mkldnn`` in its source)."""


class Convolution(nn.Conv3d):
    """torch's convolution, whose small samples are oneDNN's as well.

    Attributes:
        begins_channels_last: A single channel is taken as one that comes last. torch reads a layout from strides, and those of
            one channel fit both.
    """

    begins_channels_last = False

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(1 to N, inputs, Z, Y, X) to (N, outputs, Z', Y', X')."""
        if self.begins_channels_last:
            features = _channels_last(features)
        stride, padding, dilation = self.stride, self.padding, self.dilation
        if isinstance(padding, str) or not self._is_kept_from_onednn(features):
            return super().forward(features)
        made: torch.Tensor = _OneDnn.apply(features, self.weight, self.bias, padding, stride, dilation)
        return made

    def _is_kept_from_onednn(self, features: torch.Tensor) -> bool:
        """Whether torch would take its slow routine; a kernel of one voxel is a plain product there, and stays."""
        return (
            features.device.type == "cpu"
            and features.dtype == self.weight.dtype == torch.float32
            and len(features) == 1
            and features.shape[1:4].numel() <= SMALL
            and self.groups == 1
            and max(self.kernel_size) > 1
            and self.padding_mode == "zeros"
            and not torch.is_autocast_enabled("cpu")
            and torch.backends.mkldnn.is_available()
        )


class _OneDnn(torch.autograd.Function):
    """oneDNN's convolution with its own backward pass, which torch would not choose for a dense sample."""

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917
        ctx: Any,
        features: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        padding: Sequence[int],
        stride: Sequence[int],
        dilation: Sequence[int],
    ) -> torch.Tensor:
        """(1, inputs, Z, Y, X) to (1, outputs, Z', Y', X')."""
        ctx.save_for_backward(features, weight)
        ctx.geometry = stride, padding, dilation
        ctx.bias_shape = None if bias is None else list(bias.shape)
        return torch.mkldnn_convolution(features, weight, bias, padding, stride, dilation, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Of features, weight and bias, each laid out as what it belongs to."""
        features, weight = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        made = torch.ops.aten.convolution_backward(
            gradients[0].to_mkldnn(),
            features.to_mkldnn(),
            weight,
            ctx.bias_shape,
            *ctx.geometry,
            False,
            [0, 0, 0],
            1,
            wanted,
        )
        of_features, of_weight, of_bias = (made[place].to_dense() if want else None for place, want in enumerate(wanted))
        return _as(of_features, features), _as(of_weight, weight), of_bias, None, None, None


def _as(gradient: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor | None:
    """The gradient in the layout of what it belongs to."""
    return None if gradient is None else torch.empty_like(like).copy_(gradient)


def with_own_convolutions(network: nn.Module) -> nn.Module:
    """The network, changed in place: torch's plain convolutions are the one above, with the weights they have."""
    for module in network.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = Convolution
    return network


def laid_out(network: nn.Module, precision: Precision, device: str) -> nn.Module:
    """The network, its weights changed in place to the layout in which it is fastest there.

    Kernels of one voxel or one channel are the same in both layouts. Their strides are those that their gradients come with, or
    else DDP would warn: as they were in float32, with channels last in 16 bits.

    Args:
        network: On the device.
        precision: In which it is wanted; what the device computes in decides.
        device: As torch names it.
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv3d)]
    on_cpu = torch.device(device).type == "cpu"
    half = on_cpu and computed_in(precision, device) != "fp32"
    if half or (on_cpu and all(module.groups == 1 for module in convolutions)):
        for weight in (parameter for parameter in network.parameters() if parameter.ndim == 5):
            last = weight.data.contiguous(memory_format=torch.channels_last_3d)
            weight.data = _channels_last(last) if half else last
    for module in convolutions:
        if isinstance(module, Convolution):
            module.begins_channels_last = half and module.in_channels == 1
    return network


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """The same values with channels last by their strides, which torch leaves open for a single channel or voxel."""
    _, c, z, y, x = tensor.shape
    return tensor.contiguous(memory_format=torch.channels_last_3d).as_strided(
        tensor.shape, (c * z * y * x, 1, c * y * x, c * x, c)
    )
