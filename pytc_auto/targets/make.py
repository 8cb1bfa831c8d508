"""All targets of a crop, one per head of the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import PlanError
from pytc_auto.geometry import ZyxFloat, zyx
from pytc_auto.schema.heads import (
    AffinityHead,
    BinaryHead,
    ClassHead,
    DistanceHead,
    FlowHead,
    Head,
    PolarityHead,
    ShapeHead,
    V1Head,
)
from pytc_auto.schema.plan import ClassLabels, InstanceLabels
from pytc_auto.targets.affinities import affinities_from_labels, affinity_mask
from pytc_auto.targets.boundary import boundary_from_labels, boundary_mask
from pytc_auto.targets.distance import Distances
from pytc_auto.targets.erosion import erode_borders
from pytc_auto.targets.flow import flow_in_sections, flow_to_centers
from pytc_auto.targets.foreground import foreground_from_labels
from pytc_auto.targets.labels import class_indices, instances_in_crop
from pytc_auto.targets.neighbors import BoolArray
from pytc_auto.targets.polarity import polarity_from_labels
from pytc_auto.targets.shape_descriptors import shape_descriptors
from pytc_auto.targets.signed_distance import signed_distance
from pytc_auto.targets.skeleton_distance import skeleton_distance


@dataclass(frozen=True)
class Target:
    """What a head has to give.

    Attributes:
        values_kzyx: uint8. Affinity, binary and polarity heads: (K, Z, Y, X) of 0 and 1; class heads: (1, Z, Y, X) of class
            indices. float32. Descriptors: (10, Z, Y, X), 0 to 1; distances: (1, Z, Y, X), flow: (3, Z, Y, X), -1 to 1.
            Descriptors and flow are known inside of objects only.
        mask_kzyx: bool, the same shape; False where the value is not known.
    """

    values_kzyx: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    mask_kzyx: BoolArray


@dataclass(frozen=True)
class _Crop:
    """Labels as all heads use them: as stored, and as instance ids or class indices, (Z, Y, X)."""

    raw_zyx: npt.NDArray[Any]
    labels_zyx: npt.NDArray[Any]
    unlabeled_zyx: BoolArray
    voxel_size_nm: ZyxFloat
    erode_nm: float


def make_targets(
    raw_labels_zyx: npt.NDArray[Any],
    unlabeled_zyx: BoolArray,
    *,
    labels: InstanceLabels | ClassLabels,
    heads: Sequence[Head | ShapeHead],
    voxel_size_nm: ZyxFloat,
) -> list[Target]:
    """Make the targets of a crop, in the order of the heads.

    Borders are eroded for affinities only; all other heads see the labels as they are.

    Args:
        raw_labels_zyx: As stored, (Z, Y, X).
        unlabeled_zyx: (Z, Y, X); raw values that mean unlabeled need not be in it.
        labels: How to read the raw values.
        heads: From the plan.
        voxel_size_nm: Of the crop, z, y, x.

    Raises:
        DataError: A value that no class has, or a crop too small for an offset.
        PlanError: A head that cannot be learned.
    """
    crop = _read(raw_labels_zyx, unlabeled_zyx, labels, voxel_size_nm)
    return [TARGETS[head.kind](crop, head) for head in heads]


def _read(
    raw_zyx: npt.NDArray[Any], unlabeled_zyx: BoolArray, labels: InstanceLabels | ClassLabels, voxel_size_nm: ZyxFloat
) -> _Crop:
    if isinstance(labels, ClassLabels):
        classes = class_indices(raw_zyx, labels, unlabeled_zyx)
        return _Crop(raw_zyx, classes.index_zyx, classes.unlabeled_zyx, voxel_size_nm, erode_nm=0.0)
    instances = instances_in_crop(raw_zyx, labels, unlabeled_zyx)
    return _Crop(raw_zyx, instances.ids_zyx, instances.unlabeled_zyx, voxel_size_nm, labels.erode_nm)


def _affinities(crop: _Crop, head: AffinityHead) -> Target:
    offsets = [zyx(o) for o in head.offsets]
    eroded = erode_borders(crop.labels_zyx, crop.voxel_size_nm, crop.erode_nm)
    affinities = affinities_from_labels(eroded, offsets)
    return Target(affinities.view(np.uint8), affinity_mask(crop.unlabeled_zyx, offsets))


def _foreground(crop: _Crop, _: BinaryHead) -> Target:
    return Target(foreground_from_labels(crop.labels_zyx).view(np.uint8)[None], ~crop.unlabeled_zyx[None])


def _boundary(crop: _Crop, head: BinaryHead) -> Target:
    boundary = boundary_from_labels(crop.labels_zyx, crop.voxel_size_nm, head.width_nm)
    mask = boundary_mask(crop.unlabeled_zyx, crop.voxel_size_nm, head.width_nm)
    return Target(boundary.view(np.uint8)[None], mask[None])


def _classes(crop: _Crop, _: ClassHead) -> Target:
    return Target(crop.labels_zyx.astype(np.uint8)[None], ~crop.unlabeled_zyx[None])


def _shape(crop: _Crop, head: ShapeHead) -> Target:
    values = shape_descriptors(crop.labels_zyx, crop.voxel_size_nm, head.sigma_nm)
    return Target(values, _everywhere(crop.labels_zyx != 0, values))


def _signed_distance(crop: _Crop, head: DistanceHead) -> Target:
    return _distance(signed_distance(crop.labels_zyx, crop.unlabeled_zyx, crop.voxel_size_nm, head.scale_nm))


def _skeleton_distance(crop: _Crop, head: DistanceHead) -> Target:
    return _distance(skeleton_distance(crop.labels_zyx, crop.unlabeled_zyx, crop.voxel_size_nm, head.scale_nm))


def _distance(found: Distances) -> Target:
    return Target(found.values_zyx[None], found.known_zyx[None])


def _flow(crop: _Crop, head: FlowHead) -> Target:
    make = flow_to_centers if head.axes == "zyx" else flow_in_sections
    flow = make(crop.labels_zyx, crop.voxel_size_nm)
    return Target(flow, _everywhere(crop.labels_zyx != 0, flow))


def _polarity(crop: _Crop, _: PolarityHead) -> Target:
    sides = polarity_from_labels(crop.raw_zyx, crop.labels_zyx != 0)
    return Target(sides.view(np.uint8), _everywhere(~crop.unlabeled_zyx, sides))


def _v1(_: _Crop, head: V1Head) -> Target:
    raise PlanError(
        f"heads: v1's target {head.target} is predicted with v1's weights, and cannot be learned. "
        "Train with another head in its place."
    )


def _everywhere(known_zyx: BoolArray, values_kzyx: npt.NDArray[Any]) -> BoolArray:
    """The same mask for each channel."""
    return np.broadcast_to(known_zyx, values_kzyx.shape).copy()


TARGETS: dict[str, Callable[[_Crop, Any], Target]] = {
    "affinities": _affinities,
    "foreground": _foreground,
    "boundary": _boundary,
    "classes": _classes,
    "lsd": _shape,
    "signed_distance": _signed_distance,
    "skeleton_distance": _skeleton_distance,
    "flow": _flow,
    "polarity": _polarity,
    "v1": _v1,
}
