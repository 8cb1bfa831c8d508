from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from pytc_auto.models.build import build_from
from pytc_auto.models.weights import load_weights, save_weights
from pytc_auto.schema.network import TRAITS, Network

KINDS = [kind for kind, traits in TRAITS.items() if traits.deep_supervision]
PATCH = (8, 32, 48)
TOPOLOGY = {
    "features": [4, 6, 10, 12],
    "strides": [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2]],
    "kernels": [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
    "blocks": [2, 2, 2, 2],
    "deep_supervision": True,
}


def network(kind, **changes):
    expansion = [2] * 4 if kind == "mednext" else None
    return Network.model_validate(TOPOLOGY | {"kind": kind, "expansion": expansion} | changes)


def built(kind, seed=0, **changes):
    torch.manual_seed(seed)
    return build_from(network(kind, **changes), 3, PATCH)


@pytest.mark.parametrize("kind", KINDS)
def test_in_training_there_are_logits_of_every_stage_that_has_room(kind):
    made = built(kind)
    logits = made(torch.randn(2, 1, *PATCH))
    assert [tuple(stage.shape) for stage in logits] == [(2, 3, 8, 32, 48), (2, 3, 8, 16, 24), (2, 3, 8, 8, 12)]
    sum(stage.square().mean() for stage in logits).backward()
    assert [name for name, p in made.named_parameters() if p.grad is None] == []
    assert not any("decoded" in vars(module) for module in made.modules())


@pytest.mark.parametrize("kind", KINDS)
def test_otherwise_it_is_the_plain_network_with_its_names(kind, tmp_path):
    made, plain, other = built(kind).eval(), built(kind, seed=1, deep_supervision=False).eval(), built(kind, seed=2)
    more = set(made.state_dict()) - set(plain.state_dict())
    assert more == {f"coarse_heads.{i}.{part}" for i in (0, 1) for part in ("weight", "bias")}
    plain.load_state_dict({name: value for name, value in made.state_dict().items() if name not in more})
    image = torch.randn(1, 1, *PATCH)
    with torch.no_grad():
        assert torch.equal(made(image), plain(image))
        save_weights(made, tmp_path / "w.safetensors")
        load_weights(other, tmp_path / "w.safetensors")
        finest, *coarse = other(image)
        assert torch.equal(finest, made(image))
    assert len(coarse) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_gives_its_own_logits(kind):
    made = built(kind)
    twin = copy.deepcopy(made)
    with torch.no_grad():
        for head in twin.coarse_heads:
            nn.init.zeros_(head.weight)
            nn.init.ones_(head.bias)
        image = torch.randn(1, 1, *PATCH)
        assert all(torch.equal(stage, torch.ones_like(stage)) for stage in twin(image)[1:])
        assert all(stage.std() > 0 for stage in made(image)[1:])


def test_checkpointing_changes_neither_logits_nor_gradients():
    found = []
    for checkpointing in (False, True):
        made = built("mednext", checkpointing=checkpointing)
        logits = made(torch.randn(1, 1, *PATCH, generator=torch.Generator().manual_seed(0)))
        sum(stage.square().mean() for stage in logits).backward()
        found.append([*logits, *[p.grad for p in made.parameters()]])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
