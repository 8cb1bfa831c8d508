"""Sections that were cut or imaged out of place: a slip moves one, a step all from one on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pytc_auto.augment.crop import Crop
from pytc_auto.geometry import Zyx, ZyxFloat, cutting_axis, zyx
from pytc_auto.schema.plan import SectionShift

DType = TypeVar("DType", bound=np.generic)


@dataclass(frozen=True)
class ShiftDraw:
    """A slip or a step.

    Attributes:
        axis: The cutting axis.
        section: Which one moves, or the first that does.
        offset: In voxels, 0 along the cutting axis.
        step: All from ``section`` on move, and their labels with them; else one does, and its labels stay.
    """

    axis: int
    section: int
    offset: Zyx
    step: bool


def draw_section_shift(effect: SectionShift, shape: Zyx, voxel_size_nm: ZyxFloat, rng: np.random.Generator) -> ShiftDraw | None:
    """Draw a slip or a step, equally likely, by a length up to ``shift_nm`` in any direction of the plane.

    Returns:
        None where the effect does not happen, is shorter than half a voxel, or there is a single section.
    """
    if rng.random() >= effect.probability:
        return None
    axis = cutting_axis(voxel_size_nm)
    if shape[axis] < 2:
        return None
    step = bool(rng.random() < 0.5)
    section = int(rng.integers(1 if step else 0, shape[axis]))
    length, angle = rng.uniform(0, effect.shift_nm), rng.uniform(0, 2 * np.pi)
    first, second = (i for i in range(3) if i != axis)
    offset = [0, 0, 0]
    offset[first] = round(length * np.cos(angle) / voxel_size_nm[first])
    offset[second] = round(length * np.sin(angle) / voxel_size_nm[second])
    return ShiftDraw(axis, section, zyx(offset), step) if any(offset) else None


def shift_margin(draw: ShiftDraw) -> Zyx:
    """How many voxels more the source needs on either side of each axis."""
    return zyx([abs(o) for o in draw.offset])


def apply_section_shift(crop: Crop, draw: ShiftDraw) -> Crop:
    """Move sections in the plane.

    Args:
        crop: Larger than the result by ``shift_margin`` on either side.
        draw: From ``draw_section_shift``.
    """
    image = _moved(crop.image_zyx, draw)
    if draw.step:
        return Crop(image, _moved(crop.labels_zyx, draw), _moved(crop.unlabeled_zyx, draw))
    inner = crop.inner(zyx(image.shape))
    return inner.with_image(image)


def _moved(array_zyx: npt.NDArray[DType], draw: ShiftDraw) -> npt.NDArray[DType]:
    """The middle of the array, with the content of the chosen sections moved by the offset."""
    margin = shift_margin(draw)
    still: list[slice] = [slice(m, n - m) for m, n in zip(margin, array_zyx.shape, strict=True)]
    moved: list[Any] = [slice(m - o, n - m - o) for m, o, n in zip(margin, draw.offset, array_zyx.shape, strict=True)]
    chosen = slice(draw.section, None if draw.step else draw.section + 1)
    moved[draw.axis] = chosen
    result = array_zyx[tuple(still)].copy()
    target: list[Any] = [slice(None)] * 3
    target[draw.axis] = chosen
    result[tuple(target)] = array_zyx[tuple(moved)]
    return result
