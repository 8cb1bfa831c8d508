"""``pytc train``: run the plan, tune the decoder on held-out data, export one model folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pytc_auto.errors import PlanError
from pytc_auto.pipeline.device import memory_for_data
from pytc_auto.pipeline.held_out import WEIGHTS
from pytc_auto.pipeline.init_from import ignored, start_from
from pytc_auto.pipeline.lineage import STARTED, note_start
from pytc_auto.pipeline.memory_advice import memory_wanted
from pytc_auto.pipeline.processes import end_unless_first, is_first, wait_for_all
from pytc_auto.pipeline.runs import Run, find_run, model_of
from pytc_auto.pipeline.side_by_side import check_devices, train_side_by_side
from pytc_auto.pipeline.tuning import model_scores, trials_of, tune
from pytc_auto.pipeline.validation import HeldOut, division_of
from pytc_auto.progress import Progress, silent
from pytc_auto.report.search import search_picture
from pytc_auto.report.training import add_training
from pytc_auto.schema.model import DecoderChoice, ModelScores
from pytc_auto.schema.plan import Plan
from pytc_auto.training.flags import Flags

TUNING_SHARE = 0.15
"""Share of ``--max-time`` kept for the last validation, tuning and export."""
EXPORT_SHARE = 0.03
"""Share of what is left of it after the fold that is kept for the export."""
ONE_DEVICE = Flags()
REFITTED = "refitted.safetensors"
"""Weights of a fold after the refit."""


@dataclass(frozen=True)
class Trained:
    """What ``pytc train`` made.

    Attributes:
        scores: Of each fold on its held-out data.
        refit: Whether the exported weights learned from the held-out data, too, after that.
    """

    run: Run
    scores: dict[int, dict[str, float]]
    metric: str
    refit: bool
    seconds: float
    stopped_early: bool


def train(  # noqa: PLR0913
    what: str | Path,
    *,
    runs: str | Path = "runs",
    fold: int | Literal["all"] = 0,
    max_seconds: float | None = None,
    flags: Flags = ONE_DEVICE,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Trained:
    """Train one fold or all; the same call resumes a run that was interrupted.

    With several devices a fold is trained by as many processes, which start this script again (on SLURM and under torchrun they
    are there already); all folds are trained side by side instead, one on each device.

    Args:
        what: A plan file, a data folder, or a run's name.
        runs: Folder of all runs.
        fold: Number of the fold that is held out, or "all".
        max_seconds: Stop early, cleanly, with a model exported, within this time per fold.
        flags: Devices, nodes, loggers, and the model to start from.
        say: Told what is being done.
        progress: Told how far the tuning of the decoder is; training shows its own bar.

    Raises:
        PlanError: There is no such run or fold, or its plan is not valid.
        DataError: The volumes cannot be read.
        BudgetError: A training step does not fit the memory; a plan that does is named.
        ModelError: The loss was not finite for many steps in a row; or the model to start from is none, or nothing of it fits.
        OutputError: The disk is full, or a logger is not installed.
    """
    run = find_run(what, Path(runs))
    plan = run.plan()
    flags = replace(flags, init_from=model_of(flags.init_from, Path(runs)) if flags.init_from else None)
    started = time.monotonic()
    numbers = _folds(plan, fold)
    if fold == "all" and flags.processes > 1:
        check_devices(plan, flags)
        stopped = train_side_by_side(run, numbers, flags, max_seconds=max_seconds, say=say)
    else:
        stopped = False
        for number in numbers:
            stopped |= train_fold(run, plan, number, max_seconds=max_seconds, flags=flags, say=say, progress=progress)
    if fold != "all" and plan.sampling.refit_steps and not stopped:
        stopped = _refit(run, plan, fold, max_seconds and max_seconds + started - time.monotonic(), flags, say)
    end_unless_first()
    say("Exporting the model")
    scores = export(run, plan)
    return Trained(run, scores.folds, scores.metric, scores.refit, time.monotonic() - started, stopped)


def _folds(plan: Plan, fold: int | Literal["all"]) -> list[int]:
    if fold == "all":
        return list(range(plan.folds.count))
    if not 0 <= fold < plan.folds.count:
        raise PlanError(f"{plan.name}: there is no fold {fold}. The plan has {plan.folds.count}: 0 to {plan.folds.count - 1}.")
    return [fold]


def train_fold(  # noqa: PLR0913
    run: Run,
    plan: Plan,
    number: int,
    *,
    max_seconds: float | None,
    flags: Flags,
    say: Callable[[str], None],
    progress: Progress = silent,
) -> bool:
    """Fit, tune, and leave weights, scores and a picture in the fold's folder. Tells whether the time ended it."""
    from pytorch_lightning import seed_everything

    from pytc_auto.data.module import ConnectomicsDataModule
    from pytc_auto.data.volumes import open_volumes
    from pytc_auto.models.build import build_network
    from pytc_auto.models.precision import computed_in
    from pytc_auto.models.weights import load_state, save_weights
    from pytc_auto.training.fit import LAST, best_weights, device_for, fit

    folder = run.fold(number)
    start, begun = flags.init_from, (folder / "checkpoints" / f"{LAST}.ckpt").exists()
    if fold_is_trained(run, number):
        say(f"Fold {number} is trained already" + (f"; {ignored(start, number)}" if start is not None else ""))
        return False
    if start is not None and begun:
        say(f"Fold {number} goes on from its own checkpoint; {ignored(start, number)}")
        start = None
    deadline = time.monotonic() + max_seconds * (1 - TUNING_SHARE) if max_seconds is not None else None
    volumes = open_volumes(run.present_dataset(), plan, memory_for_data(), cache=run.cache)
    division = division_of(plan, volumes, number)
    held_out = HeldOut(plan, volumes, division.validation)
    precision = computed_in(plan.precision, device_for(plan))
    if precision != plan.precision:
        say(f"This machine has no arithmetic in {plan.precision}: fold {number} is trained in {precision}")
    seed_everything(plan.sampling.seed + number, workers=False, verbose=False)
    network = build_network(plan)
    if start is not None:
        note_start(run.dataset(), held_out, start_from(network, plan, start, number, say), folder, say)
    elif not begun:
        (folder / STARTED).unlink(missing_ok=True)
    say(f"Training fold {number}: {_steps(plan)}")
    data = ConnectomicsDataModule(volumes, plan, division, workers=_workers(flags))
    with memory_wanted(run, plan):
        fitted = fit(plan, network, data, folder, validate=held_out.quick_score, deadline=deadline, flags=flags)
    if is_first():
        load_state(network, best_weights(fitted.checkpoint), fitted.checkpoint)
        save_weights(network, folder / WEIGHTS)
        say("Tuning the decoder on held-out data")
        scores = model_scores(plan, {number: tune(held_out, network, folder, progress)})
        search_picture(scores, folder / "decoder.png")
        scores.save(folder / "scores.json")
    wait_for_all()
    return fitted.stopped_early


def _steps(plan: Plan) -> str:
    part = f" on {'×'.join(map(str, plan.folds.scored))} voxels of what is held out" if plan.folds.scored else ""
    return f"{plan.sampling.steps} steps, validated every {plan.sampling.validate_every}{part}"


def fold_is_trained(run: Run, number: int) -> bool:
    """Whether nothing is left to do for a fold."""
    return (run.fold(number) / "scores.json").is_file() and (run.fold(number) / WEIGHTS).is_file()


def _refit(  # noqa: PLR0917
    run: Run, plan: Plan, number: int, max_seconds: float | None, flags: Flags, say: Callable[[str], None]
) -> bool:
    """Go on from a fold's weights on all labelled data. Tells whether the time ended it; then the fold's weights stay the best.

    The fold has chosen the decoder. One volume is often all there is, and what is held out of it, guard included, is a part of
    the tissue that the network would never see.
    """
    from pytorch_lightning import seed_everything

    from pytc_auto.data.folds import Division
    from pytc_auto.data.module import ConnectomicsDataModule
    from pytc_auto.data.volumes import open_volumes, whole_regions
    from pytc_auto.models.build import build_network
    from pytc_auto.models.weights import load_state, load_weights, save_weights
    from pytc_auto.training.fit import best_weights, fit

    folder = run.fold(number)
    if (folder / REFITTED).is_file():
        say("It is refitted on all labelled data already")
        return False
    deadline = time.monotonic() + max_seconds * (1 - EXPORT_SHARE) if max_seconds is not None else None
    sampling = plan.sampling
    seed = sampling.seed + plan.folds.count + number
    shorter = plan.replace(
        sampling=sampling.replace(steps=sampling.refit_steps, seed=seed),
        optimizer=plan.optimizer.replace(warmup_steps=min(plan.optimizer.warmup_steps, sampling.refit_steps // 2)),
    )
    seed_everything(seed, workers=False, verbose=False)
    volumes = open_volumes(run.present_dataset(), plan, memory_for_data(), cache=run.cache)
    network = build_network(plan)
    load_weights(network, folder / WEIGHTS)
    say(f"Refitting on all labelled data: {sampling.refit_steps} steps")
    data = ConnectomicsDataModule(volumes, shorter, Division(whole_regions(volumes), ()), workers=_workers(flags))
    with memory_wanted(run, plan):
        fitted = fit(shorter, network, data, folder / "refit", validate=None, deadline=deadline, flags=flags)
    if not fitted.stopped_early and is_first():
        load_state(network, best_weights(fitted.checkpoint), fitted.checkpoint)
        save_weights(network, folder / REFITTED)
    return fitted.stopped_early


def _workers(flags: Flags) -> int:
    """Half of the cores prepare crops, shared by the processes that train here; the networks have the others."""
    import os

    return max(1, min(8, (os.cpu_count() or 1) // 2 // flags.devices))


def export(run: Run, plan: Plan) -> ModelScores:
    """Write the model folder from all folds that are trained; it is replaced whole.

    A single fold is exported as it was refitted on all data. Several folds together have seen all data; each stays as it was
    scored.
    """
    import shutil

    done = {n: run.fold(n) for n in range(plan.folds.count) if (run.fold(n) / "scores.json").is_file()}
    folds = {n: trials_of(ModelScores.load(folder / "scores.json")) for n, folder in done.items()}
    refit = len(done) == 1 and all((folder / REFITTED).is_file() for folder in done.values())
    scores = model_scores(plan, folds, refit=refit)
    partial = run.folder / ".model.part"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    plan.save(partial / "plan.yaml")
    for number, folder in done.items():
        shutil.copyfile(folder / (REFITTED if refit else WEIGHTS), partial / f"fold_{number}.safetensors")
    chosen = scores.search[scores.chosen]
    DecoderChoice(kind=chosen.kind, parameters=chosen.parameters).save(partial / "decoder.json")
    scores.save(partial / "scores.json")
    shutil.rmtree(run.model, ignore_errors=True)
    partial.replace(run.model)
    add_training(run.report_file, scores, done)
    return scores
