from __future__ import annotations

import pytest

from pytc_auto.schema.network import Network
from pytc_auto.training import probe

TINY = Network(kind="unet", features=[4, 8], strides=[(1, 1, 1), (2, 2, 2)], kernels=[(3, 3, 3)] * 2, blocks=[1, 1])


def test_more_voxels_take_more_time():
    small = probe.seconds_per_step(TINY, 3, (8, 8, 8), batch=1, precision="fp32", device="cpu")
    large = probe.seconds_per_step(TINY, 3, (32, 32, 32), batch=2, precision="fp32", device="cpu")
    assert 0 < small < large


@pytest.mark.parametrize(("half", "chosen"), [(0.5, "bf16"), (0.95, "fp32"), (2.0, "fp32")])
def test_a_lower_precision_must_pay(monkeypatch, half, chosen):
    monkeypatch.setattr(probe, "half_precision", lambda _: "bf16")
    monkeypatch.setattr(probe, "seconds_per_step", lambda *_, precision, **__: 1.0 if precision == "fp32" else half)
    precision, seconds = probe.fastest_precision(TINY, 3, (8, 8, 8), device="cpu")
    assert precision == chosen
    assert seconds == (half if chosen == "bf16" else 1.0)


def test_a_precision_without_arithmetic_is_not_timed(monkeypatch):
    timed = []
    monkeypatch.setattr(probe, "half_precision", lambda _: None)
    monkeypatch.setattr(probe, "seconds_per_step", lambda *_, precision, **__: timed.append(precision) or 1.0)
    assert probe.fastest_precision(TINY, 3, (8, 8, 8), device="cpu") == ("fp32", 1.0)
    assert timed == ["fp32"]


def test_timing_tells_how_far_it_is():
    told = []
    probe.seconds_per_step(TINY, 3, (4, 8, 16), batch=2, precision="fp32", device="cpu", progress=lambda *step: told.append(step))
    assert {what for what, _, _ in told} == {"timing 4×8×16 in fp32"}
    assert told[0][1:] == (0, 7 * 1024)
    assert [done for _, done, _ in told] == [1024 * n for n in range(len(told))]
    assert told[-1][1] == told[-1][2]
