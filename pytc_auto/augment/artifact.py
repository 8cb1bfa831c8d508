"""Dirt on a section: an irregular stain, dark or bright, that hides what is under it in part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.schema.augmentation import Artifact

ROUGHNESS = 0.35
"""How much the outline is off a circle, as a share of the radius."""
LEAST_SHARE = 0.3
"""Of size and strength; less would not be seen."""


@dataclass(frozen=True)
class ArtifactDraw:
    """What is added to the sections with a stain, in gray values, one voxel thick, by the number of the section."""

    place: Place
    stains: dict[int, Image]


def draw_artifact(effect: Artifact, place: Place, rng: np.random.Generator) -> ArtifactDraw | None:
    """Draw sections and for each a stain anywhere; None where there is none."""
    stains = {number: _stain(effect, place, rng) for number in place.chosen(effect.probability, rng)}
    return ArtifactDraw(place, stains) if stains else None


def _stain(effect: Artifact, place: Place, rng: np.random.Generator) -> Image:
    """Smooth noise around a disk, with a soft outline."""
    radius = effect.size_nm / 2 * rng.uniform(LEAST_SHARE, 1)
    strength = effect.strength * rng.uniform(LEAST_SHARE, 1) * rng.choice([-1, 1])
    extent = [1 if i == place.axis else n for i, n in enumerate(place.shape)]
    middle = [rng.uniform(0, n) if n > 1 else 0.0 for n in extent]
    away = [(np.arange(n) - m) * s for n, m, s in zip(extent, middle, place.voxel_size_nm, strict=True)]
    distance = np.sqrt(away[0][:, None, None] ** 2 + away[1][:, None] ** 2 + away[2] ** 2) / radius
    smooth = [0.0 if i == place.axis else radius / 4 / s for i, s in enumerate(place.voxel_size_nm)]
    noise = gaussian_filter(rng.standard_normal(extent), smooth)
    height = 1 + ROUGHNESS * noise / max(float(noise.std()), 1e-6) - distance
    return (strength * np.clip(4 * height, 0, 1)).astype(np.float32)


def apply_artifact(image_zyx: Image, draw: ArtifactDraw) -> Image:
    """Add the stains."""
    image = image_zyx.copy()
    for number, stain in draw.stains.items():
        image[draw.place.section(number)] += stain
    return image
