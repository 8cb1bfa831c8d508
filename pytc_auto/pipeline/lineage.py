"""What the model had learned from that a fold started from: whether it knows what the fold holds out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytc_auto.data.folds import Region, divide
from pytc_auto.data.volumes import LabelledVolume, open_volumes, whole_regions
from pytc_auto.errors import PytcError
from pytc_auto.geometry import Box, zyx
from pytc_auto.io.working_grid import volume_box
from pytc_auto.pipeline.runs import Run
from pytc_auto.pipeline.validation import HeldOut
from pytc_auto.schema.dataset import Dataset
from pytc_auto.schema.model import ModelScores, StartedFrom
from pytc_auto.schema.plan import Plan

STARTED = "started_from.json"
"""In a fold's folder."""


@dataclass(frozen=True)
class _Part:
    """Labelled voxels: of which image, and where in its file."""

    image: str
    box: Box


def note_start(dataset: Dataset, held_out: HeldOut, weights: Path, folder: Path, say: Callable[[str], None]) -> None:
    """Write down what a fold starts from, and say if that has learned from what the fold holds out, as far as can be told.

    Args:
        dataset: Of the run.
        held_out: Of the fold.
        weights: Of the member of a model folder that it starts from.
        folder: The fold's.
        say: Told whether validation scores will be too good.
    """
    model, member = weights.resolve().parent, int(weights.stem.removeprefix("fold_"))
    parts = list(_parts(dataset, held_out.plan, held_out.volumes, held_out.regions))
    seen = _has_seen(model, member, held_out.plan, parts, ())
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    StartedFrom(model=str(model), member=member, weights=digest, seen=seen).save(folder / STARTED)
    if seen is not False:
        say(f"It {_knows(seen)} this fold's held-out part: validation scores will be too good")


def told_of_start(run: Run, number: int) -> str | None:
    """What a person should know of a fold's start before its scores are compared with others; None where all is well."""
    if not (run.fold(number) / STARTED).is_file():
        return None
    started = StartedFrom.load(run.fold(number) / STARTED)
    if started.seen is False:
        return None
    return f"was started from {started.model}, which {_knows(started.seen)} what is held out: its scores are too good to compare"


def _knows(seen: bool | None) -> str:
    return "has learned from" if seen else "seems to be of the same data and may have learned from"


def _has_seen(model: Path, member: int, plan: Plan, parts: Sequence[_Part], before: tuple[Path, ...]) -> bool | None:
    """Whether a model, or one that it was started from, has learned from parts of the data; None where that cannot be told.

    A model that has left its run does not tell what it has learned from. It is taken to know other data where what was measured
    of them differs; otherwise it knows all of these if it was refitted.
    """
    other, run = Plan.load(model / "plan.yaml"), Run(model.parent)
    scores = model / "scores.json"
    refit = scores.is_file() and ModelScores.load(scores).refit
    if model != run.model.resolve() or not run.dataset_file.is_file():
        return (True if refit else None) if _same_data(other, plan) else False
    try:
        learned = list(_learned(run, other, member, refit=refit))
    except PytcError:
        return None
    if any(a.image == b.image and a.box.intersect(b.box).size for a in learned for b in parts):
        return True
    return _earlier_has_seen(run.fold(member) / STARTED, plan, parts, (*before, model))


def _earlier_has_seen(started: Path, plan: Plan, parts: Sequence[_Part], before: tuple[Path, ...]) -> bool | None:
    """The same of what a model was started from itself; models that were looked at already, in a circle, tell nothing new."""
    if not started.is_file():
        return False
    earlier = StartedFrom.load(started)
    model = Path(earlier.model)
    if model in before:
        return False
    return _has_seen(model, earlier.member, plan, parts, before) if (model / "plan.yaml").is_file() else None


def _learned(run: Run, plan: Plan, member: int, *, refit: bool) -> Iterator[_Part]:
    """What a member of a run's model has learned from."""
    dataset = run.dataset()
    volumes = open_volumes(dataset, plan, 0, cache=run.cache)
    whole = whole_regions(volumes)
    return _parts(dataset, plan, volumes, whole if refit else divide(plan.folds, whole, member).training)


def _parts(dataset: Dataset, plan: Plan, volumes: Sequence[LabelledVolume], regions: Sequence[Region]) -> Iterator[_Part]:
    """Regions of the working grid, in voxels of the image files."""
    entries = {entry.name: entry for entry in dataset.volumes}
    for region in regions:
        entry, box = entries[volumes[region.volume].name], volume_box(plan, region.box)
        start, stop = ([a * f for a, f in zip(end, entry.image_scale, strict=True)] for end in (box.start, box.stop))
        yield _Part(entry.image, Box(zyx(start), zyx(stop)))


def _same_data(one: Plan, other: Plan) -> bool:
    """Whether two plans are for the same voxels, as far as can be told: what was measured of them is the same."""
    return (one.voxel_size_nm, one.intensity) == (other.voxel_size_nm, other.intensity)
