"""Runs that are compared: whether they can be, and how their models do on held-out data, alone and together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytc_auto.errors import PlanError
from pytc_auto.geometry import Box
from pytc_auto.io.predictions import mean_stored
from pytc_auto.io.working_grid import volume_box
from pytc_auto.pipeline.held_out import WEIGHTS, Stored, kept_prediction, open_held_out, predict_held_out
from pytc_auto.pipeline.model_folder import Model
from pytc_auto.pipeline.runs import Run
from pytc_auto.pipeline.training import fold_is_trained
from pytc_auto.pipeline.tuning import model_scores
from pytc_auto.pipeline.validation import HeldOut, mean_trials
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.model import ModelScores


@dataclass(frozen=True)
class Ground:
    """A held-out region.

    Attributes:
        fold: That holds it out.
        volume: Its name.
        box: On the input's grid.
        hash: Of its gray values, its labels as they are scored, where nothing is known, and its skeletons if these choose.
    """

    fold: int
    volume: str
    box: Box
    hash: str


@dataclass(frozen=True, eq=False)
class Judged:
    """A trained run, and what it is judged on.

    Attributes:
        name: Of the run, different from the others'.
        run: Where it lies.
        model: Exported.
        held_out: Of each fold that is trained.
        grounds: Of all folds, in order.
    """

    name: str
    run: Run
    model: Model
    held_out: Mapping[int, HeldOut]
    grounds: tuple[Ground, ...]

    @classmethod
    def open(cls, run: Run, name: str) -> Judged:
        """Open a run; its held-out voxels are read.

        Raises:
            ModelError: Its model folder is not complete.
            DataError: Its volumes cannot be read.
        """
        model = Model.open(run.model)
        plan = model.plan
        folds = [number for number in range(plan.folds.count) if fold_is_trained(run, number)]
        held_out = {number: open_held_out(run, plan, number) for number in folds}
        grounds = tuple(_ground(held, fold, region) for fold, held in held_out.items() for region in range(len(held.regions)))
        return cls(name, run, model, held_out, grounds)

    def stored(self, fold: int, region: int, say: Callable[[str], None], progress: Progress = silent) -> Stored:
        """The prediction of a region by the fold's weights, before any refit; made anew where it was not kept."""
        from pytc_auto.models.build import build_network
        from pytc_auto.models.weights import load_weights

        folder, held_out = self.run.fold(fold), self.held_out[fold]
        kept = kept_prediction(held_out, region, folder)
        if kept is not None:
            return kept
        say(f"{self.name}, fold {fold}: no held-out prediction of its weights is kept; predicting it again")
        network = build_network(self.model.plan)
        load_weights(network, folder / WEIGHTS)
        return predict_held_out(held_out, region, network.eval(), folder, progress)


def check_comparable(judged: Sequence[Judged]) -> None:
    """Scores can be compared only if they are of the same voxels, and no member has learned from these.

    Raises:
        PlanError: Metric, folds, grid or held-out data differ; all differences are listed.
    """
    faults = [fault for other in judged[1:] for fault in _differences(judged[0], other)]
    if faults:
        told = "Name runs of the same data, folds (folds.scored, too), working scale and metric."
        raise PlanError("\n".join(["These runs cannot be compared:", *faults, told]))


def judge(members: Sequence[Judged], say: Callable[[str], None] = lambda _: None, progress: Progress = silent) -> ModelScores:
    """Score a model or the mean of several on all held-out data, with the best decoder of the first one's grid.

    Each fold is judged by the weights that did not learn from what it holds out.

    Args:
        members: Comparable, with the same targets.
        say: Told what is predicted again.
        progress: Told how far it is.
    """
    first, folds = members[0], {}
    for number, held_out in first.held_out.items():
        regions = []
        for region in range(len(held_out.regions)):
            stored = [member.stored(number, region, say, progress) for member in members]
            together = mean_stored(stored, first.model.plan.heads) if len(stored) > 1 else stored[0]
            regions.append(held_out.trials(together, region, first.model.plan, progress))
        folds[number] = mean_trials(regions)
    return model_scores(first.model.plan, folds)


def _ground(held_out: HeldOut, fold: int, number: int) -> Ground:
    region, plan = held_out.regions[number], held_out.plan
    volume = held_out.volumes[region.volume]
    digest = hashlib.sha256()
    for array in (*held_out.truth(number), held_out.image(number), *_lines(held_out, number)):
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array.astype(np.float64 if array.dtype.kind == "f" else np.uint64)).tobytes())
    return Ground(fold, volume.name, volume_box(plan, region.box), digest.hexdigest())


def _lines(held_out: HeldOut, number: int) -> list[Any]:
    """Arrays that make up the skeletons of a region, where run lengths choose."""
    found = held_out.skeletons(number) if held_out.plan.decoder.metric == "nerl" else None
    return [] if found is None else [found.nodes_zyx, found.nodes_nm, found.edges, found.skeleton]


def _differences(first: Judged, other: Judged) -> list[str]:
    """Why the scores of two runs are not of the same thing; the first reason, if there is one."""
    one, two = first.model.plan, other.model.plan
    facts = {
        "is tuned by": (one.decoder.metric, two.decoder.metric),
        "has trained folds": (sorted(first.held_out), sorted(other.held_out)),
        "is scored with voxels, in nm, of": (one.working_voxel_size_nm, two.working_voxel_size_nm),
        "holds out": (_told(first), _told(other)),
    }
    for what, (here, there) in facts.items():
        if here != there:
            return [f"{first.name} {what} {here}, {other.name} {what} {there}."]
    if [ground.hash for ground in first.grounds] != [ground.hash for ground in other.grounds]:
        return [f"{first.name} and {other.name} hold out {_told(first)}, but with other gray values, labels or skeletons."]
    return []


def _told(judged: Judged) -> str:
    return "; ".join(f"{ground.box} (z, y, x) of {ground.volume}" for ground in judged.grounds)
