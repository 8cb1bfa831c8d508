"""Thicker sections than there are, so that a network meets other data of the same tissue."""

from __future__ import annotations

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.augment.low_resolution import apply_low_resolution
from pytc_auto.augment.place import Place
from pytc_auto.geometry import Zyx, zyx
from pytc_auto.schema.augmentation import CoarseAxis


def draw_coarse_axis(effect: CoarseAxis, place: Place, rng: np.random.Generator) -> Zyx | None:
    """Draw a thickness and give the coarse extent.

    Returns:
        None where the effect does not happen, or the sections would be no thicker than they are.
    """
    if rng.random() >= effect.probability:
        return None
    size = place.voxel_size_nm[place.axis]
    sections = round(place.sections * size / rng.uniform(size, max(size, effect.thickness_nm)))
    extent = zyx([max(1, sections) if i == place.axis else n for i, n in enumerate(place.shape)])
    return extent if extent != place.shape else None


def apply_coarse_axis(image_zyx: Image, coarse: Zyx) -> Image:
    """Average sections together, and interpolate between them."""
    return apply_low_resolution(image_zyx, coarse)
