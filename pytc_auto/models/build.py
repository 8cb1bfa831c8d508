"""A plan's network, by its kind."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from pytc_auto.errors import PlanError
from pytc_auto.models.mednext import mednext
from pytc_auto.models.unet import resenc, unet
from pytc_auto.schema.plan import Network, Plan

NETWORKS: dict[str, Callable[[Network, int], nn.Module]] = {"unet": unet, "resenc": resenc, "mednext": mednext}


def build_network(plan: Plan) -> nn.Module:
    """The network of a plan with fresh weights, drawn from torch's global generator.

    Returns:
        (N, 1, Z, Y, X) float to (N, plan.outputs, Z, Y, X) logits, all heads in order, then what is learned beside them.

    Raises:
        PlanError: The topology cannot be built, or leaves one voxel of the patch, which cannot be normalized.
    """
    coarsest = [n // d for n, d in zip(plan.patch, plan.network.divisor, strict=True)]
    if max(coarsest) == 1:
        last = list(plan.network.strides[-1])
        raise PlanError(
            f"network: patch {list(plan.patch)} is a single voxel at the coarsest stage, which instance normalization sets to 0. "
            f"Remove the last stage (stride {last}), or use a patch of at least {[2 * n for n in plan.patch]}"
        )
    return build_from(plan.network, plan.outputs)


def build_from(network: Network, channels: int) -> nn.Module:
    """A network of the given topology with ``channels`` outputs and fresh weights.

    Raises:
        PlanError: The topology cannot be built.
    """
    return NETWORKS[network.kind](network, channels)
