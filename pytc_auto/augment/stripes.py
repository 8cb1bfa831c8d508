"""Charging of sections and curtains of an ion beam: parallel stripes in the plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.schema.augmentation import Stripes

Float32 = npt.NDArray[np.float32]
TYPICAL_SHARE = 0.5
"""Of the strength, at least."""


@dataclass(frozen=True)
class StripesDraw:
    """What is added to each section that has stripes.

    Attributes:
        place: Has the cutting axis.
        added: By the number of the section, in gray values, one voxel thick.
    """

    place: Place
    added: dict[int, Float32]


def draw_stripes(effect: Stripes, place: Place, rng: np.random.Generator) -> StripesDraw | None:
    """Draw direction and profile; of isotropic data once for all sections, as a beam makes them."""
    numbers = place.chosen(effect.probability, rng)
    if not place.sectioned:
        numbers = list(range(place.sections)) if rng.random() < effect.probability else []
        profile = _profile(effect, place, rng)
        added = dict.fromkeys(numbers, profile)
    else:
        added = {number: _profile(effect, place, rng) for number in numbers}
    return StripesDraw(place, added) if added else None


def _profile(effect: Stripes, place: Place, rng: np.random.Generator) -> Float32:
    """Smooth noise that changes across a line at any angle, of half to the whole strength; one section."""
    distance = place.across(rng.uniform(0, np.pi))
    step = effect.width_nm / 4
    bins = np.round((distance - distance.min()) / step).astype(np.int64)
    noise = gaussian_filter1d(rng.standard_normal(int(bins.max()) + 1), 2.0, mode="wrap")
    strength = effect.strength * rng.uniform(TYPICAL_SHARE, 1) / max(float(noise.std()), 1e-6)
    profile: Float32 = ((noise - noise.mean()) * strength).astype(np.float32)[bins]
    return profile


def apply_stripes(image_zyx: Image, draw: StripesDraw) -> Image:
    """Add the stripes."""
    image = image_zyx.copy()
    for number, added in draw.added.items():
        image[draw.place.section(number)] += added
    return image
