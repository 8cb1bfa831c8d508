"""MedNeXt as MONAI has it: isotropic."""

from __future__ import annotations

from torch import nn

from pytc_auto.errors import PlanError
from pytc_auto.schema.plan import Network


def mednext(network: Network, channels: int) -> nn.Module:
    """The MedNeXt of a plan, with torch's default initialization as in its authors' code.

    Args:
        network: Topology; the coarsest stage is the bottleneck, the decoder mirrors the encoder.
        channels: Output channels.

    Returns:
        (N, 1, Z, Y, X) to (N, channels, Z, Y, X) logits.

    Raises:
        PlanError: The topology is anisotropic or widens otherwise than by 2; all faults are listed.

    Source:
        Roy et al. 2023, MICCAI.
    """
    from monai.networks.nets.mednext import MedNeXt

    faults = _faults(network)
    if faults:
        raise PlanError(f"network: {'; '.join(faults)}. Change this, or use kind: unet, which can be anisotropic")
    down = list(network.blocks[:-1])
    return MedNeXt(
        spatial_dims=3,
        init_filters=network.features[0],
        in_channels=1,
        out_channels=channels,
        encoder_expansion_ratio=2,
        decoder_expansion_ratio=2,
        bottleneck_expansion_ratio=2,
        kernel_size=network.kernels[0][0],
        use_residual_connection=True,
        blocks_down=down,
        blocks_bottleneck=network.blocks[-1],
        blocks_up=down[::-1],
        norm_type="group",
    )


def _faults(network: Network) -> list[str]:
    """What MONAI's MedNeXt cannot do."""
    faults = []
    if len(network.features) < 2:
        faults.append("mednext needs at least 2 stages, features has 1")
    if any(set(s) != {2} for s in network.strides[1:]):
        faults.append(
            f"mednext halves every axis from stage to stage, strides must be [2, 2, 2], got {_lists(network.strides[1:])}"
        )
    if len({k for kernel in network.kernels for k in kernel}) > 1:
        faults.append(f"mednext has one cubic kernel for all stages, such as [3, 3, 3], got {_lists(network.kernels)}")
    doubled = [network.features[0] * 2**i for i in range(len(network.features))]
    if network.features != doubled:
        faults.append(f"mednext doubles its features from stage to stage, wanted {doubled}, got {network.features}")
    return faults


def _lists(triples: list[tuple[int, int, int]]) -> list[list[int]]:
    """Triples as a plan shows them."""
    return [list(t) for t in triples]
