"""How the data are divided into training and validation."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pytc_auto.geometry import Zyx, zyx
from pytc_auto.planning.decisions import Decision
from pytc_auto.schema.fingerprint import Fingerprint, VolumeFacts
from pytc_auto.schema.plan import Folds, SlabFolds, VolumeFolds

MOST_FOLDS = 5
SLABS = 4
TRAIN_SHARE = 0.75
"""Of a volume that is divided once. A volume with more than this of all labels is divided, whatever lies beside it."""
MOST_GUARD = 1 / 3
ALIKE = 1.25
"""Volumes, or folds, are alike if the largest has at most so many times the labelled voxels of the smallest."""
AXIS_NAMES: tuple[Literal["z", "y", "x"], ...] = ("z", "y", "x")


@dataclass(frozen=True)
class Labelled:
    """What is labelled of each volume.

    Attributes:
        extents: Of the boxes that hold the labels, on the working grid, in the order of the volumes.
        boxes: The same in stored voxels.
        voxels: Stored voxels whose label means something, of each.
    """

    extents: tuple[Zyx, ...]
    boxes: tuple[Zyx, ...]
    voxels: tuple[float, ...]

    @classmethod
    def of(cls, fingerprint: Fingerprint, scale: Zyx) -> Labelled | None:
        """From the facts; None where nothing is labelled or the shape of a volume is not known."""
        volumes = [v for v in fingerprint.volumes if v.labelled]
        boxes = [v.labels_box.shape if v.labels_box else v.shape for v in volumes]
        known = [box for box in boxes if box is not None]
        if not known or len(known) < len(boxes):
            return None
        extents = [zyx([max(1, math.ceil(n / s)) for n, s in zip(box, scale, strict=True)]) for box in known]
        voxels = [_labelled_voxels(v, box) for v, box in zip(volumes, known, strict=True)]
        return cls(tuple(extents), tuple(known), tuple(voxels))

    @property
    def smallest(self) -> Zyx:
        """The shortest extent on each axis."""
        return zyx([min(extent[i] for extent in self.extents) for i in range(3)])

    @property
    def share(self) -> float:
        """Of the voxels in the boxes, those whose label means something."""
        return min(1.0, sum(self.voxels) / sum(map(math.prod, self.boxes)))

    @property
    def shares(self) -> list[float]:
        """Of all labelled voxels, by volume."""
        total = sum(self.voxels)
        return [n / total if total else 1 / len(self.voxels) for n in self.voxels]

    @property
    def largest(self) -> int:
        """Number of the volume with the most labelled voxels, the first one on ties."""
        return max(range(len(self.voxels)), key=lambda i: self.voxels[i])

    def divided(self, folds: SlabFolds) -> Zyx:
        """Extent of what is cut into slabs: of one volume, or of the smallest of all."""
        return self.smallest if folds.volume is None else self.extents[folds.volume]

    def held_out(self, folds: Folds) -> list[tuple[Zyx, Zyx]]:
        """The boxes that fold 0 is validated on, whole and held-out part; of volumes in turn the smallest stands for them.

        A box that is scored instead of a larger part is predicted as a volume of its own.
        """
        if folds.scored is not None:
            boxes = [_limited(part, folds.scored) for _, part in self.held_out(folds.replace(scored=None))]
            return [(box, box) for box in boxes]
        if isinstance(folds, VolumeFolds):
            if folds.held_out_in is None:
                return [(self.smallest, self.smallest)]
            return [(extent, extent) for number, extent in enumerate(self.extents) if folds.fold_of(number) == 0]
        whole = self.divided(folds)
        part = list(whole)
        axis = AXIS_NAMES.index(folds.axis)
        part[axis] = max(1, round(whole[axis] * held_share(folds)))
        return [(whole, zyx(part))]

    def left_out(self, folds: Folds) -> float:
        """Share of the labelled voxels that fold 0 does not learn from, the guard included."""
        if isinstance(folds, VolumeFolds):
            if folds.held_out_in is None:
                return 1 / folds.count
            return sum(share for number, share in enumerate(self.shares) if folds.fold_of(number) == 0)
        of_all = 1.0 if folds.volume is None else self.shares[folds.volume]
        return of_all * min(1.0, held_share(folds) + folds.guard / self.divided(folds)[AXIS_NAMES.index(folds.axis)])


def choose_folds(fingerprint: Fingerprint, labelled: Labelled | None, patch: Zyx, *, limited: bool = False) -> Decision[Folds]:
    """k-fold over volumes, leave one out, or slabs of a single volume along its longest axis with a guard of half a patch.

    A volume that holds nearly all labels is divided as a single one is; the others are too small to learn from, or to choose by.

    Args:
        fingerprint: Says how many volumes are labelled.
        labelled: How much of each; None where it is not known.
        patch: On the working grid. Where the labels are hardly longer, the guard takes a third of them at most.
        limited: Whether the time is, which is one fold's: then a single member is worth training, else all.
    """
    volumes = sum(v.labelled for v in fingerprint.volumes)
    if volumes <= 1:
        return _slabs(labelled, patch, volumes, limited=limited)
    if labelled is not None and labelled.shares[labelled.largest] > TRAIN_SHARE:
        return _slabs(labelled, patch, volumes, limited=limited, volume=labelled.largest)
    return _volumes(labelled, volumes, limited=limited)


def scored_extent(parts: Sequence[Zyx], patch: Zyx, affordable: Callable[[Sequence[Zyx]], bool]) -> Zyx:
    """The largest box that may be scored in each held-out part: as many half patches on each axis, a whole patch at least.

    Args:
        parts: What is held out.
        patch: On the same grid.
        affordable: Whether boxes, one of each part, cost no more than they may. Larger ones cost more.
    """

    def box(halves: int) -> Zyx:
        return zyx([max(n, halves * n // 2) for n in patch])

    longest = zyx([max(part[axis] for part in parts) for axis in range(3)])
    most = max(math.ceil(2 * extent / n) for extent, n in zip(longest, patch, strict=True))
    larger = range(3, max(3, most + 1))
    fitting = bisect_left(larger, True, key=lambda halves: not affordable([_limited(part, box(halves)) for part in parts]))
    return _limited(longest, box(2 + fitting))


def _limited(part: Zyx, box: Zyx) -> Zyx:
    return zyx([min(a, b) for a, b in zip(part, box, strict=True)])


def held_share(folds: SlabFolds) -> float:
    """Share of the axis that a fold is validated on."""
    return 1 / folds.count if folds.count > 1 else 1 - folds.train


def _volumes(labelled: Labelled | None, volumes: int, *, limited: bool) -> Decision[Folds]:
    """Each volume is held out by one fold."""
    count = min(volumes, MOST_FOLDS)
    held_out_in = _of_like_size(labelled, count) if labelled else None
    folds = VolumeFolds(kind="volumes", count=count, members=1 if limited else count, held_out_in=held_out_in)
    decision = Decision[Folds](
        folds,
        "folds.volumes" if volumes >= MOST_FOLDS else "folds.leave_one_out",
        {"volumes": volumes, "time_limited": limited},
    )
    if labelled is None or held_out_in is None:
        return decision
    shares = [round(share, 3) for share in labelled.shares]
    return Decision(folds, decision.rule, {**decision.numbers, "labelled_shares": shares})


def _of_like_size(labelled: Labelled, count: int) -> list[int] | None:
    """The fold of each volume, where they are unlike and taking them in turn gives folds of unlike size; None elsewhere.

    The largest volumes are placed first, each into the fold that holds out the least so far. Fold 0, which is often the only one
    that is trained, is the one that holds out what is nearest to its share of the voxels; on ties the smaller.
    """
    shares = labelled.shares
    in_turn = [sum(shares[fold::count]) for fold in range(count)]
    if max(shares) <= ALIKE * min(shares) or max(in_turn) <= ALIKE * min(in_turn):
        return None
    held, fold_of = [0.0] * count, [0] * len(shares)
    for number in sorted(range(len(shares)), key=lambda i: (-shares[i], i)):
        fold_of[number] = min(range(count), key=lambda fold: (held[fold], fold))
        held[fold_of[number]] += shares[number]
    order = sorted(range(count), key=lambda fold: (round(abs(held[fold] - 1 / count), 6), held[fold], fold))
    return [order.index(fold) for fold in fold_of]


def _slabs(labelled: Labelled | None, patch: Zyx, volumes: int, *, limited: bool, volume: int | None = None) -> Decision[Folds]:
    """Slabs of one volume, or of all."""
    extent = None if labelled is None else labelled.smallest if volume is None else labelled.extents[volume]
    axis = max(range(3), key=lambda i: (extent[i], i)) if extent else 2
    patches = extent[axis] / patch[axis] if extent else None
    count = SLABS if patches is None or patches >= SLABS else 1
    guard = min(patch[axis] // 2, int(MOST_GUARD * extent[axis])) if extent else patch[axis] // 2
    rule = "folds.slabs" if count > 1 else "folds.one_division"
    members = 1 if limited else count
    name = AXIS_NAMES[axis]
    slab = SlabFolds(kind="slab", axis=name, count=count, train=TRAIN_SHARE, guard=guard, members=members, volume=volume)
    numbers = {"volumes": volumes, "patches_along_axis": round(patches, 2) if patches else None, "time_limited": limited}
    if labelled is None or volume is None:
        return Decision(slab, rule, dict(numbers))
    return Decision(slab, "folds.largest_volume", {**numbers, "labelled_share": round(labelled.shares[volume], 3)})


def _labelled_voxels(volume: VolumeFacts, box: Zyx) -> float:
    if volume.labelled_fraction is None or volume.shape is None:
        return math.prod(box)
    return volume.labelled_fraction * math.prod(volume.shape)
