"""Contrast, brightness and gamma of the whole crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.schema.augmentation import GrayValues


@dataclass(frozen=True)
class GrayDraw:
    """Gray values become (gray ** gamma within the crop's range) · contrast + brightness."""

    contrast: float
    brightness: float
    gamma: float


def draw_gray_values(effect: GrayValues, _place: Place, rng: np.random.Generator) -> GrayDraw | None:
    """Draw each value uniformly about no change; gamma by its logarithm, so that brighter and darker are as likely."""
    if rng.random() >= effect.probability:
        return None
    spread = np.log1p(effect.gamma)
    return GrayDraw(
        contrast=1 + rng.uniform(-effect.contrast, effect.contrast),
        brightness=rng.uniform(-effect.brightness, effect.brightness),
        gamma=float(np.exp(rng.uniform(-spread, spread))),
    )


def apply_gray_values(image_zyx: Image, draw: GrayDraw) -> Image:
    """Apply gamma, then contrast, then brightness, by MONAI's transforms."""
    from monai.transforms import AdjustContrastd, ScaleIntensityd, ShiftIntensityd

    sample = {"image": image_zyx[None]}
    sample = AdjustContrastd("image", gamma=draw.gamma)(sample)
    sample = ScaleIntensityd("image", minv=None, maxv=None, factor=draw.contrast - 1)(sample)
    sample = ShiftIntensityd("image", offset=draw.brightness)(sample)
    return np.asarray(sample["image"][0], np.float32)
