"""nnU-Net's plain convolutional U-Net with a kernel and a stride of its own per stage and axis."""

from __future__ import annotations

from torch import nn

from pytc_auto.errors import PlanError
from pytc_auto.models.norm import InstanceNorm
from pytc_auto.schema.plan import Network

SLOPE = 1e-2


def unet(network: Network, channels: int) -> nn.Module:
    """The U-Net of a plan, initialised after He et al. for leaky ReLU.

    Args:
        network: Topology; the decoder has in each stage as many convolutions as the encoder.
        channels: Output channels.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits. Every parameter takes part in the output.

    Raises:
        PlanError: There is a single stage, which has no decoder.

    Source:
        Isensee et al. 2021, Nature Methods 18(2); He et al. 2015, ICCV.
    """
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    if len(network.features) < 2:
        raise PlanError("network: a unet needs at least 2 stages, features has 1. Add a stage or two")
    made = PlainConvUNet(
        input_channels=1,
        n_stages=len(network.features),
        features_per_stage=list(network.features),
        conv_op=nn.Conv3d,
        kernel_sizes=[list(k) for k in network.kernels],
        strides=[list(s) for s in network.strides],
        n_conv_per_stage=list(network.blocks),
        num_classes=channels,
        n_conv_per_stage_decoder=list(reversed(network.blocks[:-1])),
        conv_bias=True,
        norm_op=InstanceNorm,
        norm_op_kwargs={},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"negative_slope": SLOPE, "inplace": True},
        deep_supervision=False,
    )
    made.decoder.seg_layers = made.decoder.seg_layers[-1:]
    made.apply(made.initialize)
    return made
