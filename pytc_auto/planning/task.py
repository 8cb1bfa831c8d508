"""What to segment, and what the labels mean for it."""

from __future__ import annotations

from pytc_auto.errors import PlanError
from pytc_auto.planning.decisions import Decision, rounded
from pytc_auto.schema.dataset import Task
from pytc_auto.schema.fingerprint import Fingerprint, LabelFacts
from pytc_auto.schema.plan import ClassLabels, InstanceLabels

COMPACT_SOLIDITY = 0.8
COMPACT_BORDER_FRACTION = 0.5
COMPACT_FOREGROUND = 0.6
TOUCHING = 0.3
MASK_VALUES = (0, 1)


def choose_task(fingerprint: Fingerprint, declared: Task | None) -> Decision[Task]:
    """Neurons, objects or classes; a declared task wins.

    Raises:
        PlanError: Nothing is known of the labels, or they are lines, and no task is declared.
    """
    wanted = declared or fingerprint.task
    labels = fingerprint.labels
    if wanted is not None:
        return Decision(wanted, "task.declared", {"labels": labels.kind if labels else None})
    if labels is None:
        raise PlanError(
            f"{fingerprint.name}: nothing is known of the labels. Declare the task: --task neurons, objects or classes."
        )
    if labels.kind == "skeletons":
        raise PlanError(
            f"{fingerprint.name}: the labels are lines, not regions. Center lines of neurons go into skeletons/, beside regions "
            "in labels/. If the lines are what is to be segmented, say what they are: --task neurons, objects or classes."
        )
    if labels.kind in ("mask", "classes"):
        return Decision("classes", f"task.{labels.kind}", {"values": len(labels.values or {}), "components": labels.components})
    if _compact(labels):
        return Decision("objects", "task.compact_instances", _shape_numbers(labels))
    return Decision("neurons", "task.instances", _shape_numbers(labels))


def _compact(labels: LabelFacts) -> bool:
    """Whether the instances are blobs: convex, mostly whole, with room between them."""
    facts = labels.instances
    if facts.solidity is None or facts.border_fraction is None or labels.foreground_fraction is None:
        return False
    return (
        facts.solidity >= COMPACT_SOLIDITY
        and facts.border_fraction < COMPACT_BORDER_FRACTION
        and labels.foreground_fraction < COMPACT_FOREGROUND
    )


def _shape_numbers(labels: LabelFacts) -> dict[str, float | int | str | bool | list[float] | list[int] | list[str] | None]:
    return {
        "ids": labels.ids,
        "solidity": labels.instances.solidity,
        "border_fraction": labels.instances.border_fraction,
        "foreground_fraction": labels.foreground_fraction,
    }


def read_labels(
    fingerprint: Fingerprint, task: Task, voxel_size_nm: tuple[float, float, float]
) -> Decision[InstanceLabels | ClassLabels]:
    """How raw label values are read for the task.

    Args:
        fingerprint: The data set.
        task: As chosen.
        voxel_size_nm: Of the working grid, (z, y, x).

    Raises:
        PlanError: Classes are wanted, but the labels' values are not known, or are fewer than two.
    """
    if task == "classes":
        return _read_classes(fingerprint)
    return _read_instances(fingerprint, task, min(voxel_size_nm))


def _read_classes(fingerprint: Fingerprint) -> Decision[InstanceLabels | ClassLabels]:
    """Each value is a class; a mask whose values nobody tells is read as 0 and 1."""
    facts = fingerprint.labels
    if facts is not None and facts.kind == "mask" and not facts.values:
        found, rule = dict.fromkeys(MASK_VALUES), "labels.unknown_values"
    elif facts is not None and facts.values:
        found, rule = facts.values, "labels.values"
    else:
        raise PlanError(
            f"{fingerprint.name}: the task is classes, but the labels hold {'instances' if facts else 'nothing known'}. "
            "Use --task neurons or --task objects."
        )
    values = {v: fingerprint.class_names.get(v, f"class {v}") for v in sorted(found) if v not in fingerprint.unlabeled}
    if len(values) < 2:
        raise PlanError(
            f"{fingerprint.name}: the labels hold a single value, {', '.join(map(str, values))}; there is nothing to tell apart. "
            "Give labels with two values at least; what is not an object is usually 0."
        )
    reading = ClassLabels(kind="classes", values=values, unlabeled=fingerprint.unlabeled)
    shares = [f"{v}: {'unknown' if share is None else rounded(share)}" for v, share in sorted(found.items())]
    return Decision(reading, rule, {"shares": shares})


def _read_instances(fingerprint: Fingerprint, task: Task, voxel_nm: float) -> Decision[InstanceLabels | ClassLabels]:
    """Borders are eroded where instances touch. Where that is not known, neurons do and objects do not."""
    touching = fingerprint.labels.instances.touching_fraction if fingerprint.labels else None
    touch = task == "neurons" if touching is None else touching >= TOUCHING
    labels = InstanceLabels(
        kind="instances", background=[0], unlabeled=fingerprint.unlabeled, erode_nm=rounded(voxel_nm) if touch else 0.0
    )
    if touching is None:
        return Decision(labels, "labels.unknown_touching", {"touching_fraction": None, "task": task})
    return Decision(labels, "labels.touching" if touch else "labels.gap", {"touching_fraction": touching, "threshold": TOUCHING})
