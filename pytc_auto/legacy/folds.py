"""Which volumes are held out: those that v1 validated on; where there are none, as a planner without a measurement would."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from pytc_auto.geometry import AXES, Zyx
from pytc_auto.legacy.volumes import Named

Raw = dict[str, Any]
TRAIN = 0.75
MOST_FOLDS = 5
MOST_GUARD = 8
"""A guard is at most this part of the axis."""


def in_order(volumes: Sequence[Named]) -> list[Named]:
    """The volumes in the order in which fold 0 holds out those that v1 validated on, as near as its rule allows.

    Fold 0 holds out every n-th volume, the first among them. Where that are not as many, the last of v1's are learned from.
    """
    held = [volume for volume in volumes if volume.held_out and volume.labels]
    learned = [volume for volume in volumes if not volume.held_out and volume.labels]
    without = [volume for volume in volumes if not volume.labels]
    if not held or not learned:
        return [*learned, *held, *without]
    total = len(held) + len(learned)
    count = _count(len(held), len(learned))
    fold = -(-total // count)
    first, rest = iter(held[:fold]), iter([*learned, *held[fold:]])
    return [*(next(first if place % count == 0 else rest) for place in range(total)), *without]


def _count(held: int, learned: int) -> int:
    """Folds by which fold 0 holds out as many volumes, or a few less."""
    total = held + learned
    return next(count for count in itertools.count(2) if -(-total // count) <= held)


def folds_of(volumes: Sequence[Named], patch: Zyx, shape: Zyx | None) -> Raw:
    """How the volumes are divided, as a plan has it.

    Args:
        volumes: As ``in_order`` gives them.
        patch: Of the training.
        shape: Of a single volume, where it is known.
    """
    labelled = [volume for volume in volumes if volume.labels]
    held = sum(volume.held_out for volume in labelled)
    if len(labelled) > 1:
        learned = len(labelled) - held
        count = _count(held, learned) if held and learned else min(MOST_FOLDS, len(labelled))
        return {"kind": "volumes", "count": count, "members": 1}
    axis = max(range(3), key=lambda i: (shape[i], i)) if shape else 2
    guard = min(patch[axis] // 2, shape[axis] // MOST_GUARD) if shape else patch[axis] // 2
    return {"kind": "slab", "axis": AXES[axis], "count": 1, "train": TRAIN, "guard": guard, "members": 1}
