"""Gaussian blur, by MONAI's separable filter (its GaussianSmooth pads with 0, which fades the rim)."""

from __future__ import annotations

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.augment.place import Place
from pytc_auto.geometry import ZyxFloat
from pytc_auto.schema.augmentation import Blur


def draw_blur(effect: Blur, place: Place, rng: np.random.Generator) -> ZyxFloat | None:
    """Draw a sigma up to ``sigma_nm``.

    Returns:
        Sigma in voxels, z, y, x; 0 along the cutting axis of anisotropic data. None where the effect does not happen.
    """
    if rng.random() >= effect.probability:
        return None
    sigma = place.voxels(rng.uniform(0, effect.sigma_nm))
    return in_plane(sigma, place) if place.sectioned else sigma


def in_plane(sigma: ZyxFloat, place: Place) -> ZyxFloat:
    """The same with 0 along the cutting axis."""
    z, y, x = (0.0 if i == place.axis else s for i, s in enumerate(sigma))
    return z, y, x


def apply_blur(image_zyx: Image, sigma: ZyxFloat) -> Image:
    """Filter along each axis whose sigma, in voxels, is not 0; the rim is continued by its last voxel."""
    import torch
    from monai.networks.layers import gaussian_1d, separable_filtering

    kernels = [gaussian_1d(torch.tensor(s), truncated=3.0, normalize=True) if s > 0 else torch.ones(1) for s in sigma]
    image = torch.from_numpy(np.ascontiguousarray(image_zyx))[None, None]
    return np.asarray(separable_filtering(image, kernels, mode="replicate")[0, 0], np.float32)
