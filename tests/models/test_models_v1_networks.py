"""Every variant of v1's networks: what v1 does, computed in another way where there is no golden output."""

from __future__ import annotations

import pytest
import torch
from samples_v1 import built_v1, design_v1, filled, wavy
from torch import nn
from torch.nn import functional

from pytc_auto.models.build import build_from
from pytc_auto.models.v1.botnet import HEAD, HEADS, Attention
from pytc_auto.models.v1.layers import ACTIVATIONS
from pytc_auto.models.v1.repvgg import deployed

PATCH = (16, 32, 48)
IMAGE = wavy(1, 1, *PATCH)
DESIGNS = {
    **{f"unet {block}": {"block": block} for block in ("residual", "residual_pa", "residual_se", "residual_se_pa")},
    **{f"unet {norm}": {"norm": norm} for norm in ("sync_bn", "gn", "in", "none")},
    **{f"unet {activation}": {"activation": activation} for activation in ACTIVATIONS},
    **{f"unet {padding}": {"padding": padding} for padding in ("zeros", "reflect", "circular")},
    "unet pooled": {"pooling": "max"},
    "unet isotropic": {"whole": True},
    "unet of four": {"features": (8, 16, 24, 32), "isotropy": [False, True, True, True]},
    "unet pa without norm": {"block": "residual_pa", "norm": "none"},
    "unet plus": {"kind": "v1_unet_plus_3d"},
    "unet plus gn": {"kind": "v1_unet_plus_3d", "norm": "gn", "block": "residual_se"},
    "unet 2d": {"kind": "v1_unet_2d", "features": (16, 32, 48), "block": "residual_se", "norm": "gn"},
    "unet 2d pooled": {"kind": "v1_unet_2d", "pooling": "max"},
    "unet plus 2d": {"kind": "v1_unet_plus_2d", "features": (16, 32, 48), "norm": "gn"},
    "fpn": {"kind": "v1_fpn_3d", "block": "residual_se", "norm": "gn"},
    "fpn isotropic": {"kind": "v1_fpn_3d", "whole": True},
    "fpn repvgg": {"kind": "v1_fpn_3d", "backbone": "repvgg"},
    "fpn repvgg deployed": {"kind": "v1_fpn_3d", "backbone": "repvgg", "block": "repvgg_deployed"},
    "fpn botnet": {"kind": "v1_fpn_3d", "backbone": "botnet"},
    "fpn efficientnet": {"kind": "v1_fpn_3d", "backbone": "efficientnet"},
    "fpn efficientnet strips": {"kind": "v1_fpn_3d", "backbone": "efficientnet", "attention": "strip_pool"},
    "fpn efficientnet planes": {
        **{"kind": "v1_fpn_3d", "backbone": "efficientnet", "attention": "plane_pool"},
        "block": "inverted_res_dilated",
    },
    "fpn efficientnet plain": {"kind": "v1_fpn_3d", "backbone": "efficientnet", "attention": "none"},
}


@pytest.mark.parametrize("name", DESIGNS)
def test_it_gives_logits_of_all_channels_and_every_weight_learns(name):
    torch.manual_seed(0)
    made = build_from(design_v1(**DESIGNS[name]), 3, PATCH)
    image = torch.randn(2, 1, *PATCH)
    before = image.clone()
    logits = made(image)
    assert logits.shape == (2, 3, *PATCH)
    assert logits.min() < 0 < logits.max()
    logits.square().mean().backward()
    assert [n for n, p in made.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []
    assert torch.equal(image, before)


@pytest.mark.parametrize("name", ["unet residual", "unet pooled", "unet plus", "unet 2d", "fpn", "fpn efficientnet"])
@pytest.mark.parametrize("extent", [(9, 33, 41), (5, 30, 27), (4, 16, 20)])
def test_any_extent_is_taken(name, extent):
    made = built_v1(design_v1(**DESIGNS[name]))
    with torch.no_grad():
        assert made(torch.randn(1, 1, *extent)).shape == (1, 3, *extent)


def shapes(kind, **more):
    return {name: tuple(t.shape) for name, t in build_from(design_v1(kind, **more), 3, PATCH).state_dict().items()}


def test_names_and_shapes_of_what_has_no_golden_state():
    unet = shapes("v1_unet_3d", block="residual_se_pa")
    assert unet["down_layers.1.2.conv.0.0.0.weight"] == (16,)
    assert unet["down_layers.1.2.conv.0.1.2.weight"] == (16, 16, 1, 3, 3)
    assert unet["down_layers.1.2.conv.1.fc.0.weight"] == (4, 16)
    flat = shapes("v1_unet_plus_2d", features=(16, 32, 48), block="residual_se", norm="gn")
    assert flat["conv_in.0.weight"] == (16, 1, 5, 5)
    assert flat["down_layers.2.1.0.weight"] == (48, 32, 3, 3)
    assert flat["down_layers.2.2.conv.1.fc.0.weight"] == (3, 48)
    assert flat["feat_layers.1.0.weight"] == (32, 48, 1, 1)
    assert flat["non_local.W.0.bias"] == (48,)
    botnet = shapes("v1_fpn_3d", backbone="botnet", isotropy=[False, False, True, True, True])
    assert botnet["backbone.layer4.net.0.shortcut.0.weight"] == (32, 24, 3, 3, 3)
    assert botnet["backbone.layer4.net.0.net.3.pos_emb.depth"] == (4, 32)
    assert botnet["backbone.layer4.net.1.net.3.pos_emb.width"] == (3, 32)
    assert botnet["backbone.layer4.net.2.net.7.weight"] == (32, 128, 1, 1, 1)
    assert "backbone.layer4.net.1.shortcut.0.weight" not in botnet
    branches = shapes("v1_fpn_3d", backbone="repvgg")
    assert branches["backbone.layer0.0.rbr_dense.conv.weight"] == (8, 1, 1, 3, 3)
    assert branches["backbone.layer3.1.rbr_identity.running_var"] == (24,)
    assert "backbone.layer2.0.rbr_identity.weight" not in branches
    efficient = shapes("v1_fpn_3d", backbone="efficientnet", block="inverted_res_dilated", isotropy=[False] * 3 + [True] * 2)
    assert efficient["backbone.conv1.conv.3.weight"] == (2, 1, 3, 3, 3)
    assert efficient["backbone.layer2.0.DWConv.1.weight"] == (4, 1, 1, 5, 5)
    assert efficient["backbone.layer3.0.DWConv.0.weight"] == (4, 1, 3, 3, 3)
    assert efficient["backbone.layer3.0.projector.1.0.weight"] == (24, 16, 1, 1, 1)
    assert efficient["backbone.layer1.1.attention.fc.0.weight"] == (2, 16)
    assert "backbone.layer1.1.projector.0.weight" not in efficient


def test_isotropic_stages_have_flat_blocks_in_a_unet_only():
    unet, fpn = shapes("v1_unet_3d", whole=True), shapes("v1_fpn_3d", whole=True)
    assert unet["down_layers.1.1.0.weight"][2:] == (3, 3, 3)
    assert unet["down_layers.1.2.conv.0.0.weight"][2:] == (1, 3, 3)
    assert unet["conv_out.0.weight"][2:] == fpn["conv_out.0.weight"][2:] == (5, 5, 5)
    assert fpn["backbone.layer1.0.conv.0.0.weight"][2:] == (3, 3, 3)


def test_a_2d_network_sees_each_section_by_itself():
    made = built_v1(design_v1(**DESIGNS["unet plus 2d"]))
    image = torch.randn(2, 1, 3, 32, 40)
    with torch.no_grad():
        whole = made(image)
        alone = torch.cat([made(image[:, :, z : z + 1]) for z in range(3)], dim=2)
    torch.testing.assert_close(whole, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("isotropy", [[False] * 5, [False, False, True, True, True], [True] * 5])
def test_deployed_branches_give_what_they_gave_before(isotropy):
    branched = design_v1("v1_fpn_3d", backbone="repvgg", isotropy=isotropy, features=(8, 8, 16, 16, 24))
    before, after = built_v1(branched), build_from(branched.replace(block="repvgg_deployed"), 3).eval()
    state = before.state_dict()
    kept = {name: tensor.clone() for name, tensor in state.items()}
    after.load_state_dict(deployed(state), strict=True)
    with torch.no_grad():
        torch.testing.assert_close(after(IMAGE), before(IMAGE), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(kept[name], tensor) for name, tensor in before.state_dict().items())


def test_attention_is_the_softmax_over_all_voxels_by_hand():
    torch.manual_seed(4)
    made, extent = Attention(6, (2, 3, 4)), (2, 3, 4)
    features = torch.randn(1, 6, *extent)
    query, key, value = made.to_qkv(features)[0].reshape(3, HEADS, HEAD, -1)
    places = made.pos_emb
    wanted = torch.zeros(HEADS, HEAD, 24)
    for head in range(HEADS):
        for number in range(24):
            asked = query[head, :, number] / HEAD**0.5
            at = [(z, y, x) for z in range(2) for y in range(3) for x in range(4)]
            scores = torch.stack(
                [
                    asked @ (key[head, :, other] + places.depth[z] + places.height[y] + places.width[x])
                    for other, (z, y, x) in enumerate(at)
                ]
            )
            wanted[head, :, number] = value[head] @ torch.softmax(scores, 0)
    torch.testing.assert_close(made(features)[0], wanted.reshape(-1, *extent), rtol=1e-4, atol=1e-5)


def test_without_a_norm_a_preactivated_block_adds_the_activated_values_as_v1_did():
    made = built_v1(design_v1(block="residual_pa", norm="none")).down_layers[0][2]
    features = torch.randn(1, 8, 3, 6, 7)
    before = features.clone()
    active = functional.elu(features)
    first, second = made.conv[0][2], made.conv[1][2]
    with torch.no_grad():
        wanted = second(functional.elu(first(active))) + active
        torch.testing.assert_close(made(features), wanted)
    assert torch.equal(features, before)


def test_a_plus_network_pads_the_deepest_map_before_it_is_added_to_each_stage():
    made = built_v1(design_v1("v1_unet_plus_3d"))
    grown = []
    for layer in made.feat_layers:
        layer.register_forward_hook(lambda _, given, result: grown.append((given[0].shape[2:], result.shape[2:])))
    with torch.no_grad():
        made(IMAGE)
    assert [tuple(after - before for before, after in zip(*pair, strict=True)) for pair in grown] == [(2, 2, 2)] * 2


def test_a_fresh_network_is_orthogonal_and_its_attention_changes_nothing():
    torch.manual_seed(1)
    made = build_from(design_v1("v1_unet_plus_3d"), 3)
    kernel = made.down_layers[1][1][0].weight.detach().flatten(1)
    torch.testing.assert_close(kernel @ kernel.T, torch.eye(len(kernel)), rtol=0, atol=1e-5)
    deepest = torch.randn(2, 24, 3, 4, 5)
    assert torch.equal(made.non_local(deepest), deepest)


def test_the_norms_groups_and_momentum_are_v1_s():
    norms = {type(m).__name__: m for m in build_from(design_v1("v1_unet_2d", (16, 32), norm="gn"), 3).modules()}
    assert norms["GroupNorm"].num_groups == 16
    grouped = build_from(design_v1(norm="gn"), 3)
    assert {m.num_groups for m in grouped.modules() if isinstance(m, nn.GroupNorm)} == {8}
    batch = build_from(design_v1("v1_fpn_3d", backbone="efficientnet"), 3)
    assert {m.momentum for m in batch.backbone.modules() if isinstance(m, nn.BatchNorm3d)} == {0.1}
    assert filled(batch).backbone["layer1"][0].layers1[3].groups == 8
