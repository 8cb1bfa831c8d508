"""Sections that the knife tore, or that fell over themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.schema.augmentation import Fold

REACH = 4.0
"""The tissue has given way up to so many widths from the line."""
LEAST_SHARE = 0.3
"""Of the width; less would not be seen."""


@dataclass(frozen=True)
class Line:
    """A tear or a fold of one section.

    Attributes:
        angle: Of the line, in radians.
        offset_nm: Of the line from the middle of the section.
        width_nm: Of the gap, or of what lies double.
        tear: Whether a gap opens, brighter than any tissue; else tissue lies double, and is darker.
    """

    angle: float
    offset_nm: float
    width_nm: float
    tear: bool


@dataclass(frozen=True)
class FoldDraw:
    """A line by the number of the section."""

    place: Place
    lines: dict[int, Line]


def draw_fold(effect: Fold, place: Place, rng: np.random.Generator) -> FoldDraw | None:
    """Draw sections and for each a line anywhere at any angle; None where there is none."""
    reach = min(place.shape[i] * place.voxel_size_nm[i] for i in place.plane) / 2
    lines = {
        number: Line(
            rng.uniform(0, np.pi),
            rng.uniform(-reach, reach),
            effect.width_nm * rng.uniform(LEAST_SHARE, 1),
            bool(rng.random() < 0.5),
        )
        for number in place.chosen(effect.probability, rng)
    }
    return FoldDraw(place, lines) if lines else None


def apply_fold(image_zyx: Image, draw: FoldDraw) -> Image:
    """Move tissue away from a tear or towards a fold, and fill the gap or darken what lies double.

    The move is half the width at the line and fades out over four widths, so that labels stay true elsewhere.
    """
    image = image_zyx.copy()
    low, high = float(image_zyx.min()), float(image_zyx.max())
    for number, line in draw.lines.items():
        section = draw.place.section(number)
        distance = draw.place.across(line.angle) - np.float32(line.offset_nm)
        away = np.sign(distance) * line.width_nm / 2 * np.clip(1 - np.abs(distance) / (REACH * line.width_nm), 0, 1)
        moved = _pulled(image_zyx[section], -away if line.tear else away, line.angle, draw.place)
        band = np.abs(distance) <= line.width_nm / 2
        image[section] = np.where(band, high if line.tear else (low + moved) / 2, moved)
    return image


def _pulled(section_zyx: Image, by_nm: np.ndarray, angle: float, place: Place) -> Image:
    """A section sampled ``by_nm`` further across the line; linear between voxels, continued at the rim."""
    from scipy.ndimage import map_coordinates

    at = list(np.indices(section_zyx.shape, np.float32))
    for axis, way in zip(place.plane, (np.cos(angle), np.sin(angle)), strict=True):
        at[axis] = at[axis] + (by_nm * way / place.voxel_size_nm[axis]).astype(np.float32)
    return np.asarray(map_coordinates(section_zyx, at, order=1, mode="nearest"), np.float32)
