"""A plan's network, by its kind."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from pytc_auto.errors import PlanError
from pytc_auto.geometry import Zyx, zyx
from pytc_auto.models.convolution import with_own_convolutions
from pytc_auto.models.deep_supervision import supervised
from pytc_auto.models.mednext import mednext
from pytc_auto.models.monai_convolutions import dints, dynunet, segresnet
from pytc_auto.models.monai_transformers import swin_unetr, unetr
from pytc_auto.models.unet import resenc, unet
from pytc_auto.models.v1.fpn import v1_fpn
from pytc_auto.models.v1.unet import v1_unet
from pytc_auto.schema.network import LEAST_SUPERVISED, Network
from pytc_auto.schema.plan import Plan

NETWORKS: dict[str, Callable[[Network, int], nn.Module]] = {
    "unet": unet,
    "resenc": resenc,
    "mednext": mednext,
    "dynunet": dynunet,
    "segresnet": segresnet,
    "swin_unetr": swin_unetr,
    "dints": dints,
    "v1_unet_3d": v1_unet,
    "v1_unet_plus_3d": v1_unet,
    "v1_unet_2d": v1_unet,
    "v1_unet_plus_2d": v1_unet,
}
SIZED: dict[str, Callable[[Network, int, Zyx], nn.Module]] = {"unetr": unetr, "v1_fpn_3d": v1_fpn}
"""Kinds that have weights for each place in the patch."""


def build_network(plan: Plan) -> nn.Module:
    """The network of a plan with fresh weights, drawn from torch's global generator.

    Returns:
        (N, 1, Z, Y, X) float to (N, plan.outputs, Z, Y, X) logits, all heads in order, then what is learned beside them. With
        deep supervision, while it is in training, a list of such, fine to coarse.

    Raises:
        PlanError: The topology leaves one voxel of the patch, which cannot be normalized.
    """
    total = plan.network.coarseness(len(plan.network.strides) - 1)
    coarsest = [-(-n // d) for n, d in zip(plan.patch, total, strict=True)]
    if max(coarsest) == 1:
        last = list(plan.network.strides[-1])
        raise PlanError(
            f"network: patch {list(plan.patch)} is a single voxel at the coarsest stage, which instance normalization sets to 0. "
            f"Remove the last stage (stride {last}), or use a patch of at least {[2 * n for n in plan.patch]}"
        )
    return build_from(plan.network, plan.outputs, plan.patch)


def build_from(network: Network, channels: int, patch: Zyx | None = None) -> nn.Module:
    """A network of the given topology with ``channels`` outputs and fresh weights.

    Args:
        network: Topology.
        channels: Outputs.
        patch: What it trains on, where its weights depend on that; by default the smallest that shows all there is.
    """
    patch = patch or zyx([n * LEAST_SUPERVISED for n in network.divisor])
    if network.kind in SIZED:
        return with_own_convolutions(SIZED[network.kind](network, channels, patch))
    made = supervised(NETWORKS[network.kind](network, channels), network, channels, patch)
    return with_own_convolutions(made)
