import pytest
import torch

from pytc_auto.models.norm import InstanceNorm


@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 6), (1, 5, 1, 7, 2), (3, 2, 8, 1, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_equals_instance_normalization(shape, layout):
    torch.manual_seed(0)
    norm = InstanceNorm(shape[1])
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    features = (3 * torch.randn(shape) + 5).to(memory_format=layout)
    mean, variance = features.mean((2, 3, 4), keepdim=True), features.var((2, 3, 4), unbiased=False, keepdim=True)
    scale, shift = norm.weight[:, None, None, None], norm.bias[:, None, None, None]
    torch.testing.assert_close(norm(features), (features - mean) / (variance + 1e-5).sqrt() * scale + shift)


def test_elsewhere_torch_s_own_is_used(monkeypatch):
    norm = InstanceNorm(2)
    called = []
    monkeypatch.setattr(torch.nn.InstanceNorm3d, "forward", lambda _, features: called.append(features) or features)
    norm(torch.zeros(1, 2, 2, 2, 2, device="meta"))
    norm(torch.zeros(1, 2, 2, 2, 2))
    assert [f.device.type for f in called] == ["meta"]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_a_sample_of_16_bits_learns_as_in_32(layout):
    torch.manual_seed(0)
    norm, features = InstanceNorm(3), torch.randn(1, 3, 4, 5, 6).bfloat16().to(memory_format=layout)
    wanted, found = features.float().requires_grad_(), features.clone().requires_grad_()
    slope = torch.randn(features.shape).bfloat16()
    norm(wanted).mul(slope.float()).sum().backward()
    weight = norm.weight.grad.clone()
    norm.zero_grad()
    norm(found).mul(slope).sum().backward()
    torch.testing.assert_close(found.grad.float(), wanted.grad, rtol=0.02, atol=0.02)
    torch.testing.assert_close(norm.weight.grad, weight, rtol=0.02, atol=0.05)
