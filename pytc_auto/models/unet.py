"""nnU-Net's U-Nets, plain and with a residual encoder, with a kernel and a stride of its own per stage and axis."""

from __future__ import annotations

from typing import Any

from torch import nn

from pytc_auto.models.norm import InstanceNorm
from pytc_auto.schema.network import Network

SLOPE = 1e-2


def unet(network: Network, channels: int) -> nn.Module:
    """The U-Net of a plan, initialised after He et al. for leaky ReLU.

    Args:
        network: Topology; the decoder has in each stage as many convolutions as the encoder.
        channels: Output channels.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits. Every parameter takes part in the output.

    Source:
        Isensee et al. 2021, Nature Methods 18(2); He et al. 2015, ICCV.
    """
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    made = PlainConvUNet(
        **_common(network, channels),
        n_conv_per_stage=list(network.blocks),
        n_conv_per_stage_decoder=list(reversed(network.blocks[:-1])),
    )
    return _initialised(made)


def resenc(network: Network, channels: int) -> nn.Module:
    """The U-Net of a plan with residual blocks of two convolutions in the encoder, and one convolution a stage in the decoder.

    Args:
        network: Topology; ``blocks`` counts the residual blocks of each stage.
        channels: Output channels.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits. Every parameter takes part in the output.

    Source:
        Isensee et al. 2024, MICCAI; initialised after He et al. 2015, the last norm of each block as the identity's.
    """
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    made = ResidualEncoderUNet(
        **_common(network, channels),
        n_blocks_per_stage=list(network.blocks),
        n_conv_per_stage_decoder=[1] * (len(network.blocks) - 1),
    )
    return _initialised(made)


def _common(network: Network, channels: int) -> dict[str, Any]:
    """What both take."""
    return {
        "input_channels": 1,
        "n_stages": len(network.features),
        "features_per_stage": list(network.features),
        "conv_op": nn.Conv3d,
        "kernel_sizes": [list(k) for k in network.kernels],
        "strides": [list(s) for s in network.strides],
        "num_classes": channels,
        "conv_bias": True,
        "norm_op": InstanceNorm,
        "norm_op_kwargs": {},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"negative_slope": SLOPE, "inplace": True},
        "deep_supervision": False,
    }


def _initialised(made: Any) -> nn.Module:
    """Only the finest head is kept; weights as their authors draw them."""
    made.decoder.seg_layers = made.decoder.seg_layers[-1:]
    made.apply(made.initialize)
    network: nn.Module = made
    return network
