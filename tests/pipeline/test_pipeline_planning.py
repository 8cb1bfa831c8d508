from __future__ import annotations

import pytest
from samples import fingerprint
from tests_pipeline import write

from pytc_auto.errors import BudgetError
from pytc_auto.fingerprint import sampling
from pytc_auto.pipeline import planning
from pytc_auto.planning.cost import relative_work
from pytc_auto.planning.planner import make_plan
from pytc_auto.training import probe

PLAN_HERE = planning._plan_for_this_machine


@pytest.fixture
def machine(monkeypatch):
    """A CPU whose speed is known: seconds of a reference step, and how much slower other networks are than their work says."""

    def make(reference, slowness=1.0):
        def timed(network, channels, patch, *, batch, **_):
            return slowness * reference * relative_work(network, patch, channels, batch)

        monkeypatch.setattr(planning, "device", lambda: "cpu")
        monkeypatch.setattr(probe, "fastest_precision", lambda *_, **__: ("fp32", reference))
        monkeypatch.setattr(probe, "seconds_per_step", timed)

    return make


def test_the_steps_follow_the_timed_network_not_the_reference(machine):
    machine(0.3)
    fast = PLAN_HERE(fingerprint(), 1800.0, make_plan)
    assert fast.machine.seconds_per_step == pytest.approx(0.3)
    machine(0.3, slowness=1.5)
    slow = PLAN_HERE(fingerprint(), 1800.0, make_plan)
    assert slow.machine.seconds_per_step == pytest.approx(0.45)
    assert slow.machine.source == "measured"
    steps = slow.sampling.steps + slow.sampling.refit_steps
    spent = steps * 0.45 * relative_work(slow.network, slow.patch, slow.channels, 1)
    assert 0.6 * 1800 < spent < 0.9 * 1800


def test_without_a_time_a_cpu_gets_two_hours(machine):
    machine(0.3)
    assert PLAN_HERE(fingerprint(), None, make_plan).machine.seconds == 7200


def test_a_slow_machine_is_told_what_it_needs(machine):
    machine(30.0)
    with pytest.raises(BudgetError, match=r"Give at least \d+m"):
        PLAN_HERE(fingerprint(), 1800.0, make_plan)


def test_a_sample_is_read_unless_all_is_asked_for(tmp_path, monkeypatch):
    write(tmp_path / "train", "tissue", (30, 40, 60), 1)
    for name, voxels in (("WHOLE_IMAGE_VOXELS", 2**12), ("IMAGE_VOXELS", 2**13), ("IMAGE_BOX_VOXELS", 2**9)):
        monkeypatch.setattr(sampling, name, voxels)
    some = planning.plan(tmp_path / "train", name="some", runs=tmp_path, size="S")
    whole = planning.plan(tmp_path / "train", name="all", runs=tmp_path, size="S", full=True)
    assert some.fingerprint.sampled_fraction < 0.9
    assert whole.fingerprint.sampled_fraction == 1
