"""Trainings as SLURM jobs, through submitit; their ids lie on disk, so that the same command waits for them again."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from pytc_auto.errors import OutputError, PlanError, PytcError
from pytc_auto.files import write_whole
from pytc_auto.pipeline.runs import Run

CLUSTER = "slurm"
POLL_SECONDS = 5.0
SPARE = 1.5
"""A job may take this many times the training's own time."""
UNLIMITED_MINUTES = 2 * 24 * 60
GOING = ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "REQUEUED", "RESIZING", "SUSPENDED", "UNKNOWN")


def run_as_jobs(
    runs: Sequence[Run],
    fold: int | Literal["all"],
    parameters: Sequence[str],
    *,
    max_seconds: float | None,
    say: Callable[[str], None],
) -> dict[str, str]:
    """Train each run as a job and wait for all.

    Args:
        runs: In one folder; their plans are made.
        fold: As for ``train``.
        parameters: Of the jobs, such as ``partition=gpu`` or ``mem_gb=64``; submitit's names, SLURM's own with ``slurm_``.
        max_seconds: The time that the plans were made for.
        say: Told what was submitted and what ended.

    Returns:
        Why runs failed, by name.

    Raises:
        PlanError: A parameter is not understood.
        OutputError: submitit is not installed, or SLURM refuses the jobs.
    """
    if not runs:
        return {}
    submitit = _submitit()
    folder = runs[0].folder.parent / "jobs"
    ids = folder / "ids.json"
    known: dict[str, str] = json.loads(ids.read_text()) if ids.is_file() else {}
    jobs = {run.name: _still_going(submitit, folder, known.get(run.name)) for run in runs}
    executor = _executor(submitit, folder, runs[0], _parameters(parameters), max_seconds)
    for run in runs:
        if jobs[run.name] is None:
            jobs[run.name] = _submitted(executor, run, fold)
            known[run.name] = jobs[run.name].job_id
            write_whole(ids, json.dumps(known, indent=1))
            say(f"{run.name}: job {known[run.name]}")
        else:
            say(f"{run.name}: job {known[run.name]} goes on")
    return _ends(jobs, folder, say)


def train_run(folder: str, name: str, fold: int | Literal["all"]) -> str | None:
    """What a job does. Gives the message of a fault that a user can mend."""
    from pytc_auto.pipeline.training import train

    try:
        train(name, runs=folder, fold=fold, say=print)
    except PytcError as error:
        return str(error)
    return None


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise OutputError("--launcher slurm needs submitit. Run: pip install 'pytc-auto[slurm]'") from error
    return submitit


def _parameters(texts: Sequence[str]) -> dict[str, Any]:
    """key=value pairs, values as in YAML."""
    faults = [text for text in texts if "=" not in text or not text.partition("=")[0].isidentifier()]
    if faults:
        raise PlanError(f"--slurm {', '.join(faults)}: is no parameter of a job. Write key=value, such as partition=gpu.")
    return {key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in texts)}


def _executor(submitit: Any, folder: Path, run: Run, parameters: dict[str, Any], max_seconds: float | None) -> Any:
    wanted = {"timeout_min": UNLIMITED_MINUTES if max_seconds is None else math.ceil(max_seconds * SPARE / 60)}
    if run.plan().machine.device == "cuda":
        wanted["gpus_per_node"] = 1
    own = {"timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node", "name"}
    wanted |= {key if key in own or key.startswith("slurm_") else f"slurm_{key}": value for key, value in parameters.items()}
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=CLUSTER)
        executor.update_parameters(name=f"pytc-{run.folder.parent.name}", **wanted)
    except (RuntimeError, NameError, ValueError) as error:
        raise OutputError(f"no jobs can be submitted here: {error}. Use --launcher local, or a machine with SLURM.") from error
    return executor


def _submitted(executor: Any, run: Run, fold: int | Literal["all"]) -> Any:
    try:
        return executor.submit(train_run, str(run.folder.parent.resolve()), run.name, fold)
    except Exception as error:
        raise OutputError(f"{run.name}: the job was refused: {error}. Mend the --slurm parameters and run it again.") from error


def _still_going(submitit: Any, folder: Path, job_id: str | None) -> Any:
    """A job of an earlier call that has not ended."""
    if job_id is None:
        return None
    kind = submitit.SlurmJob if CLUSTER == "slurm" else submitit.LocalJob
    job = kind(folder, job_id)
    return job if not job.done() and job.state.split()[0] in GOING else None


def _ends(jobs: dict[str, Any], folder: Path, say: Callable[[str], None]) -> dict[str, str]:
    """Wait; tell each end, and why it was a bad one."""
    errors: dict[str, str] = {}
    waiting = dict(jobs)
    while waiting:
        for name in [name for name, job in waiting.items() if job.done()]:
            job = waiting.pop(name)
            fault = _fault(job, folder)
            say(f"{name}: {'done' if fault is None else f'failed: {fault}'}")
            if fault is not None:
                errors[name] = fault
        if waiting:
            time.sleep(POLL_SECONDS)
    return errors


def _fault(job: Any, folder: Path) -> str | None:
    error = job.exception()
    if error is None:
        told: str | None = job.result()
        return told
    return f"job {job.job_id} ended badly ({str(error).strip().splitlines()[-1]}). Read {folder}/{job.job_id}_0_log.err"
