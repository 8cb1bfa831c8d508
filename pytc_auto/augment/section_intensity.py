"""Sections that differ in contrast and brightness from their neighbors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.schema.augmentation import SectionGrayValues


@dataclass(frozen=True)
class SectionGrayDraw:
    """One contrast and one brightness for each section along ``axis``, (sections,) float32."""

    axis: int
    contrast: npt.NDArray[np.float32]
    brightness: npt.NDArray[np.float32]


def draw_section_intensity(effect: SectionGrayValues, place: Place, rng: np.random.Generator) -> SectionGrayDraw | None:
    """Draw values for each section; None where the effect does not happen."""
    if rng.random() >= effect.probability:
        return None
    contrast = 1 + rng.uniform(-effect.contrast, effect.contrast, place.sections)
    brightness = rng.uniform(-effect.brightness, effect.brightness, place.sections)
    return SectionGrayDraw(place.axis, contrast.astype(np.float32), brightness.astype(np.float32))


def apply_section_intensity(image_zyx: Image, draw: SectionGrayDraw) -> Image:
    """Scale and shift each section."""
    shape = [1, 1, 1]
    shape[draw.axis] = -1
    return image_zyx * draw.contrast.reshape(shape) + draw.brightness.reshape(shape)
