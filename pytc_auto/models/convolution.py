"""Convolutions on a CPU: by the faster kernels, in the faster layout.

torch hands a convolution to oneDNN, except one in float32 of a single small sample (channels × Z × Y at most 20,480), which an
older routine takes that is up to three times slower: the stem and the coarse stages of any network whose patches come one by one.
Where no gradients are wanted, oneDNN is called by its name and gives the same numbers; in training the backward pass would choose
again. In bf16 all goes to oneDNN as it is.

Where channels are last, oneDNN's convolutions are faster, the gradients of weights most of all; depthwise ones of float32 are
slower. Layouts are handed on from layer to layer by the weights, in bf16 from the patch on. Timings are in docs/log.md.
"""

from __future__ import annotations

import torch
from torch import nn

from pytc_auto.models.precision import computed_in
from pytc_auto.schema.plan import Precision

SMALL = 20_480
"""Channels × Z × Y up to which torch 2 keeps a single sample from oneDNN (``ConvParams::use_mkldnn`` in its source)."""


class Convolution(nn.Conv3d):
    """torch's convolution, whose small samples are oneDNN's as well where they are only predicted.

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
        if isinstance(padding, str) or torch.is_grad_enabled() or not self._is_kept_from_onednn(features):
            return super().forward(features)
        return torch.mkldnn_convolution(features, self.weight, self.bias, padding, stride, dilation, 1)

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
