"""The decoder's search over a fold's held-out data, and what is written of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytc_auto.evaluation.erl import MERGE_THRESHOLDS
from pytc_auto.pipeline.held_out import predict_held_out
from pytc_auto.pipeline.validation import HeldOut, Trial, best_of, mean_trials
from pytc_auto.progress import Progress
from pytc_auto.schema.model import DecoderChoice, ModelScores, TriedDecoder
from pytc_auto.schema.plan import Plan


def tune(held_out: HeldOut, network: Any, folder: Path, progress: Progress) -> list[Trial]:
    """Every decoder of the grid on every held-out region; leaves the predictions and a picture of the best.

    Args:
        held_out: Of the fold.
        network: With the weights that lie in the folder.
        folder: The fold's.
        progress: Told how far it is.
    """
    from pytc_auto.pipeline.pictures import validation_picture

    regions, first = [], None
    for number in range(len(held_out.regions)):
        stored = predict_held_out(held_out, number, network, folder, progress)
        first = stored if first is None else first
        regions.append(held_out.trials(stored, number, held_out.plan, progress))
    trials = mean_trials(regions)
    if first is not None:
        validation_picture(held_out, first, best_of(trials), folder / "validation.png")
    return trials


def model_scores(plan: Plan, folds: Mapping[int, Sequence[Trial]], *, refit: bool = False) -> ModelScores:
    """The scores of the best trial over all folds, fold by fold, and the whole search."""
    joined = mean_trials(list(folds.values()))
    chosen = joined.index(best_of(joined))
    search = [
        TriedDecoder(kind=t.choice.kind, parameters=t.choice.parameters, merit=t.merit, scores=dict(t.scores)) for t in joined
    ]
    fold_scores = {n: dict(t[chosen].scores) for n, t in folds.items()}
    traced = all("nerl" in trial.scores for trial in joined)
    return ModelScores(
        metric=plan.decoder.metric,
        merge_thresholds=list(MERGE_THRESHOLDS) if traced else None,
        refit=refit,
        folds=fold_scores,
        search=search,
        chosen=chosen,
    )


def trials_of(scores: ModelScores) -> list[Trial]:
    """A search as it was saved."""
    return [Trial(DecoderChoice(kind=t.kind, parameters=t.parameters), t.merit, t.scores) for t in scores.search]
