"""What the labels are: a mask, classes or instances; shares of their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError
from pytc_auto.fingerprint.instances import InstanceTable, instance_facts, measure_instances
from pytc_auto.fingerprint.sampling import slabs
from pytc_auto.fingerprint.sections import is_foreground
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.volume import Array, Volume
from pytc_auto.schema.fingerprint import LabelFacts

Kind = Literal["mask", "classes", "instances"]
MOST_CLASSES = 20
MOST_DECLARED_CLASSES = 255
CLASS_COMPONENTS = 2.0
"""A class has its voxels in at least so many components of like size; an instance has most in one."""


@dataclass(frozen=True)
class LabelTable:
    """What is kept of the labels of one box.

    Attributes:
        counts: Labelled voxels of each raw value.
        voxels: Of the box.
        instances: Its components; their ``value`` has no meaning beyond the box.
    """

    counts: dict[int, int]
    voxels: int
    instances: InstanceTable


@dataclass(frozen=True)
class Unlabeled:
    """Where nobody looked: label values, and sections along an axis."""

    values: Sequence[int]
    axis: int
    sections: Sequence[int]

    def labelled(self, block: Array, box: Box) -> npt.NDArray[np.bool_]:
        """Where the labels of a box mean something, (Z, Y, X)."""
        known = np.ones(block.shape, bool)
        for value in self.values:
            known &= block != value
        inside = [s - box.start[self.axis] for s in self.sections if box.start[self.axis] <= s < box.stop[self.axis]]
        np.moveaxis(known, self.axis, 0)[inside] = False
        return known


def read_labels(labels: Volume, box: Box, unlabeled: Unlabeled, voxel_size_nm: ZyxFloat, rng: np.random.Generator) -> LabelTable:
    """Read and measure one box of labels.

    Raises:
        DataError: A label is not a whole number.
    """
    import fastremap

    block = _whole_numbers(labels.read(box), labels.source)
    known = unlabeled.labelled(block, box)
    values, numbers = fastremap.unique(block[known], return_counts=True)
    block[~known] = 0
    ids, _ = fastremap.renumber(block, preserve_zero=True)
    ids = np.ascontiguousarray(ids).view(f"u{ids.dtype.itemsize}")
    del block
    counts = dict(zip(values.tolist(), numbers.tolist(), strict=True))
    return LabelTable(counts, box.size, measure_instances(ids, known, voxel_size_nm, rng))


def refuse_empty(labels: Volume, unlabeled: Sequence[int]) -> None:
    """Make sure that there is something in the labels.

    Raises:
        DataError: They are zero, or unlabeled, everywhere.
    """
    if any(is_foreground(labels.read(box), unlabeled).any() for box in slabs(labels.box)):
        return
    besides = f" or unlabeled ({', '.join(map(str, unlabeled))})" if unlabeled else ""
    raise DataError(
        f"{labels.source}: the labels are zero{besides} everywhere, there is nothing to learn from. "
        "Give the labels that belong to this image, or take the volume out of the data set."
    )


def label_facts(tables: Sequence[LabelTable], *, declared_classes: bool) -> LabelFacts:
    """Pool the label boxes.

    Args:
        tables: At least one.
        declared_classes: Whether the user says that values are classes; then few components do not make them instances.
    """
    counts: Counter[int] = Counter()
    for table in tables:
        counts.update(table.counts)
    labelled, voxels = sum(counts.values()), sum(t.voxels for t in tables)
    kind = _kind(tables, counts, declared_classes=declared_classes)
    shares = {value: count / labelled for value, count in sorted(counts.items())} if kind != "instances" else None
    per_box = sum(len(t.counts.keys() - {0}) for t in tables)
    return LabelFacts(
        kind=kind,
        values=shares,
        ids=per_box if kind == "instances" else len(counts.keys() - {0}),
        components=sum(len(t.instances.voxels) for t in tables),
        foreground_fraction=1 - counts[0] / labelled if labelled else None,
        unlabeled_fraction=1 - labelled / voxels,
        instances=instance_facts([t.instances for t in tables]),
    )


def _kind(tables: Sequence[LabelTable], counts: Counter[int], *, declared_classes: bool) -> Kind:
    """One value beside 0 is a mask; a few values whose voxels are scattered over many components are classes."""
    ids = len(counts.keys() - {0})
    if ids <= 1:
        return "mask"
    if declared_classes and ids <= MOST_DECLARED_CLASSES:
        return "classes"
    if ids > MOST_CLASSES:
        return "instances"
    scattered = np.concatenate([_equal_components(t.instances) for t in tables])
    return "classes" if float(np.median(scattered)) >= CLASS_COMPONENTS else "instances"


def _equal_components(table: InstanceTable) -> npt.NDArray[np.float64]:
    """For each value, how many components of equal size would be as scattered: (Σ voxels)² / Σ voxels²."""
    total = np.bincount(table.value, table.voxels)
    squares = np.bincount(table.value, table.voxels**2)
    return total[squares > 0] ** 2 / squares[squares > 0]


def _whole_numbers(block: Array, source: str) -> Array:
    """Labels as integers."""
    if block.dtype == np.bool_:
        return block.view(np.uint8)
    if block.dtype.kind in "iu":
        return block
    whole = block.astype(np.int64)
    if not np.array_equal(whole, block):
        raise DataError(f"{source}: labels must be whole numbers, found {block[whole != block][0]}. Export them as integers.")
    return whole
