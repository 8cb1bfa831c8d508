from __future__ import annotations

import pytest
from samples import fingerprint
from tests_pipeline import write

import pytc_auto
from pytc_auto.errors import BudgetError, DataError, OutputError, PlanError
from pytc_auto.fingerprint import sampling
from pytc_auto.pipeline import planning
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.cost import relative_work
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.memory import memory_bytes
from pytc_auto.planning.planner import make_plan
from pytc_auto.training import memory_probe, probe

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


def test_few_steps_are_told_unless_they_were_given(machine):
    machine(6.0)
    plan = PLAN_HERE(fingerprint(), 1800.0, make_plan)
    (said,) = planning._of_steps(plan)
    assert said.startswith(f"Only {plan.sampling.steps + plan.sampling.refit_steps} steps fit into 30 minutes here")
    given = make_plan(fingerprint(), plan.machine, by_hand=read_overrides(["sampling.steps=8", "sampling.validate_every=4"]))
    assert planning._of_steps(given) == []


def test_a_sample_is_read_unless_all_is_asked_for(tmp_path, monkeypatch):
    write(tmp_path / "train", "tissue", (30, 40, 60), 1)
    for name, voxels in (("WHOLE_IMAGE_VOXELS", 2**12), ("IMAGE_VOXELS", 2**13), ("IMAGE_BOX_VOXELS", 2**9)):
        monkeypatch.setattr(sampling, name, voxels)
    some = planning.plan(tmp_path / "train", name="some", runs=tmp_path, size="S")
    whole = planning.plan(tmp_path / "train", name="all", runs=tmp_path, size="S", full=True)
    assert some.fingerprint.sampled_fraction < 0.9
    assert whole.fingerprint.sampled_fraction == 1


@pytest.mark.parametrize("factor", [0.6, 1.0, 2.5])
def test_a_probe_ends_with_a_step_that_was_run_and_fits(monkeypatch, factor):
    """A machine on which steps take so many times their estimate."""
    seen = []

    def step(network, channels, patch, *, batch, **_):
        found = int(factor * memory_bytes(network, patch, channels, batch))
        seen.append((patch, batch))
        return found if found <= 24e9 else None

    monkeypatch.setattr(memory_probe, "step_bytes", step)
    first = make_plan(fingerprint(shape=(900, 900, 900)), PRESETS["M"])
    told = []
    probed = planning._probed(first, fingerprint(shape=(900, 900, 900)), make_plan, told.append)
    assert (probed.patch, probed.sampling.batch) in seen
    assert probed.memory.source == "probe"
    needed = factor * memory_bytes(probed.network, probed.patch, probed.channels, probed.sampling.batch)
    assert needed <= 0.9 * 24e9
    assert probed.memory.bytes == pytest.approx(needed, rel=0.01)
    assert len(told) == len(seen)
    if factor == 2.5:
        assert probed.sampling.batch < first.sampling.batch
    if factor == 0.6:
        assert probed.sampling.batch > first.sampling.batch


def test_memory_that_is_never_enough_is_told(monkeypatch):
    monkeypatch.setattr(memory_probe, "step_bytes", lambda *_, **__: None)
    with pytest.raises(BudgetError, match=r"no step was found that fits|hold no patch of the least size"):
        planning._probed(make_plan(fingerprint(), PRESETS["M"]), fingerprint(), make_plan, lambda _: None)


def test_a_probe_of_another_machine_is_refused(tmp_path):
    with pytest.raises(PlanError, match="--probe measures this machine, --size M plans for another"):
        planning.plan(tmp_path, size="M", probe=True)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../mine", "/mine", "a\\b"])
def test_a_name_that_leads_out_of_the_folder_of_runs_is_refused(tmp_path, name):
    write(tmp_path / "tissue", "a", (30, 40, 60), 1)
    for verb in (pytc_auto.plan, pytc_auto.sweep):
        with pytest.raises(PlanError, match=r"--name .* is not the name of a folder in .*runs. Give a name without slashes"):
            verb(tmp_path / "tissue", ["optimizer.ema=0.9"], runs=tmp_path / "runs", name=name)
    assert [p.name for p in tmp_path.iterdir()] == ["tissue"]


def test_a_plan_of_other_data_is_not_written_over(tmp_path):
    for owner, seed in (("ann", 1), ("bob", 2)):
        write(tmp_path / owner / "tissue", "a", (30, 40, 60), seed)
    wanted = {"runs": tmp_path / "runs", "size": "S"}
    first = pytc_auto.plan(tmp_path / "ann/tissue", **wanted)
    before = first.run.plan_file.read_bytes()
    with pytest.raises(OutputError, match=r"is the plan of other data, .*ann/tissue. Choose another --name, or delete it"):
        pytc_auto.plan(tmp_path / "bob/tissue", **wanted)
    assert first.run.plan_file.read_bytes() == before
    assert pytc_auto.plan(tmp_path / "ann/tissue", ["optimizer.ema=0.9"], **wanted).plan.optimizer.ema == 0.9
    assert pytc_auto.plan(tmp_path / "bob/tissue", name="other", **wanted).run.name == "other"


@pytest.mark.parametrize("verb", [pytc_auto.plan, pytc_auto.sweep])
def test_runs_that_cannot_be_written_are_told_before_the_data_are_read(tmp_path, verb):
    write(tmp_path / "tissue", "a", (30, 40, 60), 1)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file: is not a folder that can be written. Give another --runs"):
        verb(tmp_path / "tissue", ["optimizer.ema=0.9"], runs=tmp_path / "file/runs", progress=lambda *_: pytest.fail("read"))


def test_a_run_that_cannot_be_written_is_told(tmp_path):
    write(tmp_path / "tissue", "a", (30, 40, 60), 1)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/tissue").touch()
    with pytest.raises(OutputError, match=r"runs/tissue: cannot be written .*Make room, check the rights"):
        pytc_auto.plan(tmp_path / "tissue", runs=tmp_path / "runs", size="S")


def test_data_that_have_been_moved_are_told_with_where_to_write_it(tmp_path):
    write(tmp_path / "tissue", "a", (30, 40, 60), 1)
    run = pytc_auto.plan(tmp_path / "tissue", runs=tmp_path / "runs", size="S").run
    (tmp_path / "tissue").rename(tmp_path / "brain")
    with pytest.raises(
        DataError, match=r"a.h5:main: is no longer there; .*planned from .*tissue. .* into .*runs/tissue/dataset.yaml"
    ):
        pytc_auto.train("tissue", runs=tmp_path / "runs")
    text = run.dataset_file.read_text().replace(f"{tmp_path}/tissue", f"{tmp_path}/brain")
    run.dataset_file.write_text(text)
    assert run.present_dataset().root == str(tmp_path / "brain")


def test_a_patch_that_is_longer_than_a_volume_is_told(tmp_path):
    write(tmp_path / "train", "tissue", (30, 40, 60), 1)
    (said,) = [
        s for s in planning.plan(tmp_path / "train", ["patch=[32,32,96]"], runs=tmp_path, size="S").remarks if "patch" in s
    ]
    assert said == (
        "The patch has 32 voxels on z, where the shortest volume has 30, 96 voxels on x, where the shortest volume has 60: "
        "what is missing is continued by reflection."
    )


def test_a_volume_that_makes_the_patch_smaller_for_all_is_told(tmp_path):
    write(tmp_path / "train", "large", (64, 96, 128), 1)
    write(tmp_path / "train", "small", (20, 96, 128), 2)
    made = planning.plan(tmp_path / "train", runs=tmp_path, size="S", voxel_size_nm=(10, 10, 10))
    (said,) = [s for s in made.remarks if "patch" in s]
    assert said.startswith(f"small is so small that all are trained with the patch {list(made.plan.patch)} instead of [")
