"""Networks of v1 in new plans: their stages, their patches, and what they keep in memory."""

from __future__ import annotations

import pytest
import torch
from samples import CPU, fingerprint
from samples_v1 import design_v1

from pytc_auto.errors import PlanError
from pytc_auto.models.build import build_from
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.memory import parameters, saved_bytes
from pytc_auto.planning.planner import make_plan

SECTIONS = fingerprint(voxel_size_nm=(40.0, 4.0, 5.0), shape=(125, 1250, 1000))
MEDIUM = fingerprint(voxel_size_nm=(30.0, 8.0, 8.0), shape=(100, 1024, 900))
ISOTROPIC = fingerprint(voxel_size_nm=(8.0, 8.0, 9.0), shape=(500, 600, 700))
SINGLE = fingerprint(voxel_size_nm=(50.0, 4.0, 4.0), shape=(1, 1000, 1200))


def planned(facts, *overrides, kind="v1_unet_3d", machine=PRESETS["M"]):
    return make_plan(facts, machine, by_hand=read_overrides([f"network.kind={kind}", *overrides]))


@pytest.mark.parametrize(
    ("facts", "kind", "isotropic"),
    [
        (SECTIONS, "v1_unet_3d", [False, False, False, False, True]),
        (MEDIUM, "v1_unet_plus_3d", [False, False, True, True, True]),
        (ISOTROPIC, "v1_unet_3d", [True] * 5),
        (ISOTROPIC, "v1_fpn_3d", [True] * 5),
        (SINGLE, "v1_unet_3d", [False] * 5),
        (ISOTROPIC, "v1_unet_2d", [False] * 5),
    ],
)
def test_stages_are_isotropic_from_where_the_voxels_are_alike(facts, kind, isotropic):
    network = planned(facts, kind=kind).network
    assert [z == 3 for z, _, _ in network.kernels] == isotropic
    assert [z == 2 for z, _, _ in network.strides] == [False, *isotropic[1:]]
    assert network.outer == ((5, 5, 5) if all(isotropic) else (1, 5, 5))
    assert [f // network.features[0] for f in network.features] == [1, 2, 3, 4, 5]


def test_a_patch_is_a_multiple_of_the_strides_plus_one_or_even_with_pooling():
    strided, pooled = planned(MEDIUM), planned(MEDIUM, "network.pooling=max")
    assert [n % d for n, d in zip(strided.patch, (8, 16, 16), strict=True)] == [1, 1, 1]
    assert [n % d for n, d in zip(pooled.patch, (8, 16, 16), strict=True)] == [0, 0, 0]
    assert strided.inference.window == 1
    assert planned(MEDIUM, "patch=[20,100,97]").patch == (20, 100, 97)


def test_the_backbone_settles_what_depends_on_it():
    repvgg = planned(MEDIUM, "network.backbone=repvgg", kind="v1_fpn_3d").network
    assert (repvgg.block, repvgg.blocks, repvgg.attention) == ("repvgg", [1, 2, 2, 2, 2], None)
    efficient = planned(MEDIUM, "network.backbone=efficientnet", kind="v1_fpn_3d").network
    assert (efficient.block, efficient.attention) == ("inverted_res", "squeeze_excitation")
    assert efficient.kernels[2] == (5, 5, 5)
    assert efficient.strides[3] == (1, 2, 2)
    botnet = planned(MEDIUM, "network.backbone=botnet", kind="v1_fpn_3d")
    assert botnet.network.blocks == [1, 2, 2, 2, 3]
    assert all(n % d == 0 for n, d in zip(botnet.patch, botnet.network.divisor, strict=True))
    assert botnet.network.divisor == (8, 16, 16)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["network.backbone=resnet"], "backbone is resnet, kind is v1_unet_3d. Use null"),
        (["network.block=inverted_res"], "v1_unet_3d has blocks of residual or residual_pa or residual_se or residual_se_pa"),
        (["network.features=[12,24,36,48,60]"], "group normalization in 3D needs features that divide by 8, got [12, 24"),
        (["network.norm=batch"], "override: network.norm: there is no norm 'batch'. Known: bn, sync_bn, gn, in, none."),
        (["network.blocks=[2,2,2,2,2]"], "v1_unet_3d has blocks such as [1, 1, 1, 1, 1], got [2, 2, 2, 2, 2]. Use those"),
        (["network.outer=[5,5,5]"], "outer is [5, 5, 5] in isotropic networks only. Use [1, 5, 5]"),
        (["network.strides=[[1,1,1],[2,2,1]]"], "v1_unet_3d has strides of [1, 2, 2] or [2, 2, 2], strides has"),
        (["network.attention=none"], "attention is efficientnet's, backbone is null. Use null"),
    ],
)
def test_what_v1_could_not_have_is_refused_with_what_it_had(overrides, message):
    with pytest.raises(PlanError) as caught:
        planned(MEDIUM, *overrides)
    assert message in str(caught.value)


def test_voxels_that_are_longest_in_the_plane_are_refused():
    with pytest.raises(PlanError, match=r"v1_unet_3d takes y and x alike, and z as them .* of 6 x 4 x 30 nm .* Use unet, resenc"):
        planned(fingerprint(voxel_size_nm=(6.0, 4.0, 30.0), shape=(500, 600, 100)))


MEMORY = {
    "unet": {},
    "gn se": {"norm": "gn", "block": "residual_se"},
    "pa": {"block": "residual_pa"},
    "se pa without norm": {"block": "residual_se_pa", "norm": "none"},
    "gelu": {"activation": "gelu"},
    "zeros": {"padding": "zeros", "activation": "relu"},
    "pooled": {"pooling": "max"},
    "isotropic": {"whole": True},
    "plus": {"kind": "v1_unet_plus_3d"},
    "2d": {"kind": "v1_unet_plus_2d"},
    "fpn": {"kind": "v1_fpn_3d"},
    "repvgg": {"kind": "v1_fpn_3d", "backbone": "repvgg"},
    "deployed": {"kind": "v1_fpn_3d", "backbone": "repvgg", "block": "repvgg_deployed"},
    "botnet": {"kind": "v1_fpn_3d", "backbone": "botnet"},
    "efficientnet": {"kind": "v1_fpn_3d", "backbone": "efficientnet"},
    "dilated": {"kind": "v1_fpn_3d", "backbone": "efficientnet", "block": "inverted_res_dilated", "attention": "strip_pool"},
    "planes": {"kind": "v1_fpn_3d", "backbone": "efficientnet", "attention": "plane_pool"},
}


@pytest.mark.parametrize("patch", [(16, 64, 96), (17, 49, 65), (9, 80, 64)])
@pytest.mark.parametrize("name", MEMORY)
def test_the_estimate_is_what_a_network_of_v1_keeps(name, patch):
    network = design_v1(**{"features": (16, 32, 48, 64, 80), **MEMORY[name]})
    if network.backbone == "botnet":
        patch = tuple(n // d * d for n, d in zip(patch, network.divisor, strict=True))
    made = build_from(network, 5, patch).to("meta")
    own, kept = {p.untyped_storage()._cdata for p in made.parameters()}, {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = (storage.nbytes(), storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = made(torch.empty(1, 1, *patch, device="meta"))
    assert logits.requires_grad
    found = sum(size for size, _ in kept.values())
    assert saved_bytes(network, patch, 5, precision="fp32") == pytest.approx(found, rel=0.05)
    assert parameters(network, 5) == pytest.approx(sum(p.numel() for p in made.parameters()), rel=0.05)


def test_a_cpu_plans_a_narrower_one():
    assert planned(ISOTROPIC, machine=CPU.replace(seconds=86400)).network.features[0] <= 16
