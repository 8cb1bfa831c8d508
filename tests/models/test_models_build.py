import pytest
import torch

from pytc_auto.errors import PlanError
from pytc_auto.models.build import build_from, build_network
from pytc_auto.schema.network import Network


def topology(**fields):
    raw = {
        "kind": "unet",
        "features": [4, 8, 12],
        "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 3,
        "blocks": [1, 2, 1],
    }
    return raw | fields


FLAT = topology(strides=[[1, 1, 1], [1, 2, 2], [1, 2, 2]], kernels=[[1, 3, 3]] * 3)
STEP = topology(strides=[[1, 1, 1], [1, 2, 2], [2, 2, 2]], kernels=[[1, 3, 3], [1, 3, 3], [3, 3, 3]])
MEDNEXT = {"kind": "mednext", "expansion": [2, 2, 3]}
CASES = {
    "isotropic": ([8.0, 8.0, 8.0], [16, 20, 24], topology()),
    "anisotropic": ([40.0, 8.0, 8.0], [6, 16, 20], STEP),
    "coarse x": (
        [6.0, 4.0, 30.0],
        [20, 16, 6],
        topology(strides=[[1, 1, 1], [2, 2, 1], [2, 2, 2]], kernels=[[3, 3, 1], [3, 3, 1], [3, 3, 3]]),
    ),
    "thin": ([50.0, 4.0, 4.0], [3, 16, 24], FLAT),
    "single section": ([50.0, 4.0, 4.0], [1, 16, 24], FLAT),
    "mednext": ([8.0, 8.0, 8.0], [16, 8, 24], topology(kind="mednext", expansion=[2, 3, 4])),
    "anisotropic mednext": (
        [40.0, 8.0, 8.0],
        [6, 16, 20],
        STEP | {"kind": "mednext", "expansion": [2, 2, 3], "checkpointing": True},
    ),
    "flat mednext": ([50.0, 4.0, 4.0], [3, 16, 24], FLAT | {"kind": "mednext", "expansion": [2, 2, 3]}),
    "resenc": ([8.0, 8.0, 8.0], [16, 20, 24], topology(kind="resenc")),
    "anisotropic resenc": ([40.0, 8.0, 8.0], [6, 16, 20], STEP | {"kind": "resenc"}),
}
IN_PLANE = {"kind": "affinities", "offsets": [[0, -1, 0], [0, 0, -1], [0, -2, -2]], "loss": "balanced_bce", "weight": 1.0}
FOREGROUND = {"kind": "foreground", "width_nm": 0.0, "loss": "dice_bce", "weight": 1.0}


@pytest.mark.parametrize("name", CASES)
def test_maps_the_patch_to_logits_of_all_heads_and_trains(make_plan, name):
    size, patch, network = CASES[name]
    plan = make_plan(voxel_size_nm=size, patch=patch, network=network, heads=[IN_PLANE, FOREGROUND])
    torch.manual_seed(0)
    made = build_network(plan)
    image = torch.randn(2, 1, *patch)
    before = image.clone()
    logits = made(image)
    assert logits.shape == (2, 4, *patch)
    assert torch.isfinite(logits).all()
    assert logits.std() > 0
    logits.square().mean().backward()
    lacking = [n for n, p in made.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert lacking == []
    assert sum(float(p.grad.abs().sum()) for p in made.parameters()) > 0
    assert torch.equal(image, before)


@pytest.mark.parametrize("kind", ["unet", "resenc", "mednext"])
def test_weights_follow_the_seed(kind):
    network = Network.model_validate(topology(kind=kind, expansion=[2] * 3 if kind == "mednext" else None))

    def first(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build_from(network, 3).parameters()])

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_unet_is_as_wide_and_anisotropic_as_planned():
    made = build_from(Network.model_validate(STEP), 5)
    convolutions = [m for stage in made.encoder.stages for m in stage.modules() if isinstance(m, torch.nn.Conv3d)]
    seen = list(dict.fromkeys((m.out_channels, m.kernel_size, m.stride) for m in convolutions))
    assert seen == [
        (4, (1, 3, 3), (1, 1, 1)),
        (8, (1, 3, 3), (1, 2, 2)),
        (8, (1, 3, 3), (1, 1, 1)),
        (12, (3, 3, 3), (2, 2, 2)),
    ]
    assert [t.stride for t in made.decoder.transpconvs] == [(2, 2, 2), (1, 2, 2)]
    assert [len(s.convs) for s in made.decoder.stages] == [2, 1]


def test_unet_starts_after_he_for_leaky_relu():
    torch.manual_seed(3)
    made = build_from(Network.model_validate(topology(features=[32, 64, 64])), 5)
    weight = made.encoder.stages[1][0].convs[1].conv.weight.detach()
    wanted = (2 / (1 + 0.01**2) / (64 * 27)) ** 0.5
    assert float(weight.std()) == pytest.approx(wanted, rel=0.02)
    assert all(not m.bias.any() for m in made.modules() if isinstance(m, torch.nn.Conv3d))


def test_a_patch_that_shrinks_to_one_voxel_is_refused(make_plan):
    heads = [{**IN_PLANE, "offsets": [[0, -1, 0], [0, 0, -1], [0, -2, -2]]}]
    with pytest.raises(PlanError, match=r"patch \[1, 4, 4\] is a single voxel .* Remove the last stage \(stride \[1, 2, 2\]\)"):
        build_network(make_plan(patch=[1, 4, 4], network=FLAT, heads=heads))
    build_network(make_plan(patch=[2, 4, 4], network=FLAT, heads=heads))


def test_mednext_has_the_planned_blocks():
    made = build_from(Network.model_validate(topology(kind="mednext", blocks=[1, 3, 2], expansion=[2, 3, 4])), 2)
    assert [len(s) for s in made.enc_stages] == [1, 3]
    assert len(made.bottleneck) == 2
    assert [len(s) for s in made.dec_stages] == [3, 1]
    assert made.enc_stages[0][0].conv1.kernel_size == (3, 3, 3)
    assert [b.conv2.out_channels for b in made.enc_stages[1]] == [24, 24, 24]


def test_resenc_has_the_planned_blocks_and_one_convolution_a_decoder_stage():
    made = build_from(Network.model_validate(topology(kind="resenc", blocks=[1, 3, 4])), 5)
    assert [len(s.blocks) for s in made.encoder.stages] == [1, 3, 4]
    assert [len(s.convs) for s in made.decoder.stages] == [1, 1]
