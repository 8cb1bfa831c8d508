"""Sections that the microscope did not focus on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.augment.blur import apply_blur, in_plane
from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.geometry import ZyxFloat
from pytc_auto.schema.augmentation import OutOfFocus

LEAST_SHARE = 0.5
"""Of the sigma; less would not be seen."""


@dataclass(frozen=True)
class FocusDraw:
    """Sigma in voxels, z, y, x, by the number of the section; 0 along the cutting axis."""

    place: Place
    sigmas: dict[int, ZyxFloat]


def draw_out_of_focus(effect: OutOfFocus, place: Place, rng: np.random.Generator) -> FocusDraw | None:
    """Draw sections and for each a sigma between half and the whole of ``sigma_nm``; None where there is none."""
    numbers = place.chosen(effect.probability, rng)
    sigmas = {n: in_plane(place.voxels(effect.sigma_nm * rng.uniform(LEAST_SHARE, 1)), place) for n in numbers}
    return FocusDraw(place, sigmas) if sigmas else None


def apply_out_of_focus(image_zyx: Image, draw: FocusDraw) -> Image:
    """Blur the sections, each by itself."""
    image = image_zyx.copy()
    for number, sigma in draw.sigmas.items():
        section = draw.place.section(number)
        image[section] = apply_blur(image_zyx[section], sigma)
    return image
