"""Raw labels of a crop: instances as 1 … n, or classes as the index of their value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError
from pytc_auto.schema.plan import ClassLabels, InstanceLabels

BoolArray = npt.NDArray[np.bool_]
IdArray = npt.NDArray[np.unsignedinteger[Any]]
MOST_NAMED = 8
"""How many undeclared values an error lists."""


@dataclass(frozen=True)
class CropInstances:
    """Objects of a crop.

    Attributes:
        ids_zyx: (Z, Y, X), uint16 or uint32: 1 … n, each id one 6-connected component; 0 is background or unlabeled.
        unlabeled_zyx: (Z, Y, X), bool.
    """

    ids_zyx: IdArray
    unlabeled_zyx: BoolArray


@dataclass(frozen=True)
class CropClasses:
    """Classes of a crop.

    Attributes:
        index_zyx: (Z, Y, X), uint8: position of the raw value among the declared ones; 0 where unlabeled.
        unlabeled_zyx: (Z, Y, X), bool.
    """

    index_zyx: npt.NDArray[np.uint8]
    unlabeled_zyx: BoolArray


def instances_in_crop(raw_zyx: npt.NDArray[Any], labels: InstanceLabels, unlabeled_zyx: BoolArray | None = None) -> CropInstances:
    """Give the objects of a crop; an object that the crop cuts in two becomes two.

    Args:
        raw_zyx: Labels as stored, (Z, Y, X), any integer dtype.
        labels: From the plan: which raw values are background and which are unlabeled. 0 is background in any case.
        unlabeled_zyx: Voxels that are unlabeled for another reason, (Z, Y, X); their raw value does not count.
    """
    unlabeled = unlabeled_in(raw_zyx, labels.unlabeled, unlabeled_zyx)
    away = _among(raw_zyx, [v for v in labels.background if v != 0])
    drop = unlabeled if away is None else unlabeled | away
    kept = np.where(drop, raw_zyx.dtype.type(0), raw_zyx) if drop.any() else raw_zyx
    if kept.dtype == np.bool_:
        kept = kept.view(np.uint8)
    return CropInstances(cc3d.connected_components(np.ascontiguousarray(kept), connectivity=6), unlabeled)


def class_indices(raw_zyx: npt.NDArray[Any], labels: ClassLabels, unlabeled_zyx: BoolArray | None = None) -> CropClasses:
    """Give the class of each voxel as the position of its raw value in ``labels.values``.

    Args:
        raw_zyx: Labels as stored, (Z, Y, X), any integer dtype.
        labels: From the plan.
        unlabeled_zyx: Voxels that are unlabeled for another reason, (Z, Y, X); they may hold any value.

    Raises:
        DataError: A labeled voxel holds a value that is not declared.
    """
    unlabeled = unlabeled_in(raw_zyx, labels.unlabeled, unlabeled_zyx)
    index = np.zeros(raw_zyx.shape, np.uint8)
    known = unlabeled.copy()
    for number, value in enumerate(labels.values):
        hit = raw_zyx == value
        known |= hit
        if number:
            index += hit.view(np.uint8) * np.uint8(number)
    if not known.all():
        raise DataError(_undeclared(raw_zyx[~known], labels))
    index *= ~unlabeled
    return CropClasses(index, unlabeled)


def unlabeled_in(raw_zyx: npt.NDArray[Any], values: Iterable[int], also_zyx: BoolArray | None = None) -> BoolArray:
    """Tell which voxels hold one of the values that mean unlabeled, or are unlabeled for another reason."""
    by_value = _among(raw_zyx, values)
    masks = [mask for mask in (by_value, also_zyx) if mask is not None]
    if len(masks) == 2:
        return masks[0] | masks[1]
    return masks[0].copy() if masks else np.zeros(raw_zyx.shape, np.bool_)


def _among(raw_zyx: npt.NDArray[Any], values: Iterable[int]) -> BoolArray | None:
    """Where one of the values stands; None if there are no values."""
    found: BoolArray | None = None
    for value in values:
        hit = raw_zyx == value
        found = hit if found is None else found | hit
    return found


def _undeclared(values: npt.NDArray[Any], labels: ClassLabels) -> str:
    """Name values that no class has."""
    unknown = [int(v) for v in np.unique(values)]
    named = ", ".join(str(v) for v in unknown[:MOST_NAMED]) + (", …" if len(unknown) > MOST_NAMED else "")
    declared = ", ".join(f"{v} ({name})" for v, name in labels.values.items())
    return (
        f"labels hold {named}, but the plan declares the classes {declared}. "
        "Correct the label file, or declare the value as a class or as unlabeled and plan again."
    )
