"""Gaussian noise, from torch's generator: MONAI's draws from numpy's old one, which takes several times as long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.schema.augmentation import Noise


@dataclass(frozen=True)
class NoiseDraw:
    """Sigma in standard deviations of the data, and the seed of the noise."""

    sigma: float
    seed: int


def draw_noise(effect: Noise, _place: Place, rng: np.random.Generator) -> NoiseDraw | None:
    """Draw a sigma up to the plan's; None where the effect does not happen."""
    if rng.random() >= effect.probability:
        return None
    return NoiseDraw(rng.uniform(0, effect.sigma), int(rng.integers(2**32)))


def apply_noise(image_zyx: Image, draw: NoiseDraw) -> Image:
    """Add independent noise to each voxel, of another seed other noise."""
    import torch

    noise = torch.randn(image_zyx.shape, generator=torch.Generator().manual_seed(draw.seed)).numpy()
    noise *= np.float32(draw.sigma)
    noise += image_zyx
    return np.asarray(noise, np.float32)
