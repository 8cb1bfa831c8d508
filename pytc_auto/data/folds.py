"""Which part of the data is learned from, and which chooses checkpoint and decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytc_auto.errors import PlanError
from pytc_auto.geometry import AXES, Box, Zyx, zyx
from pytc_auto.schema.plan import Folds, SlabFolds, VolumeFolds


@dataclass(frozen=True)
class Region:
    """A box of a volume, in voxels of the working grid; volumes are counted from 0."""

    volume: int
    box: Box


@dataclass(frozen=True)
class Division:
    """No voxel is in both; between them lies the guard."""

    training: tuple[Region, ...]
    validation: tuple[Region, ...]


def divide(folds: Folds, shapes: Sequence[Zyx], fold: int) -> Division:
    """Divide the volumes for a fold.

    Args:
        folds: From the plan. Slabs: each volume is cut along the axis; the guard is taken from the training side.
        shapes: Of the volumes, on the working grid.
        fold: Which one, from 0.

    Raises:
        PlanError: There is no such fold, or nothing is left to train or to validate on.
    """
    if not 0 <= fold < folds.count:
        raise PlanError(f"fold {fold} does not exist: the plan has {folds.count}. Use 0{_up_to(folds.count)}.")
    division = _by_volume(folds, shapes, fold) if isinstance(folds, VolumeFolds) else _by_slab(folds, shapes, fold)
    for name, regions in (("train", division.training), ("validate", division.validation)):
        if not regions:
            raise PlanError(_nothing_left(folds, shapes, fold, name))
    return division


def everything(shapes: Sequence[Zyx]) -> Division:
    """All volumes to train on, none held out."""
    return Division(tuple(Region(i, Box.of_shape(shape)) for i, shape in enumerate(shapes)), ())


def _by_volume(folds: VolumeFolds, shapes: Sequence[Zyx], fold: int) -> Division:
    regions = everything(shapes).training
    held_out = [i % folds.count == fold for i in range(len(shapes))]
    return Division(
        training=tuple(r for r, held in zip(regions, held_out, strict=True) if not held),
        validation=tuple(r for r, held in zip(regions, held_out, strict=True) if held),
    )


def _by_slab(folds: SlabFolds, shapes: Sequence[Zyx], fold: int) -> Division:
    axis = AXES.index(folds.axis)
    training, validation = [], []
    for number, shape in enumerate(shapes):
        start, stop = _slab(folds, shape[axis], fold)
        rest = ((0, start - folds.guard), (stop + folds.guard, shape[axis]))
        training += [Region(number, _between(shape, axis, a, b)) for a, b in rest if a < b]
        if start < stop:
            validation.append(Region(number, _between(shape, axis, start, stop)))
    return Division(tuple(training), tuple(validation))


def _slab(folds: SlabFolds, extent: int, fold: int) -> tuple[int, int]:
    """Start and stop of the slab that is held out."""
    if folds.count == 1:
        return round(extent * folds.train), extent
    return round(extent * fold / folds.count), round(extent * (fold + 1) / folds.count)


def _between(shape: Zyx, axis: int, start: int, stop: int) -> Box:
    """The whole shape, cut to start … stop on one axis."""
    first, last = [0, 0, 0], list(shape)
    first[axis], last[axis] = start, stop
    return Box(zyx(first), zyx(last))


def _up_to(count: int) -> str:
    return f" to {count - 1}" if count > 1 else ""


def _nothing_left(folds: Folds, shapes: Sequence[Zyx], fold: int, name: str) -> str:
    if isinstance(folds, VolumeFolds):
        return f"fold {fold} has no volume to {name} on: {folds.count} folds over {len(shapes)} volume(s). Use fewer folds."
    axis = AXES.index(folds.axis)
    return (
        f"fold {fold} has nothing to {name} on: folds.axis {folds.axis} is {[s[axis] for s in shapes]} voxels long, "
        f"folds.guard takes {folds.guard}. Use a longer axis or a smaller guard."
    )
