"""``pytc sweep``: one run per combination of decisions by hand, and one table of how they did."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field

from pytc_auto.errors import BudgetError, OutputError, PlanError, PytcError
from pytc_auto.evaluation.scores import figure_of_merit
from pytc_auto.files import write_whole
from pytc_auto.geometry import ZyxFloat, zyx
from pytc_auto.pipeline.jobs import run_as_jobs
from pytc_auto.pipeline.planning import Looked, Planned, decide, default_name, look
from pytc_auto.pipeline.runs import SWEEP, Run, new_run, writing
from pytc_auto.pipeline.training import train
from pytc_auto.planning.by_hand import combinations, read_overrides
from pytc_auto.planning.planner import make_plan
from pytc_auto.progress import Progress, silent
from pytc_auto.report.page import write_report
from pytc_auto.schema.dataset import Task
from pytc_auto.schema.document import Document
from pytc_auto.schema.model import ModelScores
from pytc_auto.schema.plan import Why

Fold = int | Literal["all"]


class SweepCommand(Document):
    """sweep.json: what the runs beside it were made by, so that another command does not go on with them."""

    data: str
    overrides: list[str]
    task: str | None
    size: str | None
    max_seconds: float | None
    fold: int | str = Field(description="number, or all")


@dataclass(frozen=True)
class Row:
    """One combination.

    Attributes:
        values: The swept fields of the plan and their values.
        scores: On validation data, mean over the folds; empty where the run failed.
        error: Why it failed.
    """

    run: Run
    values: Mapping[str, str]
    metric: str
    scores: Mapping[str, float]
    error: str | None

    @property
    def merit(self) -> float:
        """Higher is better; a run that failed is the worst."""
        return float("-inf") if self.error is not None else figure_of_merit(dict(self.scores), self.metric)  # type: ignore[arg-type]


def sweep(  # noqa: PLR0913
    data: str | Path,
    overrides: Sequence[str],
    *,
    name: str | None = None,
    runs: str | Path = "runs",
    voxel_size_nm: ZyxFloat | None = None,
    task: Task | None = None,
    size: str | None = None,
    max_seconds: float | None = None,
    fold: Fold = 0,
    slurm: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> list[Row]:
    """Plan and train every combination; the same call goes on where it was interrupted.

    Args:
        data: As for ``plan``.
        overrides: As for ``plan``, with several values each: ``network.kind=unet,mednext``; the grid of all is run.
        name: Of the folder that holds the runs; the data folder's name and ``-sweep`` by default.
        runs: Folder in which it lies.
        voxel_size_nm: As for ``plan``.
        task: As for ``plan``.
        size: As for ``plan``.
        max_seconds: Wall clock for one fold of one run.
        fold: As for ``train``.
        slurm: Parameters of SLURM jobs, such as ``partition=gpu``; None trains here, one run after another.
        say: Told what is being done.
        progress: Told how far long steps are.

    Returns:
        One row per combination, the best first. Also written to ``results.csv``.

    Raises:
        PlanError: An override is not valid, or a combination has no plan; all of them are told and nothing is trained.
        OutputError: The folder holds another sweep.
    """
    given = combinations(overrides)
    folder = new_run(Path(runs), f"{default_name(Path(data))}-sweep" if name is None else name).folder
    command = SweepCommand(
        data=str(Path(data).resolve()), overrides=list(overrides), task=task, size=size, max_seconds=max_seconds, fold=fold
    )
    _claim(folder, command)
    named = dict(zip(_names(given), given, strict=True))
    waiting = [run for run in (Run(folder / each) for each in named) if not run.plan_file.is_file()]
    if waiting:
        say("Looking at the data")
        looked = look(Path(data), Run(folder), voxel_size_nm=voxel_size_nm, task=task, progress=progress)
        remarks = _plan_all(waiting, named, partial(decide, looked, size=size, max_seconds=max_seconds), task, say)
        if not any(text.startswith(("folds.scored=", "folds=")) for text in overrides):
            _score_the_same([Run(folder / each) for each in named], looked, remarks)
    untrained = [run for run in (Run(folder / each) for each in named) if not (run.model / "scores.json").is_file()]
    if slurm is None:
        errors = dict(_train_here(untrained, fold, say, progress))
    else:
        errors = run_as_jobs(untrained, fold, slurm, max_seconds=max_seconds, say=say)
    rows = [_row(Run(folder / each), combination, given, errors.get(each)) for each, combination in named.items()]
    rows.sort(key=lambda row: -row.merit)
    write_whole(folder / "results.csv", _as_csv(rows))
    return rows


def _claim(folder: Path, command: SweepCommand) -> None:
    """The folder belongs to one command, once a run in it has been planned."""
    file = folder / SWEEP
    if file.is_file() and any(folder.glob("*/plan.yaml")):
        before = SweepCommand.load(file)
        if before != command:
            told = ", ".join(
                f"{k} {getattr(before, k)}" for k in SweepCommand.model_fields if getattr(before, k) != getattr(command, k)
            )
            raise OutputError(f"{folder}: holds another sweep ({told}). Choose another --name, or delete it.")
        return
    if folder.exists() and not file.is_file() and any(folder.iterdir()):
        raise OutputError(f"{folder}: is not empty and holds no sweep. Choose another --name, or delete it.")
    with writing(folder):
        command.save(file)


def _names(given: Sequence[Sequence[str]]) -> list[str]:
    """A folder name per combination: the swept fields' last words with their values."""
    swept = _swept(given)
    names = ["-".join(_word(text) for number, text in enumerate(each) if number in swept) or "only" for each in given]
    twice = sorted({" ".join(each) for each, name in zip(given, names, strict=True) if names.count(name) > 1})
    if twice:
        raise PlanError(f"more than once: {', '.join(twice)}. Give each value once.")
    return names


def _swept(given: Sequence[Sequence[str]]) -> set[int]:
    """Which overrides have several values."""
    return {number for number, values in enumerate(zip(*given, strict=True)) if len(set(values)) > 1}


def _word(text: str) -> str:
    key, _, value = text.partition("=")
    kept = "".join(c if c.isalnum() or c in "._" else "x" if c == "," else "" for c in value)
    return f"{key.rsplit('.', 1)[-1]}_{kept}"


def _plan_all(
    waiting: Sequence[Run],
    named: Mapping[str, Sequence[str]],
    decided: Callable[..., Planned],
    task: Task | None,
    say: Callable[[str], None],
) -> dict[str, list[str]]:
    """Plan all runs or none; gives what is said of each.

    Raises:
        PlanError: Some have no plan; all of them are told, and the plans of the others are taken away.
    """
    faults: list[str] = []
    planned: list[Planned] = []
    for run in waiting:
        say(f"Planning {run.name}")
        _share_cache(run)
        try:
            planned.append(decided(run, partial(make_plan, task=task, by_hand=read_overrides(named[run.name]))))
        except (PlanError, BudgetError) as error:
            faults.append(f"{run.name}: {error}")
            with suppress(OSError):
                run.cache.unlink(missing_ok=True)
                run.folder.rmdir()
    if faults:
        for each in planned:
            shutil.rmtree(each.run.folder)
        raise PlanError("\n".join(faults))
    return {each.run.name: each.remarks for each in planned}


def _score_the_same(runs: Sequence[Run], looked: Looked, remarks: Mapping[str, list[str]]) -> None:
    """Where plans score boxes of what they hold out, one that all of them have time for, so that scores can be compared."""
    plans = {run: run.plan() for run in runs}
    boxes_nm = [
        [n * s for n, s in zip(plan.folds.scored, plan.working_voxel_size_nm, strict=True)]
        for plan in plans.values()
        if plan.folds.scored
    ]
    if not boxes_nm:
        return
    smallest = [min(extents) for extents in zip(*boxes_nm, strict=True)]
    for run, plan in plans.items():
        scored = zyx([max(1, round(n / s)) for n, s in zip(smallest, plan.working_voxel_size_nm, strict=True)])
        if scored == plan.folds.scored:
            continue
        planned = list(plan.folds.scored) if plan.folds.scored else None
        why = {**plan.why, "folds.scored": Why(rule="sweep.same_box", numbers={"planned": planned})}
        changed = plan.replace(folds=plan.folds.replace(scored=scored), why=why)
        with writing(run.folder):
            changed.save(run.plan_file)
            write_report(looked.measured, changed, remarks.get(run.name, looked.remarks), run.report_file)


def _share_cache(run: Run) -> None:
    """Copies of volumes lie beside the runs, once for all."""
    shared = Run(run.folder.parent).cache
    if shared.is_dir() and not run.cache.exists():
        run.folder.mkdir(exist_ok=True)
        run.cache.symlink_to(Path("..") / shared.name, target_is_directory=True)


def _train_here(runs: Sequence[Run], fold: Fold, say: Callable[[str], None], progress: Progress) -> Iterator[tuple[str, str]]:
    """One after another; what failed and why."""
    for number, run in enumerate(runs, 1):
        say(f"{run.name} ({number} of {len(runs)})")
        try:
            train(run.name, runs=run.folder.parent, fold=fold, say=say, progress=progress)
        except PytcError as error:
            say(f"{run.name} failed: {error}")
            yield run.name, str(error)


def _row(run: Run, combination: Sequence[str], given: Sequence[Sequence[str]], error: str | None) -> Row:
    swept, metric = _swept(given), run.plan().decoder.metric
    values = dict(text.partition("=")[::2] for number, text in enumerate(combination) if number in swept)
    if error is not None or not (run.model / "scores.json").is_file():
        return Row(run, values, metric, {}, error or "was not trained")
    folds = list(ModelScores.load(run.model / "scores.json").folds.values())
    return Row(run, values, metric, {key: sum(f[key] for f in folds) / len(folds) for key in folds[0]}, None)


def _as_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    scores = list(dict.fromkeys(key for row in rows for key in row.scores))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *rows[0].values, *scores, "error"])
    for row in rows:
        writer.writerow([row.run.name, *row.values.values(), *[row.scores.get(key, "") for key in scores], row.error or ""])
    return text.getvalue()
