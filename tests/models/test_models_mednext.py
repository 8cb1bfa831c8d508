import pytest
import torch
from monai.networks.nets.mednext import MedNeXt as Monai

from pytc_auto.models.build import build_from
from pytc_auto.schema.network import Network

SIZES = {
    "S": ([2] * 5, [2] * 5),
    "B": ([2] * 5, [2, 3, 4, 4, 4]),
    "M": ([3, 4, 4, 4, 4], [2, 3, 4, 4, 4]),
    "L": ([3, 4, 8, 8, 8], [3, 4, 8, 8, 8]),
}
ANISOTROPIC = {
    "kind": "mednext",
    "features": [4, 6, 10, 10],
    "strides": [(1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 1, 2)],
    "kernels": [(1, 3, 3), (3, 5, 5), (3, 3, 3), (3, 3, 3)],
    "blocks": [1, 2, 1, 2],
    "expansion": [2, 3, 2, 2],
}


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", SIZES)
def test_with_cubic_kernels_it_is_monais_key_for_key(size, kernel):
    blocks, expansion = SIZES[size]
    torch.manual_seed(1)
    theirs = Monai(
        init_filters=2,
        out_channels=3,
        encoder_expansion_ratio=expansion[:-1],
        bottleneck_expansion_ratio=expansion[-1],
        decoder_expansion_ratio=expansion[-2::-1],
        kernel_size=kernel,
        use_residual_connection=True,
        blocks_down=blocks[:-1],
        blocks_bottleneck=blocks[-1],
        blocks_up=blocks[-2::-1],
    )
    network = Network(
        kind="mednext",
        features=[2, 4, 8, 16, 32],
        strides=[(1, 1, 1), *[(2, 2, 2)] * 4],
        kernels=[(kernel,) * 3] * 5,
        blocks=blocks,
        expansion=expansion,
    )
    ours = build_from(network, 3)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(1, 1, 32, 48, 16)
    with torch.no_grad():
        wanted = theirs(image)
        assert wanted.std() > 0.01
        torch.testing.assert_close(ours(image), wanted, rtol=1e-5, atol=1e-6)


def test_checkpointing_changes_neither_logits_nor_gradients():
    image = torch.randn(1, 1, 8, 16, 24, generator=torch.Generator().manual_seed(0))
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        made = build_from(Network.model_validate(ANISOTROPIC | {"checkpointing": checkpointing}), 2)
        logits = made(image)
        logits.square().mean().backward()
        found.append([logits.detach(), *[p.grad for p in made.parameters()]])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert len(found[0]) > 50


def test_an_axis_is_pooled_kept_and_convolved_as_planned():
    made = build_from(Network.model_validate(ANISOTROPIC), 2)
    assert [d.conv1.stride for d in made.down_blocks] == [(1, 2, 2), (2, 2, 2), (1, 1, 2)]
    assert [u.conv1.stride for u in made.up_blocks] == [(1, 1, 2), (2, 2, 2), (1, 2, 2)]
    assert [d.conv1.kernel_size for d in made.down_blocks] == [(1, 3, 3), (3, 5, 5), (3, 3, 3)]
    shapes = []
    made.bottleneck[0].register_forward_hook(lambda *seen: shapes.append(tuple(seen[2].shape)))
    assert made(torch.zeros(1, 1, 4, 16, 32)).shape == (1, 2, 4, 16, 32)
    assert shapes == [(1, 10, 2, 4, 4)]
