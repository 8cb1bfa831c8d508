"""Held-out data: predicted, decoded and scored as ``pytc predict`` and ``pytc evaluate`` would; the decoder's search."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.data.folds import Division, Region, divide
from pytc_auto.data.scored import scored_region
from pytc_auto.data.volumes import LabelledVolume, whole_regions
from pytc_auto.decoding.decode import LENGTHS, candidates, combinations
from pytc_auto.errors import PlanError
from pytc_auto.evaluation.erl import skeleton_scores
from pytc_auto.evaluation.scores import Kind, figure_of_merit, score
from pytc_auto.inference.predict import predict_box, stored
from pytc_auto.io.skeletons import Skeletons
from pytc_auto.io.volume import VolumePart
from pytc_auto.pipeline.pictures import progress_picture
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.heads import PolarityHead
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Decoder, InstanceLabels, Plan
from pytc_auto.targets.labels import instances_in_crop
from pytc_auto.training.module import Validated

Array = npt.NDArray[Any]
COARSE_VALUES = 5
REACH = 0.101
"""How far thresholds may be off on other tissue, a tenth; its last digit is for rounding."""


@dataclass(frozen=True)
class Trial:
    """One decoder with its parameters, and how it did."""

    choice: DecoderChoice
    merit: float
    scores: Mapping[str, float]


@dataclass(frozen=True)
class HeldOut:
    """The validation regions of a fold."""

    plan: Plan
    volumes: Sequence[LabelledVolume]
    regions: Sequence[Region]

    def predict(self, network: Any, number: int, device: str, progress: Progress = silent) -> npt.NDArray[np.uint8]:
        """Stored prediction of a region, (C, Z, Y, X)."""
        region = self.regions[number]

        def watch(share: float) -> None:
            progress(f"predicting held-out region {number}", share * region.box.size, region.box.size)

        seen = VolumePart(self.volumes[region.volume].image, region.context)
        box = region.box.relative_to(region.context.start)
        values = predict_box([network], seen, self.plan, box, device=device, progress=watch)
        return stored(values, self.plan)

    def truth(self, number: int) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Labels of a region on the working grid, and where nothing is known.

        An object that the region cuts in pieces is several. The sides of synapses keep their ids, which tell the sides.
        """
        region = self.regions[number]
        read = self.volumes[region.volume].read_labels(region.box)
        raw, unlabeled = read.labels_zyx, read.unlabeled_zyx
        if not isinstance(self.plan.labels, InstanceLabels):
            return raw, unlabeled | np.isin(raw, self.plan.labels.unlabeled)
        if scored_as(self.plan) == "synapses":
            background = np.isin(raw, [*self.plan.labels.background, *self.plan.labels.unlabeled])
            return np.where(background, raw.dtype.type(0), raw), unlabeled | np.isin(raw, self.plan.labels.unlabeled)
        instances = instances_in_crop(raw, self.plan.labels)
        return instances.ids_zyx, unlabeled | instances.unlabeled_zyx

    def skeletons(self, number: int) -> Skeletons | None:
        """What of the volume's skeletons lies in a region, in voxels of the region; None where nothing does.

        They are cut at its faces, and so are lengths: NERL asks how much of what could be followed inside is followed.
        """
        region = self.regions[number]
        whole = self.volumes[region.volume].skeletons
        return None if whole is None or not whole.length_in(region.box) else whole.clipped(region.box).moved(region.box.start)

    def image(self, number: int) -> Array:
        """Gray values of a region."""
        region = self.regions[number]
        return self.volumes[region.volume].read_image(region.box)

    def trials(self, stored_czyx: npt.NDArray[np.uint8], number: int, plan: Plan, progress: Progress = silent) -> list[Trial]:
        """Every decoder of the plan's grid on one region."""
        return [trial for trial, _ in self.decoded(stored_czyx, number, plan, progress)]

    def decoded(
        self, stored_czyx: npt.NDArray[np.uint8], number: int, plan: Plan, progress: Progress = silent
    ) -> Iterator[tuple[Trial, Array]]:
        """Every decoder of the plan's grid on one region, and what it makes of it, (Z, Y, X)."""
        (truth, unlabeled), skeletons = self.truth(number), self.skeletons(number)
        kind = scored_as(plan)
        values = [] if isinstance(plan.labels, InstanceLabels) else list(plan.labels.values)
        ways, voxels = combinations(plan.decoder), truth.size
        for done, (choice, segmentation) in enumerate(candidates(stored_czyx, plan), 1):
            scores = score(segmentation, truth, ignore_zyx=unlabeled, kind=kind, values=values)
            if skeletons is not None:
                scores |= skeleton_scores(skeletons, segmentation[tuple(skeletons.nodes_zyx.T)])
            progress(f"decoding held-out region {number} in {ways} ways", done * voxels, ways * voxels)
            yield Trial(choice, figure_of_merit(scores, plan.decoder.metric), scores), segmentation

    def quick_score(self, network: Any, number: int) -> Validated:
        """Score of a region with the best of a few decoders, for choosing a checkpoint; a picture of the first region."""
        stored = self.predict(network, number, str(next(network.parameters()).device))
        best, segmentation = max(self.decoded(stored, number, coarse(self.plan)), key=lambda pair: pair[0].merit)
        scores = {"score": best.merit, **{k: v for k, v in best.scores.items() if math.isfinite(v)}}
        return Validated(scores, progress_picture(self, number, stored, segmentation) if number == 0 else None)


def division_of(plan: Plan, volumes: Sequence[LabelledVolume], number: int) -> Division:
    """What a fold learns from and what it is scored on: what it holds out, or a box of each part where the plan says so.

    Where run lengths choose, a part without a skeleton is not scored.

    Raises:
        PlanError: There is no such fold, or run lengths are to choose and nothing that it holds out has a skeleton.
    """
    division = divide(plan.folds, whole_regions(volumes), number)
    if plan.decoder.metric != "nerl":
        return _scored(division, plan, volumes)
    traced = tuple(region for region in division.validation if _has_skeletons(volumes[region.volume], region))
    if not traced:
        raise PlanError(
            f"{plan.name}: fold {number} holds out no piece of a skeleton, so nerl cannot choose anything. "
            "Plan with other folds, such as folds.axis=y, or with decoder.metric=voi."
        )
    return _scored(replace(division, validation=traced), plan, volumes)


def _scored(division: Division, plan: Plan, volumes: Sequence[LabelledVolume]) -> Division:
    return replace(division, validation=tuple(scored_region(volumes, region, plan) for region in division.validation))


def _has_skeletons(volume: LabelledVolume, region: Region) -> bool:
    return volume.skeletons is not None and volume.skeletons.length_in(region.box) > 0


def scored_as(plan: Plan) -> Kind:
    """What the scores take a plan's labels for."""
    if not isinstance(plan.labels, InstanceLabels):
        return "classes"
    return "synapses" if any(isinstance(head, PolarityHead) for head in plan.heads) else "instances"


def coarse(plan: Plan) -> Plan:
    """The plan with a thinned decoder grid: a few values of the first parameter, the middle one of every other."""
    values = plan.decoder.grid.items()
    grid = {name: _thin(v) if number == 0 else [v[len(v) // 2]] for number, (name, v) in enumerate(values)}
    return plan.replace(decoder=Decoder(kinds=plan.decoder.kinds, grid=grid, metric=plan.decoder.metric))


def _thin(values: list[float]) -> list[float]:
    """At most a handful of values, the ends among them."""
    if len(values) <= COARSE_VALUES:
        return values
    return [values[round(i * (len(values) - 1) / (COARSE_VALUES - 1))] for i in range(COARSE_VALUES)]


def mean_trials(regions: Sequence[Sequence[Trial]]) -> list[Trial]:
    """The same decoders over several regions: mean merit and scores."""
    joined = []
    for trials in zip(*regions, strict=True):
        names = set.intersection(*(set(t.scores) for t in trials))
        scores = {name: float(np.mean([t.scores[name] for t in trials])) for name in sorted(names)}
        joined.append(Trial(trials[0].choice, float(np.mean([t.merit for t in trials])), scores))
    return joined


def best_of(trials: Sequence[Trial]) -> Trial:
    """The trial that is best in the mean with those whose thresholds are within reach of its own.

    Held-out tissue lies beside what was learned. Other tissue is harder, there affinities are fainter, as if the thresholds were
    a little off; a decoder at the edge of merging falls over it, one in the middle of a plateau does not.
    """
    alike: dict[tuple[Any, ...], list[Trial]] = defaultdict(list)
    for trial in trials:
        lengths = ((name, value) for name, value in trial.choice.parameters.items() if name in LENGTHS)
        alike[trial.choice.kind, *lengths].append(trial)
    plateaus = [plateau for group in alike.values() for plateau in _plateaus(group)]
    return max(plateaus, key=lambda plateau: (plateau[0], plateau[1].merit))[1]


def _plateaus(trials: Sequence[Trial]) -> Iterator[tuple[float, Trial]]:
    """Each trial with the mean merit of those within reach of it, itself included."""
    thresholds = np.array([[v for n, v in sorted(trial.choice.parameters.items()) if n not in LENGTHS] for trial in trials])
    merits = np.array([trial.merit for trial in trials])
    for trial, own in zip(trials, thresholds, strict=True):
        yield float(merits[(abs(thresholds - own) <= REACH).all(1)].mean()), trial
