"""What the network learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pytc_auto.geometry import Zyx, ZyxFloat, zyx
from pytc_auto.planning.decisions import Decision, rounded
from pytc_auto.schema.dataset import Task
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.heads import AffinityHead, BinaryHead, ClassHead, Head
from pytc_auto.schema.plan import ClassLabels, InstanceLabels

RINGS_NM = (40.0, 120.0, 250.0)
ROOM_FOR_OFFSET = 4
"""A patch must be this many times as long as an offset, so that most of its voxels have a partner."""
MOST_REACH = 2.0
BOUNDARY_NM = 40.0
BOUNDARY_SHARE = 1 / 3
"""Of the diameter of a small object, so that its middle is no boundary."""
MOST_CLASS_WEIGHT = 10.0


def offsets_within(voxel_size_nm: ZyxFloat, patch: Zyx) -> list[Zyx]:
    """One step back on each axis, then rings whose reach is the same in nm on each axis, as far as the patch has room.

    An axis of one voxel has no neighbors.
    """
    offsets = _ring((1, 1, 1))
    before: Zyx = (1, 1, 1)
    for reach in RINGS_NM:
        steps = before = zyx([_step(reach, s, last) for s, last in zip(voxel_size_nm, before, strict=True)])
        if all(step * ROOM_FOR_OFFSET <= n for step, n in zip(steps, patch, strict=True) if n > 1):
            offsets += [o for o in _ring(steps) if o not in offsets]
    return [o for o in offsets if all(n > 1 for n, step in zip(patch, o, strict=True) if step)]


def _step(reach_nm: float, voxel_nm: float, before: int) -> int:
    """Voxels to a ring; where that is the ring before, one more, if it then reaches no more than twice as far as wanted."""
    step = max(1, round(reach_nm / voxel_nm))
    further = before + 1
    return further if step <= before and further * voxel_nm <= MOST_REACH * reach_nm else step


def _ring(steps: Zyx) -> list[Zyx]:
    z, y, x = steps
    return [(-z, 0, 0), (0, -y, 0), (0, 0, -x)]


def choose_heads(
    fingerprint: Fingerprint,
    task: Task,
    labels: InstanceLabels | ClassLabels,
    *,
    voxel_size_nm: ZyxFloat,
    patch: Zyx,
    rare: bool,
) -> Decision[Sequence[Head]]:
    """Affinities for neurons, foreground and boundary for objects, one channel a class for classes.

    Args:
        fingerprint: Has the shares of the classes.
        task: As chosen.
        labels: As read.
        voxel_size_nm: Of the working grid.
        patch: In voxels; offsets must fit it.
        rare: Whether the foreground is; then both values weigh the same in the cross entropy.
    """
    if isinstance(labels, ClassLabels):
        return _class_head(fingerprint, labels)
    if task == "objects":
        loss: Literal["dice_bce", "dice_balanced_bce"] = "dice_balanced_bce" if rare else "dice_bce"
        small = _small_diameter(fingerprint)
        heads: list[Head] = [
            BinaryHead(kind="foreground", width_nm=0.0, loss=loss, weight=1.0),
            BinaryHead(kind="boundary", width_nm=boundary_width(voxel_size_nm, small), loss=loss, weight=1.0),
        ]
        return Decision(heads, "heads.objects", {"boundary_nm": BOUNDARY_NM, "rare_foreground": rare, "diameter_p10_nm": small})
    offsets = offsets_within(voxel_size_nm, patch)
    head = AffinityHead(kind="affinities", offsets=offsets, loss="balanced_bce", weight=1.0)
    return Decision([head], "heads.affinities", {"rings_nm": list(RINGS_NM), "channels": len(offsets)})


def boundary_width(voxel_size_nm: ZyxFloat, small_nm: float | None) -> float:
    """Wide enough for two voxels in the plane, and no wider than a third of a small object's diameter, where that is known."""
    wide = max(BOUNDARY_NM, 2 * min(voxel_size_nm))
    return rounded(wide if small_nm is None else min(wide, BOUNDARY_SHARE * small_nm))


def _small_diameter(fingerprint: Fingerprint) -> float | None:
    """Of the objects that hold the smallest tenth of the foreground."""
    diameters = fingerprint.labels.instances.diameter_nm if fingerprint.labels else None
    return diameters["p10"] if diameters else None


def _class_head(fingerprint: Fingerprint, labels: ClassLabels) -> Decision[Sequence[Head]]:
    """Weights of the cross entropy: inverse root of the share, mean 1 over the classes; equal where a share is not known."""
    facts = fingerprint.labels.values if fingerprint.labels and fingerprint.labels.values else {}
    shares = [share for v in labels.values if (share := facts.get(v)) is not None]
    known = len(shares) == len(labels.values)
    roots = [max(share, 1e-4) ** -0.5 for share in shares] if known else [1.0] * len(labels.values)
    mean = sum(roots) / len(roots)
    weights = [rounded(min(MOST_CLASS_WEIGHT, r / mean)) for r in roots]
    head = ClassHead(kind="classes", class_weights=weights, loss="dice_ce", weight=1.0)
    return Decision([head], "heads.classes" if known else "heads.unknown_shares", {"weights": weights})
