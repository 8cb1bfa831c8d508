"""Gaussian blur, by MONAI's separable filter (its GaussianSmooth pads with 0, which fades the rim)."""

from __future__ import annotations

import numpy as np

from pytc_auto.augment.crop import Image
from pytc_auto.geometry import ZyxFloat, anisotropy, cutting_axis
from pytc_auto.schema.plan import Blur

SECTIONS_FROM = 1.5
"""From this anisotropy on, sections are blurred each by itself."""


def draw_blur(effect: Blur, voxel_size_nm: ZyxFloat, rng: np.random.Generator) -> ZyxFloat | None:
    """Draw a sigma up to ``sigma_nm``.

    Returns:
        Sigma in voxels, z, y, x; 0 along the cutting axis of anisotropic data. None where the effect does not happen.
    """
    if rng.random() >= effect.probability:
        return None
    sigma_nm = rng.uniform(0, effect.sigma_nm)
    flat = cutting_axis(voxel_size_nm) if anisotropy(voxel_size_nm) >= SECTIONS_FROM else None
    z, y, x = (0.0 if i == flat else float(sigma_nm / s) for i, s in enumerate(voxel_size_nm))
    return z, y, x


def apply_blur(image_zyx: Image, sigma: ZyxFloat) -> Image:
    """Filter along each axis whose sigma, in voxels, is not 0; the rim is continued by its last voxel."""
    import torch
    from monai.networks.layers import gaussian_1d, separable_filtering

    kernels = [gaussian_1d(torch.tensor(s), truncated=3.0, normalize=True) if s > 0 else torch.ones(1) for s in sigma]
    image = torch.from_numpy(np.ascontiguousarray(image_zyx))[None, None]
    return np.asarray(separable_filtering(image, kernels, mode="replicate")[0, 0], np.float32)
