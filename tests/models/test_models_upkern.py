from __future__ import annotations

import pytest
import torch

from pytc_auto.models.build import build_from
from pytc_auto.models.upkern import grow_kernel, take_over
from pytc_auto.schema.network import Network

KINDS = ["unet", "resenc", "mednext", "dynunet"]
SMALL = {
    "features": [4, 6, 8],
    "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
    "kernels": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
    "blocks": [2, 2, 2],
}
LARGE = {"kernels": [[1, 5, 7], [3, 5, 5], [5, 5, 5]]}


def built(kind, seed, channels=3, **changes):
    expansion = [2] * 3 if kind == "mednext" else None
    torch.manual_seed(seed)
    return build_from(Network.model_validate(SMALL | {"kind": kind, "expansion": expansion} | changes), channels)


def state_of(made):
    return {name: value.clone() for name, value in made.state_dict().items()}


def plainly_grown(kernel, extent):
    """Trilinear resampling of one kernel, voxel by voxel: centres of the larger one laid over the smaller one's voxels."""
    grown = torch.zeros(extent)
    for at in torch.cartesian_prod(*map(torch.arange, extent)).tolist():
        weights = []
        for i, long, short in zip(at, extent, kernel.shape, strict=True):
            where = min(max((i + 0.5) * short / long - 0.5, 0.0), short - 1.0)
            low = min(int(where), max(short - 2, 0))
            part = torch.zeros(short)
            part[low] = 1 - (where - low)
            part[min(low + 1, short - 1)] += where - low
            weights.append(part)
        grown[tuple(at)] = torch.einsum("zyx,z,y,x", kernel, *weights)
    return grown


def test_a_kernel_grows_trilinearly_and_a_constant_keeps_its_value():
    kernel = torch.randn(2, 1, 1, 3, 5)
    before = kernel.clone()
    grown = grow_kernel(kernel, torch.Size((3, 5, 7)))
    for given, made in zip(kernel[:, 0], grown[:, 0], strict=True):
        torch.testing.assert_close(made, plainly_grown(given, (3, 5, 7)))
    assert torch.equal(kernel, before)
    assert torch.equal(grow_kernel(torch.full((4, 1, 3, 3, 3), 0.7), torch.Size((5, 5, 5))), torch.full((4, 1, 5, 5, 5), 0.7))


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_grow_and_all_else_is_copied(kind):
    small, large = built(kind, 0), built(kind, 1, **LARGE)
    given, shapes = state_of(small), {name: value.shape for name, value in large.state_dict().items()}
    taken = take_over(large, given)
    assert taken.left == taken.unused == []
    assert {name: value.shape for name, value in large.state_dict().items()} == shapes
    made = large.state_dict()
    assert list(made) == list(given)
    for name, value in given.items():
        same = value.shape == made[name].shape
        assert torch.equal(made[name], value if same else grow_kernel(value, made[name].shape[2:]))
    assert len(taken.grown) >= 6
    assert all(torch.equal(value, given[name]) for name, value in small.state_dict().items())
    assert torch.isfinite(large(torch.randn(1, 1, 4, 16, 24))).all()


def test_of_a_mednext_the_depthwise_kernels_grow():
    taken = take_over(built("mednext", 1, **LARGE), state_of(built("mednext", 0)))
    assert {name.rsplit(".", 2)[-2] for name in taken.grown} == {"conv1"}


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_do_not_shrink(kind):
    small = built(kind, 0)
    before = state_of(small)
    taken = take_over(small, state_of(built(kind, 1, **LARGE)))
    assert taken.grown == []
    shorter = [line for line in taken.left if " (there [" in line and ", here [" in line]
    assert shorter == taken.left != []
    assert all(torch.equal(small.state_dict()[line.split(" ")[0]], before[line.split(" ")[0]]) for line in shorter)


def test_a_changed_head_and_foreign_names_are_told():
    made = built("unet", 0, channels=5)
    before = state_of(made)
    given = state_of(built("unet", 1, channels=3)) | {"stray": torch.zeros(2)}
    del given["encoder.stages.0.0.convs.0.conv.bias"]
    taken = take_over(made, given)
    assert taken.unused == ["stray"]
    assert [line.split(" ")[0] for line in taken.left] == [
        "encoder.stages.0.0.convs.0.conv.bias",
        "decoder.seg_layers.0.weight",
        "decoder.seg_layers.0.bias",
    ]
    assert "decoder.seg_layers.0.bias (there [3], here [5])" in taken.left
    assert torch.equal(made.state_dict()["decoder.seg_layers.0.bias"], before["decoder.seg_layers.0.bias"])
    assert len(taken.copied) + len(taken.left) == sum(1 for _ in made.parameters())
