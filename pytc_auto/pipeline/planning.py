"""``pytc plan``: look at the data, measure the machine, decide."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytc_auto.errors import DataError, OutputError
from pytc_auto.fingerprint.measure import measure
from pytc_auto.fingerprint.remarks import remarks
from pytc_auto.geometry import ZyxFloat
from pytc_auto.io.dataset import find_dataset
from pytc_auto.pipeline.device import device
from pytc_auto.pipeline.runs import Run
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.cost import REFERENCE_CHANNELS, REFERENCE_NETWORK, REFERENCE_PATCH, relative_work
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.progress import Progress, silent
from pytc_auto.report.page import write_report
from pytc_auto.schema.dataset import Dataset, Task
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Machine, Plan

MOST_REPLANS = 3
DEFAULT_CPU_SECONDS = 7200.0
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
        say: Told what is being done.
        progress: Told how far the reading of the volumes is.

    Raises:
        DataError: The data set cannot be read.
        PlanError: No plan fits the labels, or an override is not valid.
        BudgetError: The time does not suffice.
        OutputError: The run has been trained already.
    """
    data, by_hand = Path(data), read_overrides(overrides)
    run = Run(Path(runs) / (name or _default_name(data)))
    if run.started:
        raise OutputError(f"{run.folder}: was trained already. Choose another --name, or delete it.")
    say("Looking at the data")
    found = find_dataset(data, voxel_size_nm=voxel_size_nm, task=task)
    with _nothing_left(run):
        measured = measure(found.dataset, name=run.name, full=full, cache=run.cache, progress=progress)
    fingerprint = measured.fingerprint
    dataset = _with_blank_sections(found.dataset, fingerprint)
    if size is not None:
        machine = PRESETS[size].replace(seconds=max_seconds)
        decided = make_plan(fingerprint, machine, task=task, by_hand=by_hand)
    else:
        say("Timing this machine")
        decided = _plan_for_this_machine(fingerprint, max_seconds, partial(make_plan, task=task, by_hand=by_hand))
    dataset.save(run.dataset_file)
    fingerprint.save(run.fingerprint_file)
    decided.save(run.plan_file)
    told = [*found.remarks, *remarks(measured)]
    write_report(measured, decided, told, run.report_file)
    return Planned(run, decided, fingerprint, told)


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


def _default_name(data: Path) -> str:
    """The data folder's name; a folder called train has its parent's."""
    resolved = data.resolve()
    return resolved.parent.name if resolved.name == "train" else resolved.stem


def _with_blank_sections(dataset: Dataset, fingerprint: Fingerprint) -> Dataset:
    """Blank label sections count as unlabeled from here on."""
    blank = {facts.name: facts.blank_label_sections or [] for facts in fingerprint.volumes}
    entries = [entry.replace(unlabeled_sections=blank[entry.name]) for entry in dataset.volumes]
    return dataset.replace(volumes=entries)


def _plan_for_this_machine(fingerprint: Fingerprint, max_seconds: float | None, make: Callable[..., Plan]) -> Plan:
    """Plan, time the planned step, and plan again until the two agree."""
    from pytc_auto.training.probe import fastest_precision, seconds_per_step

    where = device()
    precision, reference = fastest_precision(REFERENCE_NETWORK, REFERENCE_CHANNELS, REFERENCE_PATCH, device=where)
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
        work = relative_work(decided.network, decided.patch, decided.channels, batch)
        timed = seconds_per_step(
            decided.network, decided.channels, decided.patch, batch=batch, precision=decided.precision, device=where
        )
        if abs(timed / work / machine.seconds_per_step - 1) < SETTLED:
            break
        machine = machine.replace(seconds_per_step=round(timed / work, 4))
        before, decided = decided, make(fingerprint, machine)
        if (before.patch, before.network) == (decided.patch, decided.network):
            break
    return decided


def _memory_gb(where: str) -> float:
    """Of the accelerator, or of the machine; rounded, so that it does not change from run to run."""
    if where == "cuda":
        import torch

        return round(torch.cuda.get_device_properties(0).total_memory / 1e9, 0)
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 0)
