"""Which part of the data is learned from, and which chooses checkpoint and decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytc_auto.errors import PlanError
from pytc_auto.geometry import AXES, Box, zyx
from pytc_auto.schema.plan import Folds, SlabFolds, VolumeFolds


@dataclass(frozen=True)
class Region:
    """A part of a volume, in voxels of the working grid.

    Attributes:
        volume: Its number, from 0.
        box: What is learned from or scored; it lies inside the labels.
        context: What may be seen of the image; the box is inside it.
    """

    volume: int
    box: Box
    context: Box


@dataclass(frozen=True)
class Division:
    """No labelled voxel is in both; between them lies the guard, and training does not see across it."""

    training: tuple[Region, ...]
    validation: tuple[Region, ...]


def divide(folds: Folds, wholes: Sequence[Region], fold: int) -> Division:
    """Divide the volumes for a fold.

    Args:
        folds: From the plan. Slabs: the labels of each volume, or of the one that is named, are cut along the axis; the guard is
            taken from the training side.
        wholes: The volumes: all that is labelled, in the whole image.
        fold: Which one, from 0.

    Raises:
        PlanError: There is no such fold, or nothing is left to train or to validate on.
    """
    if not 0 <= fold < folds.count:
        raise PlanError(f"fold {fold} does not exist: the plan has {folds.count}. Use 0{_up_to(folds.count)}.")
    _refuse_other_volumes(folds, len(wholes))
    division = _by_volume(folds, wholes, fold) if isinstance(folds, VolumeFolds) else _by_slab(folds, wholes, fold)
    for name, regions in (("train", division.training), ("validate", division.validation)):
        if not regions:
            raise PlanError(_nothing_left(folds, wholes, fold, name))
    return division


def _refuse_other_volumes(folds: Folds, volumes: int) -> None:
    """Folds that name volumes are of a data set with those volumes."""
    if isinstance(folds, VolumeFolds) and folds.held_out_in is not None and len(folds.held_out_in) != volumes:
        told = f"folds.held_out_in names a fold for {len(folds.held_out_in)} volumes, but {volumes} are labelled"
        raise PlanError(f"{told}. Give one number a labelled volume, or run pytc plan again.")
    if isinstance(folds, SlabFolds) and folds.volume is not None and folds.volume >= volumes:
        told = f"folds.volume is {folds.volume}, but {volumes} are labelled, counted from 0"
        raise PlanError(f"{told}. Name one of them, or run pytc plan again.")


def _by_volume(folds: VolumeFolds, wholes: Sequence[Region], fold: int) -> Division:
    held_out = [folds.fold_of(i) == fold for i in range(len(wholes))]
    return Division(
        training=tuple(r for r, held in zip(wholes, held_out, strict=True) if not held),
        validation=tuple(r for r, held in zip(wholes, held_out, strict=True) if held),
    )


def _by_slab(folds: SlabFolds, wholes: Sequence[Region], fold: int) -> Division:
    """A training slab at an end of the labels sees the image to its end; towards the held-out slab it sees nothing beyond itself.

    image    |······|LLLLLLLLLLLLLLLLLLLL|······|     L: labelled
    training  [      box   ]                          [ ]: context
    held out               g[ box ]g                  g: guard
    """
    axis = AXES.index(folds.axis)
    training, validation = [], []
    for number, whole in enumerate(wholes):
        if folds.volume not in (None, number):
            training.append(whole)
            continue
        first, last = whole.box.start[axis], whole.box.stop[axis]
        start, stop = (first + n for n in _slab(folds, last - first, fold))
        before, after = start - folds.guard, stop + folds.guard
        if first < before:
            training.append(_between(whole, axis, (first, before), (whole.context.start[axis], before)))
        if after < last:
            training.append(_between(whole, axis, (after, last), (after, whole.context.stop[axis])))
        if start < stop:
            validation.append(replace(whole, box=_cut(whole.box, axis, start, stop)))
    return Division(tuple(training), tuple(validation))


def _slab(folds: SlabFolds, extent: int, fold: int) -> tuple[int, int]:
    """Start and stop of the slab that is held out."""
    if folds.count == 1:
        return round(extent * folds.train), extent
    return round(extent * fold / folds.count), round(extent * (fold + 1) / folds.count)


def _between(whole: Region, axis: int, labelled: tuple[int, int], seen: tuple[int, int]) -> Region:
    """A volume, cut to start … stop on one axis: its labels and what may be seen of its image."""
    return replace(whole, box=_cut(whole.box, axis, *labelled), context=_cut(whole.context, axis, *seen))


def _cut(box: Box, axis: int, start: int, stop: int) -> Box:
    first, last = list(box.start), list(box.stop)
    first[axis], last[axis] = start, stop
    return Box(zyx(first), zyx(last))


def _up_to(count: int) -> str:
    return f" to {count - 1}" if count > 1 else ""


def _nothing_left(folds: Folds, wholes: Sequence[Region], fold: int, name: str) -> str:
    if isinstance(folds, VolumeFolds):
        return f"fold {fold} has no volume to {name} on: {folds.count} folds over {len(wholes)} volume(s). Use fewer folds."
    axis = AXES.index(folds.axis)
    extents = [whole.box.shape[axis] for number, whole in enumerate(wholes) if folds.volume in (None, number)]
    return (
        f"fold {fold} has nothing to {name} on: the labels are {extents} voxels long on "
        f"folds.axis {folds.axis}, "
        f"folds.guard takes {folds.guard}. Use a longer axis or a smaller guard."
    )
