"""Sections that were lost, in whole or in part, and what stands in their place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.schema.augmentation import MissingSection


@dataclass(frozen=True)
class MissingDraw:
    """What is lost.

    Attributes:
        place: Has the cutting axis.
        blank: By the number of the section, which voxels of it are blank, one voxel thick.
        duplicated: Numbers of the sections that show the image of the one before (the first: of the one after).
    """

    place: Place
    blank: dict[int, npt.NDArray[np.bool_]]
    duplicated: tuple[int, ...]


def draw_missing_section(effect: MissingSection, place: Place, rng: np.random.Generator) -> MissingDraw | None:
    """Draw for each section whether it is lost, and how; None where none is, or all would be."""
    numbers = place.chosen(effect.probability, rng)
    if not numbers or len(numbers) == place.sections:
        return None
    kinds = {number: str(rng.choice(effect.kinds)) for number in numbers}
    blank = {n: _lost(place, kind, rng) for n, kind in kinds.items() if kind != "duplicated"}
    return MissingDraw(place, blank, tuple(n for n, kind in kinds.items() if kind == "duplicated"))


def _lost(place: Place, kind: str, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """All of a section, or what lies on one side of a line through it."""
    distance = place.across(rng.uniform(0, 2 * np.pi))
    if kind == "blank":
        return np.ones(distance.shape, np.bool_)
    return distance > rng.uniform(0.5, 0.9) * distance.max() * rng.choice([-1, 1])


def apply_missing_section(image_zyx: Image, draw: MissingDraw) -> Image:
    """Fill what is blank with the darkest value of the crop; labels stay, to be told from the neighbors."""
    image = image_zyx.copy()
    darkest = image_zyx.min()
    for number in draw.duplicated:
        image[draw.place.section(number)] = image_zyx[draw.place.section(number - 1 if number else 1)]
    for number, lost in draw.blank.items():
        image[draw.place.section(number)][lost] = darkest
    return image
