"""Sections during whose imaging the stage moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.schema.augmentation import MotionBlur

LEAST_SHARE = 0.5
"""Of the length; less would not be seen."""


@dataclass(frozen=True)
class MotionDraw:
    """A line in the plane as weights of a filter, one voxel thick, by the number of the section."""

    place: Place
    lines: dict[int, Image]


def draw_motion_blur(effect: MotionBlur, place: Place, rng: np.random.Generator) -> MotionDraw | None:
    """Draw sections and for each a line of half to the whole ``length_nm`` at any angle; None where there is none."""
    lines = {
        number: line(effect.length_nm * rng.uniform(LEAST_SHARE, 1), rng.uniform(0, np.pi), place)
        for number in place.chosen(effect.probability, rng)
    }
    return MotionDraw(place, lines) if lines else None


def line(length_nm: float, angle: float, place: Place) -> Image:
    """Weights that average along a line about a voxel, sum 1, odd extents."""
    ways = [0.0, 0.0, 0.0]
    ways[place.plane[0]], ways[place.plane[1]] = np.cos(angle), np.sin(angle)
    reach = np.array([length_nm / 2 * way / s for way, s in zip(ways, place.voxel_size_nm, strict=True)])
    half = np.ceil(np.abs(reach) - 0.5 + 1e-9).clip(0).astype(int)
    weights = np.zeros(2 * half + 1, np.float32)
    steps = np.linspace(-1, 1, 8 * int(half.max()) + 1)[:, None] if half.any() else np.zeros((1, 1))
    at = np.rint(steps * reach).astype(int) + half
    np.add.at(weights, tuple(at.clip(0, 2 * half).T), 1)
    return weights / weights.sum()


def apply_motion_blur(image_zyx: Image, draw: MotionDraw) -> Image:
    """Smear the sections, each by itself; the rim is continued by its last voxel."""
    image = image_zyx.copy()
    for number, weights in draw.lines.items():
        section = draw.place.section(number)
        image[section] = correlate(image_zyx[section], weights, mode="nearest")
    return image
