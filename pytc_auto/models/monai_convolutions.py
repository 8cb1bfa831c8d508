"""MONAI's convolutional networks: a nnU-Net, a residual U-Net that adds its skips, and a grid of cells."""

from __future__ import annotations

import contextlib
import io

from torch import nn

from pytc_auto.models.norm import with_own_norms
from pytc_auto.schema.network import Network

INSTANCE = ("instance", {"affine": True})
CONVOLUTION_3 = 1
"""Number of the 3 x 3 x 3 convolution among a cell's operations."""


def dynunet(network: Network, channels: int) -> nn.Module:
    """MONAI's U-Net after nnU-Net: two convolutions a stage in encoder and decoder, without biases, joined by transposed ones.

    A stage of the decoder has the kernels of its own stage, as in nnU-Net; MONAI would give it those of the coarser one.

    Args:
        network: Topology.
        channels: Output channels.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits.

    Source:
        Isensee et al. 2021, Nature Methods 18(2).
    """
    from monai.networks.blocks.dynunet_block import UnetBasicBlock
    from monai.networks.nets.dynunet import DynUNet

    made = DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=channels,
        kernel_size=network.kernels,
        strides=network.strides,
        upsample_kernel_size=network.strides[1:],
        filters=network.features,
        norm_name=INSTANCE,
    )
    for stage, up in enumerate(reversed(made.upsamples)):
        feature = network.features[stage]
        up.conv_block = UnetBasicBlock(3, 2 * feature, feature, network.kernels[stage], 1, INSTANCE)
    return with_own_norms(made.apply(made.initialize_weights))


def segresnet(network: Network, channels: int) -> nn.Module:
    """MONAI's residual encoder with a light decoder: trilinear upsampling, skips that are added, one block a stage.

    Norms are of single channels as in our other networks; groups of channels would be raised to float32 by autocast.

    Args:
        network: Topology; ``blocks`` counts the residual blocks of two convolutions in the encoder.
        channels: Output channels.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits.

    Source:
        Myronenko 2018 (arXiv:1810.11654), without the autoencoder.
    """
    from monai.networks.nets.segresnet import SegResNet

    made = SegResNet(
        init_filters=network.features[0],
        in_channels=1,
        out_channels=channels,
        norm=INSTANCE,
        blocks_down=tuple(network.blocks),
        blocks_up=(1,) * (len(network.blocks) - 1),
    )
    return with_own_norms(made)


def dints(network: Network, channels: int) -> nn.Module:
    """MONAI's DiNTS with all paths between neighbouring scales open and a 3 x 3 x 3 convolution in each cell.

    Which paths a search would close is not in a plan.

    Args:
        network: Topology; the first stage is the stem, all others have ``blocks`` cells one after another.
        channels: Output channels.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits.

    Source:
        He et al. 2021, CVPR.
    """
    import numpy as np
    from monai.networks.nets.dints import DiNTS, TopologyInstance

    columns, scales = network.blocks[1], len(network.features) - 1
    paths = np.ones((columns, 3 * scales - 2), dtype=np.int64)
    with contextlib.redirect_stdout(io.StringIO()):
        space = TopologyInstance(
            arch_code=[paths, paths * CONVOLUTION_3],
            channel_mul=network.features[0] / 32,
            num_blocks=columns,
            num_depths=scales,
            norm_name=INSTANCE,
        )
    return with_own_norms(DiNTS(space, in_channels=1, num_classes=channels, norm_name=INSTANCE))
