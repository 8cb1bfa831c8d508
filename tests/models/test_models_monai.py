"""MONAI's networks: as their library makes them, of any plan that they can have."""

from __future__ import annotations

import copy

import pytest
import torch
from monai.networks.nets.unetr import UNETR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pytc_auto.models.build import NETWORKS, SIZED, build_from
from pytc_auto.models.norm import InstanceNorm
from pytc_auto.models.weights import load_weights, save_weights
from pytc_auto.schema.network import TRAITS, Network

STEP = {"strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]], "kernels": [[1, 3, 3], [3, 3, 3], [3, 5, 3]]}


def halved(features, blocks):
    stages = len(features)
    return {
        "features": features,
        "blocks": blocks,
        "strides": [[1] * 3, *[[2] * 3] * (stages - 1)],
        "kernels": [[3] * 3] * stages,
    }


CASES = {
    "dynunet": (STEP | {"features": [4, 6, 10], "blocks": [2, 2, 2]}, (6, 16, 20)),
    "segresnet": (halved([4, 8, 16], [1, 2, 1]), (8, 12, 16)),
    "swin_unetr": (halved([12, 12, 24, 48, 96, 192], [1, 1, 2, 1, 1, 1]), (32, 64, 32)),
    "unetr": (halved([4, 8, 16, 32, 24], [1, 1, 1, 1, 12]), (16, 32, 48)),
    "dints": (halved([4, 8, 16], [1, 2, 2]), (8, 12, 16)),
}


def network(kind):
    return Network.model_validate(CASES[kind][0] | {"kind": kind})


def built(kind, seed=0, channels=3):
    torch.manual_seed(seed)
    return build_from(network(kind), channels, CASES[kind][1])


def test_every_kind_is_in_the_table():
    assert {*NETWORKS, *SIZED} == set(TRAITS)


@pytest.mark.parametrize("kind", CASES)
def test_it_trains_is_saved_and_loads_strictly(kind, tmp_path, capsys):
    made, other = built(kind), built(kind, seed=1)
    image = torch.randn(1, 1, *CASES[kind][1])
    before = image.clone()
    logits = made(image)
    assert logits.shape == (1, 3, *CASES[kind][1])
    logits.square().mean().backward()
    assert [n for n, p in made.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []
    assert torch.equal(image, before)
    save_weights(made, tmp_path / "w.safetensors")
    with torch.no_grad():
        assert not torch.equal(made(image), other(image))
        load_weights(other, tmp_path / "w.safetensors")
        assert torch.equal(made(image), other(image))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", CASES)
def test_its_norms_are_ours_and_nothing_but_weights_is_averaged(kind):
    made = built(kind)
    norms = [m for m in made.modules() if isinstance(m, torch.nn.InstanceNorm3d | torch.nn.GroupNorm)]
    assert norms
    assert {type(m) for m in norms} == {InstanceNorm}
    assert list(made.buffers()) == []


def test_a_swin_unetr_s_average_predicts_as_it_does():
    made = built("swin_unetr").eval()
    average = AveragedModel(made, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True)
    for _ in range(3):
        average.update_parameters(made)
    image = torch.randn(1, 1, 32, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(average.module(image), made(image), rtol=1e-4, atol=1e-4)


def test_a_dynunet_is_as_wide_and_anisotropic_as_planned():
    made = built("dynunet")
    blocks = [made.input_block, *made.downsamples, made.bottleneck]
    assert [b.conv1.conv.out_channels for b in blocks] == [4, 6, 10]
    assert [b.conv1.conv.kernel_size for b in blocks] == [(1, 3, 3), (3, 3, 3), (3, 5, 3)]
    assert [b.conv1.conv.stride for b in blocks] == [(1, 1, 1), (1, 2, 2), (2, 2, 2)]
    assert [u.conv_block.conv2.conv.kernel_size for u in made.upsamples] == [(3, 3, 3), (1, 3, 3)]
    assert [u.transp_conv.conv.stride for u in made.upsamples] == [(2, 2, 2), (1, 2, 2)]


def test_a_segresnet_and_a_dints_have_the_planned_blocks():
    made = built("segresnet")
    assert [sum(hasattr(m, "conv2") for m in layer) for layer in made.down_layers] == [1, 2, 1]
    assert made.down_layers[2][1].conv1.conv.out_channels == 16
    grid = built("dints").dints_space
    assert len(grid.cell_tree) == 2 * 4
    assert grid.filter_nums == [4, 8, 16]
    assert {cell.op.ops[0].conv.kernel_size for cell in grid.cell_tree.values()} == {(3, 3, 3)}


def test_a_swin_unetr_has_the_planned_transformer_blocks():
    made = built("swin_unetr").swinViT
    assert [len(layers[0].blocks) for layers in (made.layers1, made.layers2, made.layers3, made.layers4)] == [1, 2, 1, 1]


def test_a_unetr_is_monai_s_on_its_patch_and_fits_others():
    made = built("unetr").eval()
    theirs = UNETR(1, 3, CASES["unetr"][1], 4, 24, 96, 1, norm_name=("instance", {"affine": True})).eval()
    missing, unexpected = theirs.load_state_dict(made.state_dict(), strict=False)
    assert unexpected == []
    assert {name.split(".")[-2] for name in missing} == {"norm_cross_attn"}
    image = torch.randn(1, 1, *CASES["unetr"][1])
    with torch.no_grad():
        torch.testing.assert_close(made(image), theirs(image))
        assert made(torch.randn(1, 1, 32, 32, 16)).shape == (1, 3, 32, 32, 16)


def test_a_copy_of_a_unetr_is_its_own():
    made = built("unetr")
    twin = copy.deepcopy(made)
    with torch.no_grad():
        next(twin.parameters()).zero_()
    assert float(next(made.parameters()).detach().abs().sum()) > 0
