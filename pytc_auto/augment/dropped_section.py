"""A section that was lost without a trace: those on either side are neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.augment.crop import Crop
from pytc_auto.augment.place import Place
from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.schema.augmentation import DroppedSection


@dataclass(frozen=True)
class DroppedDraw:
    """The section of the result, along ``axis``, before which one is lost."""

    axis: int
    section: int


def draw_dropped_section(effect: DroppedSection, place: Place, rng: np.random.Generator) -> DroppedDraw | None:
    """Draw which; None where the effect does not happen, or there is a single section."""
    if rng.random() >= effect.probability or place.sections < 2:
        return None
    return DroppedDraw(place.axis, int(rng.integers(1, place.sections)))


def dropped_margin(draw: DroppedDraw) -> Zyx:
    """One section more on either side; of the two, one is used."""
    return zyx([int(i == draw.axis) for i in range(3)])


def apply_dropped_section(crop: Crop, draw: DroppedDraw, shape: Zyx) -> Crop:
    """Leave a section out, of image and labels.

    Args:
        crop: Larger than the result by ``dropped_margin`` on either side.
        draw: From ``draw_dropped_section``.
        shape: Of the result.
    """
    extent = list(shape)
    extent[draw.axis] += 1
    start = [(n - k) // 2 for n, k in zip(crop.shape, shape, strict=True)]
    longer = crop.cut(Box.of_shape(zyx(extent), start))

    def without(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.delete(array, draw.section, draw.axis)

    return Crop(without(longer.image_zyx), without(longer.labels_zyx), without(longer.unlabeled_zyx))
