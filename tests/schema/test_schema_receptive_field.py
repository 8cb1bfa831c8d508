"""The receptive field against the gradient of the real networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pytc_auto.models.build import build_from
from pytc_auto.schema.network import Network
from pytc_auto.schema.receptive_field import receptive_field

ISOTROPIC = {"strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]], "kernels": [[3, 3, 3]] * 3, "blocks": [2, 1, 2]}
ANISOTROPIC = {
    "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 1]],
    "kernels": [[1, 3, 5], [1, 3, 3], [3, 3, 1]],
    "blocks": [1, 2, 1],
}
FLAT = {"strides": [[1, 1, 1], [1, 3, 2]], "kernels": [[1, 3, 3], [1, 3, 3]], "blocks": [2, 2]}
HALVED = {"strides": [[1, 1, 1], [2, 2, 2]], "kernels": [[3, 3, 3]] * 2, "blocks": [1, 2]}
CASES = [("unet", ISOTROPIC), ("unet", ANISOTROPIC), ("unet", FLAT), ("mednext", ISOTROPIC)]
CASES += [("mednext", ANISOTROPIC), ("resenc", ISOTROPIC), ("resenc", ANISOTROPIC)]
CASES += [("dynunet", ANISOTROPIC | {"blocks": [2] * 3}), ("segresnet", HALVED)]
PATCH = (96, 64, 32)


def _built(network):
    """The real network, positive and linear enough that every path shows in the gradient."""
    made = build_from(network, 1)
    for module in list(made.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.InstanceNorm3d | nn.GroupNorm):
                setattr(module, name, nn.Identity())
    for parameter in made.parameters():
        nn.init.constant_(parameter, 0.1)
    return made.double().eval()


def _measured(network):
    """Extent of the gradient's support, the largest over the places that a voxel can have among the strides."""
    room = [n + 4 * d for n, d in zip(receptive_field(network, PATCH), network.divisor, strict=True)]
    shape = [-(-n // d) * d for n, d in zip(room, network.divisor, strict=True)]
    made, best = _built(network), [0, 0, 0]
    image = torch.ones(1, 1, *shape, dtype=torch.float64, requires_grad=True)
    out = made(image)
    for step in range(max(network.divisor)):
        at = [n // 2 // d * d + min(step, d - 1) for n, d in zip(shape, network.divisor, strict=True)]
        (gradient,) = torch.autograd.grad(out[0, 0, at[0], at[1], at[2]], image, retain_graph=True)
        places = gradient[0, 0].nonzero()
        assert all(low > 0 and high < n - 1 for low, high, n in zip(places.amin(0), places.amax(0), shape, strict=True) if n > 5)
        extents = (places.amax(0) - places.amin(0) + 1).tolist()
        best = [max(b, e) for b, e in zip(best, extents, strict=True)]
    return tuple(best)


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_is_what_the_gradient_of_the_real_network_covers(kind, shape):
    features = [2 * 2**i for i in range(len(shape["blocks"]))]
    expansion = [2] * len(features) if kind == "mednext" else None
    network = Network.model_validate(shape | {"kind": kind, "features": features, "expansion": expansion})
    assert receptive_field(network, PATCH) == _measured(network)


def test_by_hand():
    two = {"kind": "unet", "features": [4, 8], "strides": [[1, 1, 1], [1, 2, 2]], "kernels": [[1, 3, 3]] * 2, "blocks": [1, 1]}
    # Up: 3 voxels lie in 2 coarse ones; down: 2 coarse ones see 5 voxels; first stage: 2 more.
    assert receptive_field(Network.model_validate(two), PATCH) == (1, 7, 7)


@pytest.mark.parametrize(
    ("kind", "features", "blocks"),
    [
        ("swin_unetr", [12, 12, 24, 48, 96, 192], [1, 2, 2, 2, 2, 1]),
        ("unetr", [4, 8, 16, 32, 64], [1, 1, 1, 1, 12]),
        ("dints", [4, 8, 16], [1, 2, 2]),
    ],
)
def test_kinds_that_see_everything_see_the_patch(kind, features, blocks):
    stages = len(features)
    raw = {"kind": kind, "features": features, "strides": [[1] * 3, *[[2] * 3] * (stages - 1)], "kernels": [[3] * 3] * stages}
    assert receptive_field(Network.model_validate(raw | {"blocks": blocks}), PATCH) == PATCH
