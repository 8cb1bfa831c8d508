"""Networks whose first stage works on blocks of voxels."""

import itertools

import pytest
import torch

from pytc_auto.models.build import build_from
from pytc_auto.models.folded import fold, unfold
from pytc_auto.schema.network import Network

CASES = [((2, 2, 2), (8, 12, 16)), ((1, 2, 2), (5, 8, 12)), ((2, 1, 3), (6, 7, 9))]
cases = pytest.mark.parametrize(("block", "shape"), CASES)


def network(kind, block, **more):
    expansion = [2, 2] if kind == "mednext" else None
    pooled = tuple(2 for _ in block)
    return Network(
        kind=kind, features=[4, 6], strides=[block, pooled], kernels=[(3, 3, 3)] * 2, blocks=[1, 1], expansion=expansion, **more
    )


@cases
def test_voxels_of_a_block_become_channels_in_order(block, shape):
    image = torch.randn(2, 3, *shape)
    folded = fold(image, block)
    voxels = list(itertools.product(*map(range, block)))
    assert folded.shape == (2, 3 * len(voxels), *(n // b for n, b in zip(shape, block, strict=True)))
    for channel, (number, (z, y, x)) in itertools.product(range(3), enumerate(voxels)):
        a, b, c = block
        assert torch.equal(folded[:, channel * len(voxels) + number], image[:, channel, z::a, y::b, x::c])
    assert torch.equal(unfold(folded, block), image)


@pytest.mark.parametrize("kind", ["unet", "resenc", "mednext"])
@pytest.mark.parametrize("block", [(2, 2, 2), (1, 2, 2)])
def test_a_folded_network_gives_logits_on_voxels_and_every_weight_a_gradient(kind, block):
    torch.manual_seed(0)
    made = build_from(network(kind, block), 3)
    shape = [2 * 4 * b for b in block]
    image = torch.randn(2, 1, *shape)
    logits = made(image)
    assert logits.shape == (2, 3, *shape)
    assert torch.equal(logits, unfold(made.inner(fold(image, block)), block))
    logits.square().mean().backward()
    assert all(p.grad is not None for p in made.parameters())


def test_deeply_supervised_stages_are_not_unfolded():
    topology = Network(
        kind="unet",
        features=[4, 6, 8],
        strides=[(1, 2, 2), (1, 2, 2), (2, 2, 2)],
        kernels=[(1, 3, 3), (1, 3, 3), (3, 3, 3)],
        blocks=[1] * 3,
        deep_supervision=True,
    )
    made = build_from(topology, 2, (4, 64, 64)).train()
    logits = made(torch.randn(1, 1, 4, 64, 64))
    assert [tuple(part.shape) for part in logits] == [(1, 2, 4, 64, 64), (1, 2, 4, 16, 16)]
    assert made.eval()(torch.randn(1, 1, 4, 64, 64)).shape == (1, 2, 4, 64, 64)
