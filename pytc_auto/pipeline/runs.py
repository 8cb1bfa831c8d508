"""Run folders: what lies where, and how an argument names one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytc_auto.errors import DataError, ModelError, OutputError, PlanError
from pytc_auto.io.open import locate
from pytc_auto.schema.dataset import Dataset
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Plan

SWEEP, SELECTION = "sweep.json", "selection.json"
"""In a folder of runs that ``pytc sweep`` made; in a model folder that ``pytc select`` made."""


@dataclass(frozen=True)
class Run:
    """A run folder and the documents in it."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def plan_file(self) -> Path:
        """Every decision."""
        return self.folder / "plan.yaml"

    @property
    def dataset_file(self) -> Path:
        """Where the volumes are."""
        return self.folder / "dataset.yaml"

    @property
    def fingerprint_file(self) -> Path:
        """What the data set is."""
        return self.folder / "fingerprint.json"

    @property
    def report_file(self) -> Path:
        """Data and plan, for a person to look at."""
        return self.folder / "report.html"

    @property
    def cache(self) -> Path:
        """Copies of volumes that cannot be read by box; made anew where they are missing."""
        return self.folder / "cache"

    @property
    def model(self) -> Path:
        """The portable model."""
        return self.folder / "model"

    def fold(self, number: int) -> Path:
        """Checkpoints, logs and validation results of one fold."""
        return self.folder / "folds" / str(number)

    @property
    def started(self) -> bool:
        """Whether a training has begun."""
        return (self.folder / "folds").exists()

    def plan(self) -> Plan:
        """The plan, checked."""
        return Plan.load(self.plan_file)

    def dataset(self) -> Dataset:
        """Where the volumes are, checked."""
        return Dataset.load(self.dataset_file)

    def present_dataset(self) -> Dataset:
        """The same, when its volumes are to be read.

        Raises:
            DataError: One of them is no longer where it was when the run was planned.
        """
        dataset = self.dataset()
        for source in (path for entry in dataset.volumes for path in (entry.image, entry.labels) if path is not None):
            try:
                locate(source)
            except DataError as error:
                raise DataError(
                    f"{source}: is no longer there; {self.folder} was planned from {dataset.root}. Put the data back, or write "
                    f"where they are now into {self.dataset_file}."
                ) from error
        return dataset

    def fingerprint(self) -> Fingerprint:
        """What the data set is, checked."""
        return Fingerprint.load(self.fingerprint_file)


def new_run(runs: Path, name: str) -> Run:
    """The run of a name that somebody has chosen.

    Raises:
        PlanError: It would not lie in the folder of all runs.
        OutputError: That folder cannot be written.
    """
    if name in ("", ".", "..") or Path(name).name != name or "\\" in name:
        raise PlanError(
            f"--name {name!r} is not the name of a folder in {runs}. Give a name without slashes; --runs tells where."
        )
    place = next(p for p in (runs.absolute(), *runs.absolute().parents) if p.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise OutputError(f"{place}: is not a folder that can be written. Give another --runs, or check the rights.")
    return Run(runs / name)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Around what writes to a place.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{place}: cannot be written ({error}). Make room, check the rights, or choose another place."
        ) from error


def find_run(argument: str | Path, runs: Path) -> Run:
    """The run that a plan file, a data folder or a name means.

    Raises:
        PlanError: None is found, or several are made from the data folder; they are listed.
    """
    path = Path(argument)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return _checked(Run(path.resolve().parent))
    if path.exists():
        found = [run for run in _runs_in(runs) if _root(run) == path.resolve()]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(run.name for run in found)
            raise PlanError(f"{path}: several runs in {runs} were planned from it: {names}. Name the one to train.")
        if (path / "plan.yaml").is_file():
            return _checked(Run(path.resolve()))
        if not Run(runs / str(argument)).plan_file.is_file():
            raise PlanError(f"{path}: no run in {runs} was planned from it. Run 'pytc plan {path}' first.")
    run = Run(runs / str(argument))
    if not run.plan_file.is_file():
        known = ", ".join(r.name for r in _runs_in(runs)) or "none"
        raise PlanError(f"{argument}: is neither a plan file, a data folder nor a run in {runs} (runs there: {known}).")
    return _checked(run)


def model_of(argument: str | Path, runs: Path | None = None) -> Path:
    """A model folder as it is; a trained run, by its folder or its name in ``runs``, stands for its model."""
    named = [] if runs is None else [runs / str(argument)]
    for place in (Path(argument), *named):
        if (model := Run(place).model).is_dir():
            return model
        if _has_members(place):
            return place
    return Path(argument)


def _has_members(folder: Path) -> bool:
    return any(folder.glob("fold_*.safetensors"))


def find_model(argument: str | Path, runs: Path) -> Path:
    """The folder of a model, or of a run that has one, that a path or the name of a run means.

    Raises:
        ModelError: There is no such folder, or it is a run that was not trained.
    """
    places = [Path(argument), runs / str(argument)]
    for place in places:
        if (place / SELECTION).is_file() or model_of(place) != place or _has_members(place):
            return place
    present = next((place for place in places if place.is_dir()), None)
    if present is None:
        known = ", ".join(run.name for run in _runs_in(runs) if run.model.is_dir()) or "none"
        raise ModelError(f"{argument}: there is no such model, nor a run of that name (trained runs in {runs}: {known}).")
    if Run(present).dataset_file.is_file():
        raise ModelError(f"{present}: this run has no model yet. Run 'pytc train {present}' first.")
    return present


def find_runs(argument: str | Path, runs: Path) -> list[Run]:
    """All runs that an argument means: those of a sweep or of a data folder, that of a model folder, or a single one.

    Args:
        argument: A sweep's folder or name, a data folder, a model folder inside its run, or what ``find_run`` takes.
        runs: Folder of all runs.

    Raises:
        PlanError: None is found, or a model folder has left its run.
    """
    path = Path(argument)
    for folder in (path, runs / str(argument)):
        if (folder / SWEEP).is_file():
            return _runs_in(folder)
    if path.is_dir() and _has_members(path):
        if not (path.parent / "dataset.yaml").is_file():
            raise PlanError(
                f"{path}: is a model without its run, so its held-out data are not known. Name the run, or runs/NAME/model."
            )
        return [_checked(Run(path.resolve().parent))]
    if path.is_dir() and not (path / "plan.yaml").is_file():
        found = [run for run in _runs_in(runs) if _root(run) == path.resolve()]
        if found:
            return found
    return [find_run(argument, runs)]


def _checked(run: Run) -> Run:
    if not run.dataset_file.is_file():
        raise PlanError(f"{run.folder}: dataset.yaml is missing beside the plan. Run 'pytc plan DATASET' again.")
    return run


def _runs_in(runs: Path) -> list[Run]:
    return [Run(p.parent) for p in sorted(runs.glob("*/plan.yaml")) if not (p.parent / SELECTION).is_file()]


def _root(run: Run) -> Path | None:
    return Path(run.dataset().root) if run.dataset_file.is_file() else None
