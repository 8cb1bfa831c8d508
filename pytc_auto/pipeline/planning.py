"""``pytc plan``: look at the data, measure the machine, decide."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytc_auto.errors import BudgetError, DataError, OutputError, PlanError
from pytc_auto.fingerprint.measure import measure
from pytc_auto.fingerprint.measurement import Measurement
from pytc_auto.fingerprint.remarks import listed, remarks
from pytc_auto.geometry import AXES, ZyxFloat
from pytc_auto.io.dataset import find_dataset
from pytc_auto.pipeline.device import device
from pytc_auto.pipeline.runs import Run, new_run, writing
from pytc_auto.planning.budget import ENOUGH_STEPS, PROBED_SHARE
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.cost import REFERENCE_CHANNELS, REFERENCE_NETWORK, REFERENCE_PATCH, relative_work
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.memory import memory_bytes
from pytc_auto.planning.patch import shrunk_by_volumes, smallest_extent
from pytc_auto.planning.planner import make_plan
from pytc_auto.progress import Progress, silent
from pytc_auto.report.page import write_report
from pytc_auto.schema.dataset import Dataset, Task
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Machine, Plan

MOST_REPLANS = 3
DEFAULT_CPU_SECONDS = 7200.0
MOST_PROBES = 8
SETTLED = 0.1
"""A timed step this close to the planned one needs no new plan."""


@dataclass(frozen=True)
class Planned:
    """What ``pytc plan`` made."""

    run: Run
    plan: Plan
    fingerprint: Fingerprint
    remarks: list[str]


def plan(  # noqa: PLR0913
    data: str | Path,
    overrides: Sequence[str] = (),
    *,
    name: str | None = None,
    runs: str | Path = "runs",
    voxel_size_nm: ZyxFloat | None = None,
    task: Task | None = None,
    size: str | None = None,
    max_seconds: float | None = None,
    full: bool = False,
    probe: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Planned:
    """Look at a data set and decide everything.

    Args:
        data: Folder or container with images and labels, see ``io.layout``.
        overrides: Decisions made by hand, such as ``patch=[32,160,160]``; what depends on them follows.
        name: Of the run; the data folder's name by default.
        runs: Folder of all runs.
        voxel_size_nm: (z, y, x), where the files do not tell.
        task: neurons, objects or classes; found from the labels by default.
        size: S, M or L: plan for a fixed machine instead of this one.
        max_seconds: Wall clock for one fold, everything included.
        full: Read all voxels for the fingerprint, however long it takes; large volumes are sampled otherwise.
        probe: Run real steps in a process of their own to see what memory they take, instead of trusting the estimate.
        say: Told what is being done.
        progress: Told how far the reading of the volumes and the timing of this machine are.

    Raises:
        DataError: The data set cannot be read.
        PlanError: No plan fits the labels, or an override is not valid.
        BudgetError: The time does not suffice.
        OutputError: The run has been trained already, is the plan of other data, or cannot be written.
    """
    if probe and size is not None:
        raise PlanError(f"--probe measures this machine, --size {size} plans for another. Leave out one of the two.")
    by_hand = read_overrides(overrides)
    run = new_run(Path(runs), default_name(Path(data)) if name is None else name)
    if run.started:
        raise OutputError(f"{run.folder}: was trained already. Choose another --name, or delete it.")
    if (other := _other_data(run, Path(data))) is not None:
        raise OutputError(f"{run.folder}: is the plan of other data, {other}. Choose another --name, or delete it.")
    say("Looking at the data")
    looked = look(Path(data), run, voxel_size_nm=voxel_size_nm, task=task, full=full, progress=progress)
    if size is None:
        say("Timing this machine")
    make = partial(make_plan, task=task, by_hand=by_hand)
    return decide(looked, run, make, size=size, max_seconds=max_seconds, probe=say if probe else None, progress=progress)


@dataclass(frozen=True)
class Looked:
    """What was found in a data set, before anything is decided."""

    dataset: Dataset
    measured: Measurement
    remarks: list[str]


def look(
    data: Path,
    run: Run,
    *,
    voxel_size_nm: ZyxFloat | None = None,
    task: Task | None = None,
    full: bool = False,
    progress: Progress = silent,
) -> Looked:
    """Find the volumes and measure them; copies of what cannot be read by box go to the run's cache.

    Raises:
        DataError: The data set cannot be read.
    """
    found = find_dataset(data, voxel_size_nm=voxel_size_nm, task=task)
    with _nothing_left(run):
        measured = measure(found.dataset, name=run.name, full=full, cache=run.cache, progress=progress)
    dataset = _with_blank_sections(found.dataset, measured.fingerprint)
    return Looked(dataset, measured, [*found.remarks, *remarks(measured)])


def decide(  # noqa: PLR0913
    looked: Looked,
    run: Run,
    make: Callable[..., Plan],
    *,
    size: str | None,
    max_seconds: float | None,
    probe: Callable[[str], None] | None = None,
    progress: Progress = silent,
) -> Planned:
    """Plan for a fixed machine or this one, and write data set, fingerprint, plan and report into the run.

    Args:
        looked: The data set.
        run: May differ from the one that the data set was measured for.
        make: The planner: fingerprint and machine to plan.
        size: S, M or L; None is this machine, which is timed.
        max_seconds: Wall clock for one fold, everything included.
        probe: Probe the memory of this machine, and tell what was found; None trusts the estimate.
        progress: Told how far the timing of this machine is.

    Raises:
        PlanError: No plan fits the labels, or an override is not valid.
        BudgetError: Time or memory do not suffice.
        OutputError: The run cannot be written.
    """
    fingerprint = looked.measured.fingerprint.replace(name=run.name)
    if size is not None:
        decided = make(fingerprint, PRESETS[size].replace(seconds=max_seconds))
    else:
        decided = _plan_for_this_machine(fingerprint, max_seconds, make, progress)
    if probe is not None:
        decided = _probed(decided, fingerprint, make, probe)
    told = [*looked.remarks, *_of_patch(decided, fingerprint), *_of_steps(decided)]
    with writing(run.folder):
        looked.dataset.save(run.dataset_file)
        fingerprint.save(run.fingerprint_file)
        decided.save(run.plan_file)
        write_report(looked.measured, decided, told, run.report_file)
    return Planned(run, decided, fingerprint, told)


def _of_patch(plan: Plan, fingerprint: Fingerprint) -> list[str]:
    """What is said of a patch that is longer than a volume, or that a small volume makes smaller for all."""
    smallest = smallest_extent(fingerprint, plan.working_scale)
    longer = [(axis, n, m) for axis, n, m in zip(AXES, plan.patch, smallest or plan.patch, strict=True) if n > m]
    if longer:
        parts = ", ".join(f"{n} voxels on {axis}, where the shortest volume has {m}" for axis, n, m in longer)
        return [f"The patch has {parts}: what is missing is continued by reflection."]
    wanted = plan.why["patch"].numbers.get("wanted_nm")
    if not isinstance(wanted, float):
        return []
    shrunk = shrunk_by_volumes(fingerprint, plan.working_scale, plan.patch, wanted)
    if shrunk is None:
        return []
    few, verb = listed(shrunk.volumes), "are" if len(shrunk.volumes) > 1 else "is"
    return [
        f"{few} {verb} so small that all are trained with the patch {list(plan.patch)} instead of {list(shrunk.possible)}. "
        "Leave out what is small if its labels matter less than what the network sees."
    ]


def _of_steps(plan: Plan) -> list[str]:
    """What is said of a plan whose time is short for this machine."""
    steps, seconds = plan.sampling.steps + plan.sampling.refit_steps, plan.machine.seconds
    by_hand = plan.why["sampling"].rule == "by hand" or "sampling.steps" in plan.why
    if seconds is None or steps >= ENOUGH_STEPS or by_hand:
        return []
    return [
        f"Only {steps} steps fit into {seconds / 60:.0f} minutes here, even of the narrowest network. "
        f"Expect a first look at the data; a longer --max-time, or a faster machine, gives more."
    ]


@contextmanager
def _nothing_left(run: Run) -> Iterator[None]:
    """Of data that cannot be read no copy is kept, unless the run was planned before."""
    try:
        yield
    except DataError:
        if not run.plan_file.is_file():
            shutil.rmtree(run.cache, ignore_errors=True)
            with suppress(OSError):
                run.folder.rmdir()
        raise


def _other_data(run: Run, data: Path) -> str | None:
    """Where the data are that a run of this name was planned from; None where they are the same, or there is no such run."""
    if not run.dataset_file.is_file():
        return None
    root = run.dataset().root
    return None if Path(root).resolve() == data.resolve() else root


def default_name(data: Path) -> str:
    """The data folder's name; a folder called train has its parent's."""
    resolved = data.resolve()
    return resolved.parent.name if resolved.name == "train" else resolved.stem


def _with_blank_sections(dataset: Dataset, fingerprint: Fingerprint) -> Dataset:
    """Blank label sections count as unlabeled from here on."""
    blank = {facts.name: facts.blank_label_sections or [] for facts in fingerprint.volumes}
    entries = [entry.replace(unlabeled_sections=blank[entry.name]) for entry in dataset.volumes]
    return dataset.replace(volumes=entries)


def _plan_for_this_machine(
    fingerprint: Fingerprint, max_seconds: float | None, make: Callable[..., Plan], progress: Progress = silent
) -> Plan:
    """Plan, time the planned step, and plan again until the two agree."""
    from pytc_auto.training.probe import fastest_precision, seconds_per_step

    where = device()
    precision, reference = fastest_precision(
        REFERENCE_NETWORK, REFERENCE_CHANNELS, REFERENCE_PATCH, device=where, progress=progress
    )
    seconds = max_seconds if max_seconds is not None or where == "cuda" else DEFAULT_CPU_SECONDS
    machine = Machine(
        memory_gb=_memory_gb(where),
        device=where,
        seconds=seconds,
        seconds_per_step=round(reference, 4),
        precision=precision,
        source="measured",
    )
    decided = make(fingerprint, machine)
    for _ in range(MOST_REPLANS):
        batch = decided.sampling.batch
        work = relative_work(decided.network, decided.patch, decided.outputs, batch)
        timed = seconds_per_step(
            decided.network,
            decided.outputs,
            decided.patch,
            batch=batch,
            precision=decided.precision,
            device=where,
            progress=progress,
        )
        if abs(timed / work / machine.seconds_per_step - 1) < SETTLED:
            break
        machine = machine.replace(seconds_per_step=round(timed / work, 4))
        before, decided = decided, make(fingerprint, machine)
        if (before.patch, before.network) == (decided.patch, decided.network):
            break
    return decided


def _probed(decided: Plan, fingerprint: Fingerprint, make: Callable[..., Plan], say: Callable[[str], None]) -> Plan:
    """Run the planned step for its memory, and plan again until a step that was run is the one that is planned.

    A step that runs out of memory, or leaves less than a tenth of it, raises the estimate; one that fits sets it right.
    """
    from pytc_auto.training.memory_probe import step_bytes

    least = 0.0
    for _ in range(MOST_PROBES):
        machine, batch = decided.machine, decided.sampling.batch
        found = step_bytes(
            decided.network,
            decided.outputs,
            decided.patch,
            batch=batch,
            precision=decided.precision,
            device=machine.device,
        )
        estimate = memory_bytes(decided.network, decided.patch, decided.outputs, batch)
        room = PROBED_SHARE * machine.memory_gb * 1e9
        told = "ran out of memory" if found is None else f"takes {found / 1e9:.2f} GB"
        say(f"Probe: patch {'×'.join(map(str, decided.patch))}, batch {batch} {told} (estimate {estimate / 1e9:.2f} GB)")
        if found is None or found > room:
            least = max(least, 1.02 * room / estimate, (found or 0) / estimate)
        scale = max(least, (found or room) / estimate)
        before = decided
        decided = make(fingerprint, machine.replace(memory_scale=float(f"{scale:.3g}")))
        same = (before.patch, before.network, before.sampling.batch) == (decided.patch, decided.network, decided.sampling.batch)
        if found is not None and found <= room and same:
            return decided
    raise BudgetError(
        f"{fingerprint.name}: no step was found that fits {room / 1e9:.1f} GB in {MOST_PROBES} probes. "
        "Close what else uses the memory, or plan without --probe."
    )


def _memory_gb(where: str) -> float:
    """Of the accelerator, or of the machine; rounded, so that it does not change from run to run."""
    if where == "cuda":
        import torch

        return round(torch.cuda.get_device_properties(0).total_memory / 1e9, 0)
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 0)
