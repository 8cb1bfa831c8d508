"""Sections that were lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.augment.crop import Image
from pytc_auto.geometry import Zyx, ZyxFloat, cutting_axis
from pytc_auto.schema.plan import MissingSection


@dataclass(frozen=True)
class MissingDraw:
    """Which sections along ``axis`` are blank, (sections,) bool."""

    axis: int
    blank: npt.NDArray[np.bool_]


def draw_missing_section(
    effect: MissingSection, shape: Zyx, voxel_size_nm: ZyxFloat, rng: np.random.Generator
) -> MissingDraw | None:
    """Draw for each section of a crop of ``shape`` whether it is blank; None where none is, or all would be."""
    axis = cutting_axis(voxel_size_nm)
    blank = rng.random(shape[axis]) < effect.probability
    return MissingDraw(axis, blank) if blank.any() and not blank.all() else None


def apply_missing_section(image_zyx: Image, draw: MissingDraw) -> Image:
    """Blank sections at the darkest value of the crop; their labels stay, to be told from the neighbors."""
    index: list[slice | npt.NDArray[np.bool_]] = [slice(None)] * 3
    index[draw.axis] = draw.blank
    image = image_zyx.copy()
    image[tuple(index)] = image_zyx.min()
    return image
