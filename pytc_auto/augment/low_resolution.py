"""A crop as a coarser microscope would show it, by MONAI."""

from __future__ import annotations

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.geometry import Zyx, zyx
from pytc_auto.schema.augmentation import LowResolution


def draw_low_resolution(effect: LowResolution, place: Place, rng: np.random.Generator) -> Zyx | None:
    """Draw a factor and give the coarse extent; of sections in the plane. None where the effect does not happen."""
    if rng.random() >= effect.probability:
        return None
    return coarse_extent(place, rng.uniform(1, effect.factor))


def coarse_extent(place: Place, factor: float) -> Zyx:
    """Extent of the crop if voxels were larger by a factor, in the plane where there are sections."""
    return zyx([n if place.sectioned and i == place.axis else max(1, round(n / factor)) for i, n in enumerate(place.shape)])


def apply_low_resolution(image_zyx: Image, coarse: Zyx) -> Image:
    """Average down to the coarse extent, and interpolate back."""
    from monai.transforms import Resize

    small = Resize(coarse, mode="area")(image_zyx[None])
    return np.asarray(Resize(image_zyx.shape, mode="trilinear")(small)[0], np.float32)
