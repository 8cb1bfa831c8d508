"""Sections that were cut or imaged out of place: a slip moves one, a step all from one on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pytc_auto.augment.affine import Matrix, affine_margin, affine_matrix
from pytc_auto.augment.crop import Crop
from pytc_auto.augment.place import Place
from pytc_auto.augment.warp import Warp, apply_warp
from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.schema.augmentation import SectionShift


@dataclass(frozen=True)
class ShiftDraw:
    """A slip or a step.

    Attributes:
        axis: The cutting axis.
        section: Which one moves, or the first that does.
        offset: In voxels, 0 along the cutting axis.
        turn: Rotation about the middle of the section, in voxels, as ``affine_matrix`` gives it; None is none.
        step: All from ``section`` on move, and their labels with them; else one does, and its labels stay.
    """

    axis: int
    section: int
    offset: Zyx
    turn: Matrix | None
    step: bool


def draw_section_shift(effect: SectionShift, place: Place, rng: np.random.Generator) -> ShiftDraw | None:
    """Draw a slip or a step, equally likely, by a length up to ``shift_nm`` in any direction of the plane, and an angle.

    Returns:
        None where the effect does not happen, nothing moves by half a voxel, or there is a single section.
    """
    if rng.random() >= effect.probability or place.sections < 2:
        return None
    step = bool(rng.random() < 0.5)
    section = int(rng.integers(1 if step else 0, place.sections))
    length, angle = rng.uniform(0, effect.shift_nm), rng.uniform(0, 2 * np.pi)
    offset = [0, 0, 0]
    for axis, way in zip(place.plane, (np.cos(angle), np.sin(angle)), strict=True):
        offset[axis] = round(length * way / place.voxel_size_nm[axis])
    turn = None
    if effect.rotation_degrees:
        angles = [0.0, 0.0, 0.0]
        angles[place.axis] = np.deg2rad(rng.uniform(-effect.rotation_degrees, effect.rotation_degrees))
        turn = affine_matrix(angles, 1.0, place)
    return ShiftDraw(place.axis, section, zyx(offset), turn, step) if any(offset) or turn is not None else None


def shift_margin(draw: ShiftDraw, shape: Zyx) -> Zyx:
    """How many voxels more than ``shape`` the source needs on either side of each axis."""
    turned = affine_margin(draw.turn, shape) if draw.turn is not None else (0, 0, 0)
    return zyx([abs(o) + t for o, t in zip(draw.offset, turned, strict=True)])


def apply_section_shift(crop: Crop, draw: ShiftDraw, shape: Zyx) -> Crop:
    """Move sections in the plane.

    Args:
        crop: Larger than the result by ``shift_margin`` on either side.
        draw: From ``draw_section_shift``.
        shape: Of the result.
    """
    still = crop.inner(shape)
    moved = _moved(crop, draw, shape)
    chosen: list[Any] = [slice(None)] * 3
    chosen[draw.axis] = slice(draw.section, draw.section + moved.shape[draw.axis])
    index = tuple(chosen)
    image = still.image_zyx.copy()
    image[index] = moved.image_zyx
    if not draw.step:
        return still.with_image(image)
    labels, unlabeled = still.labels_zyx.copy(), still.unlabeled_zyx.copy()
    labels[index], unlabeled[index] = moved.labels_zyx, moved.unlabeled_zyx
    return Crop(image, labels, unlabeled)


def _moved(crop: Crop, draw: ShiftDraw, shape: Zyx) -> Crop:
    """The sections that move, as they are afterwards."""
    extent = list(shape)
    extent[draw.axis] = shape[draw.axis] - draw.section if draw.step else 1
    margin = [(n - k) // 2 for n, k in zip(crop.shape, shape, strict=True)]
    start = [m - o for m, o in zip(margin, draw.offset, strict=True)]
    start[draw.axis] += draw.section
    box = Box.of_shape(zyx(extent), start)
    if draw.turn is None:
        return crop.cut(box)
    room = affine_margin(draw.turn, shape)
    return apply_warp(crop.cut(box.grow(room)), Warp(draw.turn, None), zyx(extent))
