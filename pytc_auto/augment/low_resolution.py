"""A crop as a coarser microscope would show it."""

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
    """Average down to the coarse extent, and interpolate back; an axis that keeps its extent is left alone."""
    import torch
    from torch.nn.functional import interpolate

    kept = next((i for i, (n, k) in enumerate(zip(image_zyx.shape, coarse, strict=True)) if n == k), None)
    image = np.ascontiguousarray(image_zyx if kept is None else np.moveaxis(image_zyx, kept, 0))
    small = [n for i, n in enumerate(coarse) if i != kept]
    tensor = torch.from_numpy(image).reshape(1, -1, *image.shape[-len(small) :])
    linear = "trilinear" if kept is None else "bilinear"
    back = interpolate(interpolate(tensor, small, mode="area"), list(tensor.shape[2:]), mode=linear)
    found: Image = back.numpy().reshape(image.shape)
    return found if kept is None else np.ascontiguousarray(np.moveaxis(found, 0, kept))
