"""Boxes without an image, so that a network looks around them, by MONAI."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.geometry import Zyx, zyx
from pytc_auto.schema.augmentation import Dropout


@dataclass(frozen=True)
class DropoutDraw:
    """Boxes of at most ``size`` voxels and at least a quarter of it, and the seed of their places."""

    count: int
    size: Zyx
    seed: int


def draw_dropout(effect: Dropout, place: Place, rng: np.random.Generator) -> DropoutDraw | None:
    """Draw how many; None where the effect does not happen."""
    if rng.random() >= effect.probability:
        return None
    size = zyx([max(1, min(n, round(v))) for n, v in zip(place.shape, place.voxels(effect.size_nm), strict=True)])
    return DropoutDraw(int(rng.integers(1, effect.count + 1)), size, int(rng.integers(2**32)))


def apply_dropout(image_zyx: Image, draw: DropoutDraw) -> Image:
    """Fill the boxes with the mean of the data, which is 0."""
    from monai.transforms import RandCoarseDropoutd

    least = tuple(max(1, n // 4) for n in draw.size)
    dropout = RandCoarseDropoutd(
        "image", holes=draw.count, spatial_size=least, max_spatial_size=draw.size, fill_value=0.0, prob=1.0
    )
    dropout.set_random_state(seed=draw.seed)
    return np.asarray(dropout({"image": image_zyx[None].copy()})["image"][0], np.float32)
