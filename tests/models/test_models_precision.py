from __future__ import annotations

import pytest
import torch

from pytc_auto.models import precision


@pytest.mark.parametrize(
    ("has", "device", "wanted", "computed"),
    [
        (None, "cpu", "bf16", "fp32"),
        ("bf16", "cpu", "bf16", "bf16"),
        ("bf16", "cpu", "fp16", "fp32"),
        ("bf16", "cpu", "fp32", "fp32"),
        ("fp16", "cuda", "bf16", "fp16"),
        ("bf16", "cuda:1", "bf16", "bf16"),
        ("bf16", "cuda", "fp16", "fp16"),
        ("fp16", "cuda", "fp32", "fp32"),
    ],
)
def test_what_stands_in_for_a_precision(monkeypatch, has, device, wanted, computed):
    monkeypatch.setattr(precision, "half_precision", lambda _: has)
    assert precision.computed_in(wanted, device) == computed


@pytest.mark.parametrize("has", [True, False])
def test_a_cpu_computes_in_bf16_where_its_convolutions_do(monkeypatch, has):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has)
    assert precision.half_precision("cpu") == ("bf16" if has else None)
    with precision.autocast("bf16", "cpu"):
        made = torch.ones(2, 2) @ torch.ones(2, 2)
    assert made.dtype == (torch.bfloat16 if has else torch.float32)


@pytest.mark.parametrize(("native", "half"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_has_one_of_the_two(monkeypatch, native, half):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert precision.half_precision("cuda:0") == half
