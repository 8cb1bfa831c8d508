"""Boxes in which the image is coarser, so that a network does not lean on detail alone.

Source:
    Yoo et al. 2020, CVPR (CutBlur).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.augment.low_resolution import apply_low_resolution, coarse_extent
from pytc_auto.augment.place import Place
from pytc_auto.geometry import Box, Zyx
from pytc_auto.schema.augmentation import CutBlur


@dataclass(frozen=True)
class CutBlurDraw:
    """Boxes, each with the coarse extent of what is in it."""

    boxes: tuple[tuple[Box, Zyx], ...]


def draw_cut_blur(effect: CutBlur, place: Place, rng: np.random.Generator) -> CutBlurDraw | None:
    """Draw up to ``count`` boxes; None where the effect does not happen."""
    if rng.random() >= effect.probability:
        return None
    boxes = [place.box(effect.size_nm, rng) for _ in range(int(rng.integers(1, effect.count + 1)))]
    places = [Place(box.shape, place.voxel_size_nm, place.axis) for box in boxes]
    coarse = [coarse_extent(inside, rng.uniform(1, effect.factor)) for inside in places]
    return CutBlurDraw(tuple(zip(boxes, coarse, strict=True)))


def apply_cut_blur(image_zyx: Image, draw: CutBlurDraw) -> Image:
    """Sample each box down and up again."""
    image = image_zyx.copy()
    for box, coarse in draw.boxes:
        image[box.slices] = apply_low_resolution(image[box.slices], coarse)
    return image
