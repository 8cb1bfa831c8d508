"""How the data are divided into training and validation."""

from __future__ import annotations

from typing import Literal

from pytc_auto.geometry import Zyx
from pytc_auto.planning.decisions import Decision
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Folds, SlabFolds, VolumeFolds

MOST_FOLDS = 5
SLABS = 4
TRAIN_SHARE = 0.75
MOST_GUARD = 1 / 3
AXIS_NAMES: tuple[Literal["z", "y", "x"], ...] = ("z", "y", "x")


def choose_folds(fingerprint: Fingerprint, extent: Zyx | None, patch: Zyx, *, limited: bool = False) -> Decision[Folds]:
    """k-fold over volumes, leave one out, or slabs of a single volume along its longest axis with a guard of half a patch.

    Args:
        fingerprint: Says how many volumes are labelled.
        extent: Of the smallest labelled box on the working grid; None where it is not known.
        patch: On the working grid. Where the labels are hardly longer, the guard takes a third of them at most.
        limited: Whether the time is, which is one fold's: then a single member is worth training, else all.
    """
    volumes = sum(v.labelled for v in fingerprint.volumes)
    if volumes > 1:
        count = min(volumes, MOST_FOLDS)
        rule = "folds.volumes" if volumes >= MOST_FOLDS else "folds.leave_one_out"
        folds = VolumeFolds(kind="volumes", count=count, members=1 if limited else count)
        return Decision(folds, rule, {"volumes": volumes, "time_limited": limited})
    axis = max(range(3), key=lambda i: (extent[i], i)) if extent else 2
    patches = extent[axis] / patch[axis] if extent else None
    count = SLABS if patches is None or patches >= SLABS else 1
    guard = min(patch[axis] // 2, int(MOST_GUARD * extent[axis])) if extent else patch[axis] // 2
    rule = "folds.slabs" if count > 1 else "folds.one_division"
    members = 1 if limited else count
    slab = SlabFolds(kind="slab", axis=AXIS_NAMES[axis], count=count, train=TRAIN_SHARE, guard=guard, members=members)
    numbers = {"volumes": volumes, "patches_along_axis": round(patches, 2) if patches else None, "time_limited": limited}
    return Decision(slab, rule, dict(numbers))
