"""Deep supervision: stages of the decoder give logits of their own while the network is in training."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from pytc_auto.geometry import Zyx
from pytc_auto.schema.network import Network

DECODERS: MappingProxyType[str, Callable[[Any], nn.ModuleList]] = MappingProxyType(
    {
        "unet": lambda made: made.decoder.stages,
        "resenc": lambda made: made.decoder.stages,
        "mednext": lambda made: made.dec_stages,
        "dynunet": lambda made: made.upsamples,
    }
)
"""The stages of each kind's decoder, coarse to fine."""


def supervised(made: Any, network: Network, channels: int, patch: Zyx) -> nn.Module:
    """The network, in training with a list of logits, fine to coarse; otherwise it gives the finest only, as before.

    Args:
        made: Built from ``network``. It is changed in place: it gets ``coarse_heads``, and its other weights keep their names.
        network: Topology; without deep supervision nothing is done.
        channels: Of the logits.
        patch: Which stages take part follows from its extent.

    Source:
        Lee et al. 2015, AISTATS; a head per decoder stage as in Isensee et al. 2021 and Roy et al. 2023.
    """
    stages = network.supervised(patch)
    if stages:
        _supervise(made, network, channels, stages)
    plain: nn.Module = made
    return plain


def _supervise(made: Any, network: Network, channels: int, stages: list[int]) -> None:
    """Give a network heads on stages of its decoder, in place."""
    decoder: Any = DECODERS[network.kind](made)[::-1]
    names = {module: name for name, module in made.named_modules()}
    made.coarse_stages = [names[decoder[stage]] for stage in stages]
    made.coarse_heads = nn.ModuleList(nn.Conv3d(network.features[stage], channels, 1) for stage in stages)
    for stage in stages:
        decoder[stage].register_forward_hook(_keep)
    made.register_forward_hook(_join)


def _keep(stage: Any, _inputs: object, features: torch.Tensor) -> None:
    """Leave a stage's features with it."""
    if stage.training:
        stage.decoded = features


def _join(network: Any, _inputs: object, logits: torch.Tensor) -> list[torch.Tensor] | None:
    """Logits of all stages, from the features that lie there, which are taken away."""
    if not network.training:
        return None
    joined = [logits]
    for name, head in zip(network.coarse_stages, network.coarse_heads, strict=True):
        stage = network.get_submodule(name)
        joined.append(head(stage.decoded))
        del stage.decoded
    return joined
