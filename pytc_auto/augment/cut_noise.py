"""Boxes in which the image is noisier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.augment.noise import NoiseDraw, apply_noise
from pytc_auto.augment.place import Place
from pytc_auto.geometry import Box
from pytc_auto.schema.augmentation import CutNoise


@dataclass(frozen=True)
class CutNoiseDraw:
    """Boxes, each with its noise."""

    boxes: tuple[tuple[Box, NoiseDraw], ...]


def draw_cut_noise(effect: CutNoise, place: Place, rng: np.random.Generator) -> CutNoiseDraw | None:
    """Draw up to ``count`` boxes; None where the effect does not happen."""
    if rng.random() >= effect.probability:
        return None
    boxes = [place.box(effect.size_nm, rng) for _ in range(int(rng.integers(1, effect.count + 1)))]
    return CutNoiseDraw(tuple((box, NoiseDraw(rng.uniform(0, effect.sigma), int(rng.integers(2**32)))) for box in boxes))


def apply_cut_noise(image_zyx: Image, draw: CutNoiseDraw) -> Image:
    """Add independent noise to each voxel of the boxes."""
    image = image_zyx.copy()
    for box, noise in draw.boxes:
        image[box.slices] = apply_noise(image[box.slices], noise)
    return image
