from __future__ import annotations

import math
import shlex

import pytest
import torch
from samples import fingerprint
from tests_pipeline import write

import pytc_auto
from pytc_auto.errors import BudgetError
from pytc_auto.models import build
from pytc_auto.pipeline.memory_advice import memory_wanted, next_smaller_patch
from pytc_auto.pipeline.runs import Run
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan


@pytest.fixture
def run(tmp_path):
    """Trains on a small volume as was planned for a larger one."""
    write(tmp_path / "my data", "tissue", (26, 36, 48), 1)
    run = pytc_auto.plan(tmp_path / "my data", name="full", runs=tmp_path).run
    facts = fingerprint()
    facts.save(run.fingerprint_file)
    make_plan(facts, PRESETS["S"]).save(run.plan_file)
    return run


class Greedy(torch.nn.Conv3d):
    """A network that asks for more memory than there is."""

    def forward(self, image):
        torch.empty(2**60, device=image.device)
        return super().forward(image)


def command(caught):
    return shlex.split(str(caught.value).partition("Plan with less: ")[2])


def test_a_step_that_runs_out_of_memory_names_the_plan_that_would_fit(run, monkeypatch):
    """The CPU's own allocator refuses; the named command plans less."""
    plan = run.plan()
    plan = plan.replace(sampling=plan.sampling.replace(batch=1, accumulate=2), folds=plan.folds.replace(guard=4))
    plan.save(run.plan_file)
    monkeypatch.setitem(build.NETWORKS, plan.network.kind, lambda _network, channels: Greedy(1, channels, 3, padding=1))
    with pytest.raises(BudgetError, match="ran out of memory") as caught:
        pytc_auto.train(run.folder, runs=run.folder.parent)
    assert f"a training step with patch {'×'.join(map(str, plan.patch))} and batch 1" in str(caught.value)
    program, verb, data, override, *name = command(caught)
    assert [program, verb, data, *name] == ["pytc", "plan", run.dataset().root, "--name", "full-smaller"]
    smaller = make_plan(run.fingerprint(), PRESETS["S"], by_hand=read_overrides([override]))
    assert math.prod(smaller.patch) < math.prod(plan.patch)
    assert smaller.memory.bytes / smaller.sampling.batch < plan.memory.bytes


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), MemoryError()])
def test_of_a_batch_of_several_one_is_taken_at_a_time(run, error):
    plan = run.plan()
    plan = plan.replace(sampling=plan.sampling.replace(batch=4, accumulate=2))
    with pytest.raises(BudgetError) as caught, memory_wanted(run, plan):
        raise error
    assert command(caught)[3:5] == ["sampling.batch=1", "sampling.accumulate=8"]


def test_the_next_smaller_patch_is_the_planners_until_there_is_none(run):
    plan, seen = run.plan(), []
    plan = plan.replace(sampling=plan.sampling.replace(batch=1))
    while (patch := next_smaller_patch(run, plan)) is not None:
        seen.append(patch)
        plan = plan.model_copy(update={"patch": patch})
    assert len(seen) >= 2
    assert seen == sorted(seen, key=math.prod, reverse=True)
    with pytest.raises(BudgetError, match="There is no smaller patch for these data: free memory"), memory_wanted(run, plan):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")


def test_other_faults_are_let_through():
    with pytest.raises(RuntimeError, match="shapes"), memory_wanted(Run(None), None):
        raise RuntimeError("shapes cannot be multiplied")
