"""Networks of v1, and the rule that fills one with weights that can be told again anywhere."""

from __future__ import annotations

import math

import torch

from pytc_auto.models.build import build_from
from pytc_auto.schema.network_v1 import V1Network, stages_v1

DESIGN = {"block": "residual", "norm": "bn", "activation": "elu", "padding": "replicate", "pooling": "stride"}
OF_BACKBONE = {
    "resnet": {"blocks": [1, 2, 1, 2, 1]},
    "repvgg": {"blocks": [1, 2, 1, 2, 1], "block": "repvgg"},
    "botnet": {"blocks": [1, 1, 1, 1, 3]},
    "efficientnet": {"blocks": [1, 2, 1, 2, 1], "block": "inverted_res", "attention": "squeeze_excitation"},
}


def design_v1(kind="v1_unet_3d", features=(8, 16, 24), isotropy=None, *, whole=False, **changes) -> V1Network:
    """A small network of v1; half of its stages are isotropic. A feature pyramid has five stages."""
    backbone = changes.get("backbone")
    if kind == "v1_fpn_3d":
        features = features if len(features) == 5 else (8, 16, 16, 24, 32)
        backbone = backbone or "resnet"
    isotropy = [2 * i >= len(features) for i in range(len(features))] if isotropy is None else isotropy
    made = stages_v1(kind, isotropy, sizes=[3, 3, 5, 3, 3] if backbone == "efficientnet" else None, whole=whole)
    raw = {"kind": kind, "features": list(features), "strides": made.strides, "kernels": made.kernels, "outer": made.outer}
    raw |= {"blocks": [1] * len(features), **DESIGN, "backbone": backbone, **OF_BACKBONE.get(backbone, {})}
    return V1Network(**(raw | changes))


def filled(network):
    """The network with weights by the rule of v1's golden outputs, in place: a cosine of the place in the sorted state."""
    state = network.state_dict()
    for number, name in enumerate(sorted(state)):
        tensor = state[name]
        if not tensor.is_floating_point():
            continue
        place = torch.arange(1, tensor.numel() + 1, dtype=torch.float64)
        wave = torch.cos(0.618 * place * place + number).reshape(tensor.shape)
        if tensor.ndim >= 2:
            wave = wave * math.sqrt(2 / tensor[0].numel())
        elif name.endswith("running_var"):
            wave = 1 + 0.5 * wave * wave
        else:
            wave = (1 if name.endswith("weight") else 0) + 0.1 * wave
        tensor.copy_(wave)
    return network


def built_v1(network, channels=3, patch=(16, 32, 48)):
    """Filled, for prediction."""
    return filled(build_from(network, channels, patch)).eval()


def wavy(*shape):
    """The golden outputs' input."""
    return torch.sin(0.05 * torch.arange(math.prod(shape), dtype=torch.float64)).float().reshape(shape)
