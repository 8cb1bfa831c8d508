from __future__ import annotations

import numpy as np
import pytest
import torch

from pytc_auto.errors import ModelError
from pytc_auto.inference import precision as module
from pytc_auto.inference.precision import choose_precision
from pytc_auto.inference.window import Predictor
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.schema.plan import Why


@pytest.fixture
def trained(make_plan):
    """A plan for a machine whose precision was measured there, or set by a person."""

    def make(precision, device="cuda", rule="precision.fastest"):
        plan = make_plan(precision=precision)
        why = {**plan.why, "precision": Why(rule=rule, numbers={})}
        return plan.model_copy(update={"why": why, "machine": plan.machine.replace(device=device)})

    return make


@pytest.mark.parametrize(
    ("precision", "half", "wanted"),
    [
        ("bf16", "bf16", "bf16"),
        ("bf16", None, "fp32"),
        ("fp16", "bf16", "bf16"),
        ("fp16", None, "fp32"),
        ("fp32", "bf16", "fp32"),
    ],
)
def test_a_cpu_takes_bf16_if_it_has_it(trained, monkeypatch, precision, half, wanted):
    monkeypatch.setattr(module, "half_precision", lambda _: half)
    assert choose_precision(trained(precision, "cuda" if precision != "fp32" else "cpu"), "cpu") == wanted


@pytest.mark.parametrize(
    ("precision", "on", "half", "wanted"),
    [
        ("bf16", "cuda", "bf16", "bf16"),
        ("bf16", "cuda", "fp16", "fp16"),
        ("fp16", "cuda", "bf16", "bf16"),
        ("fp32", "cuda", "bf16", "fp32"),
        ("fp32", "cpu", "bf16", "bf16"),
        ("fp32", "cpu", "fp16", "fp32"),
    ],
)
def test_a_gpu_takes_16_bits_unless_training_was_faster_without(trained, monkeypatch, precision, on, half, wanted):
    monkeypatch.setattr(module, "half_precision", lambda _: half)
    assert choose_precision(trained(precision, on), "cuda:0") == wanted


@pytest.mark.parametrize("half", ["bf16", "fp16"])
def test_what_a_person_set_is_kept(trained, monkeypatch, half):
    monkeypatch.setattr(module, "half_precision", lambda _: half)
    for precision in ("bf16", "fp16", "fp32"):
        monkeypatch.setattr(module, "computed_in", lambda wanted, device: (wanted, device))
        assert choose_precision(trained(precision, rule="by hand"), "cuda") == (precision, "cuda")


class Overflowing(torch.nn.Module):
    """Its values do not fit at first."""

    def __init__(self, channels, times):
        super().__init__()
        self.channels, self.times = channels, times

    def forward(self, x):
        self.times -= 1
        return torch.full((1, self.channels, *x.shape[2:]), float("inf") if self.times >= 0 else 2.0)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_model_whose_values_do_not_fit_goes_on_in_fp32(trained, precision):
    plan = trained(precision)
    image = ArrayVolume(np.random.default_rng(0).integers(0, 256, (16, 16, 16)).astype(np.uint8))
    predictor = Predictor([Overflowing(plan.channels, 1)], plan)
    predictor.precision = "fp16"
    if precision == "fp16":
        with pytest.raises(ModelError, match="NaN or infinite"):
            predictor.predict(image, image.box)
    else:
        assert (predictor.predict(image, image.box) == 2).all()
        assert predictor.precision == "fp32"
