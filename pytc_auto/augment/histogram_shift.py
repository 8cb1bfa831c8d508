"""A random monotonous curve of gray values, by MONAI."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.schema.augmentation import HistogramShift


@dataclass(frozen=True)
class HistogramDraw:
    """How many points the curve has, and the seed of their place."""

    points: int
    seed: int


def draw_histogram_shift(effect: HistogramShift, _place: Place, rng: np.random.Generator) -> HistogramDraw | None:
    """Draw a seed; None where the effect does not happen."""
    return HistogramDraw(effect.points, int(rng.integers(2**32))) if rng.random() < effect.probability else None


def apply_histogram_shift(image_zyx: Image, draw: HistogramDraw) -> Image:
    """Map gray values; the darkest and the brightest stay."""
    from monai.transforms import RandHistogramShiftd

    shift = RandHistogramShiftd("image", num_control_points=draw.points, prob=1.0)
    shift.set_random_state(seed=draw.seed)
    return np.asarray(shift({"image": image_zyx[None]})["image"][0], np.float32)
