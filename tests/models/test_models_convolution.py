from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from pytc_auto.models import convolution
from pytc_auto.models.build import build_network
from pytc_auto.models.convolution import SMALL, Convolution, laid_out, with_own_convolutions
from pytc_auto.models.precision import autocast, half_precision

CASES = {
    "stem": ({"in_channels": 1, "out_channels": 4, "kernel_size": 3, "padding": 1}, (1, 1, 5, 6, 7)),
    "flat": ({"in_channels": 3, "out_channels": 6, "kernel_size": (1, 3, 5), "padding": (0, 1, 2)}, (1, 3, 4, 6, 9)),
    "strided": ({"in_channels": 4, "out_channels": 2, "kernel_size": 3, "stride": (1, 2, 2), "padding": 1}, (1, 4, 5, 8, 6)),
    "dilated": ({"in_channels": 2, "out_channels": 2, "kernel_size": 3, "dilation": (1, 2, 3)}, (1, 2, 7, 8, 9)),
    "no bias": ({"in_channels": 2, "out_channels": 4, "kernel_size": 3, "bias": False}, (1, 2, 7, 8, 9)),
}
ELSEWHERE = {
    "two samples": ({"in_channels": 2, "out_channels": 4, "kernel_size": 3}, (2, 2, 5, 6, 7)),
    "one voxel": ({"in_channels": 2, "out_channels": 4, "kernel_size": 1}, (1, 2, 5, 6, 7)),
    "groups": ({"in_channels": 2, "out_channels": 4, "kernel_size": 3, "groups": 2}, (1, 2, 5, 6, 7)),
    "same": ({"in_channels": 2, "out_channels": 4, "kernel_size": 3, "padding": "same"}, (1, 2, 5, 6, 7)),
    "reflected": (
        {"in_channels": 2, "out_channels": 4, "kernel_size": 3, "padding_mode": "reflect", "padding": 1},
        (1, 2, 5, 6, 7),
    ),
    "large": ({"in_channels": 2, "out_channels": 4, "kernel_size": 3}, (1, 2, 3, SMALL // 6 + 1, 3)),
}


@pytest.fixture
def pair():
    """The two convolutions with the same weights, and features."""

    def make(name):
        torch.manual_seed(0)
        given, shape = {**CASES, **ELSEWHERE}[name]
        plain = nn.Conv3d(**given)
        return plain, with_own_convolutions(copy.deepcopy(plain)), torch.randn(shape)

    return make


@pytest.fixture
def routines(monkeypatch):
    """Groups of each convolution by torch, and 'onednn' where that is called by name."""
    called, by_torch, by_name = [], functional.conv3d, torch.mkldnn_convolution

    def conv3d(*given, **more):
        called.append(more["groups"] if "groups" in more else given[6])
        return by_torch(*given, **more)

    monkeypatch.setattr(functional, "conv3d", conv3d)
    monkeypatch.setattr(torch, "mkldnn_convolution", lambda *given: called.append("onednn") or by_name(*given))
    return called


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("name", [*CASES, *ELSEWHERE])
def test_equals_torch_s_forward_and_backward(pair, name, layout):
    plain, own, features = pair(name)
    own.to(memory_format=layout)
    with torch.no_grad():
        torch.testing.assert_close(own(features), plain(features), rtol=1e-4, atol=1e-5)
    found = []
    for layer in (plain, own):
        given = features.clone().requires_grad_()
        made = layer(given)
        made.square().sum().backward()
        found.append([made.detach(), given.grad, *(p.grad for p in layer.parameters())])
    assert len(found[0]) == 4 - (name == "no bias")
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_a_small_sample_is_onednn_s(pair, routines, name):
    _, own, features = pair(name)
    assert "OneDnn" in own(features).grad_fn.name()
    with torch.inference_mode():
        own(features)
    assert routines == ["onednn", "onednn"]


def test_patches_get_no_gradient_that_nobody_wants(pair):
    _, own, features = pair("stem")
    own(features).sum().backward()
    assert features.grad is None
    weight = own.weight.grad.clone()
    own.weight.requires_grad_(False)
    own(features.requires_grad_()).sum().backward()
    torch.testing.assert_close(own.weight.grad, weight)
    assert features.grad.abs().sum() > 0


@pytest.mark.parametrize("name", CASES)
def test_onednn_keeps_what_torch_keeps(pair, name):
    *layers, features = pair(name)
    kept = []
    for layer in layers:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor, to=sizes: (to.append(tensor.shape), tensor)[1], lambda t: t):
            layer(features.requires_grad_())
        kept.append(sizes)
    assert kept[1] == kept[0] == [features.shape, layers[0].weight.shape]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_torch_does_well_is_left_to_it(pair, routines, name):
    _, own, features = pair(name)
    with torch.no_grad():
        own(features)
    assert routines == [2 if name == "groups" else 1]


def test_in_16_bits_all_is_torch_s(pair, routines):
    _, own, features = pair("stem")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        own(features)
    assert routines == [1]


def test_torch_still_keeps_small_samples_from_onednn():
    features, weight = torch.randn(1, 8, 5, 6, 7), torch.randn(4, 8, 3, 3, 3)
    with torch.no_grad(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        functional.conv3d(features, weight)
    if torch.backends.mkldnn.is_available():
        assert "aten::slow_conv3d" in {event.key for event in profile.key_averages()}


def test_a_plan_s_network_has_them(make_plan):
    network = build_network(make_plan())
    kinds = {type(m) for m in network.modules() if isinstance(m, nn.Conv3d)}
    assert kinds == {Convolution}


@pytest.mark.parametrize(
    ("precision", "device", "groups", "last"),
    [("fp32", "cpu", 1, True), ("fp16", "cpu", 1, True), ("fp32", "meta", 1, False), ("fp32", "cpu", 2, False)],
)
def test_channels_are_last_where_that_is_fast(precision, device, groups, last):
    network = nn.Sequential(nn.Conv3d(2, 4, 3, groups=groups), nn.Conv3d(4, 6, 3)).to(device)
    assert laid_out(network, precision, device) is network
    assert network[1].weight.is_contiguous(memory_format=torch.channels_last_3d) is last


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_kernels_lie_as_their_gradients_come(precision, channels):
    if half_precision("cpu") is None and precision == "bf16":
        pytest.skip("this CPU has no bf16")
    network = with_own_convolutions(nn.Sequential(nn.Conv3d(channels, 4, 3), nn.Conv3d(4, 3, 1)))
    laid_out(network, precision, "cpu")
    with autocast(precision, "cpu"):
        made = network(torch.randn(1, channels, 5, 6, 7))
    made.float().square().sum().backward()
    assert {p.grad.stride() == p.stride() for p in network.parameters()} == {True}


@pytest.fixture
def has_bf16(monkeypatch):
    monkeypatch.setattr(convolution, "computed_in", lambda precision, _: precision)


@pytest.mark.skipif(half_precision("cpu") is None, reason="this CPU has no bf16")
@pytest.mark.parametrize("groups", [1, 2])
def test_in_bf16_channels_are_last_from_the_patch_on(groups):
    network = nn.Sequential(nn.Conv3d(1, 4, 3), nn.Conv3d(4, 6, 3, groups=groups))
    laid_out(with_own_convolutions(network), "bf16", "cpu")
    assert network[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        assert network[0](torch.randn(1, 1, 5, 6, 7)).stride()[1] == 1


@pytest.mark.usefixtures("has_bf16")
def test_a_channel_that_comes_last_is_the_same_channel():
    network, patch = with_own_convolutions(nn.Sequential(nn.Conv3d(1, 4, 3), nn.Conv3d(4, 2, 3))), torch.randn(2, 1, 7, 6, 8)
    before = network(patch)
    torch.testing.assert_close(laid_out(network, "bf16", "cpu")(patch), before, rtol=1e-4, atol=1e-5)
