"""How much each voxel of a patch counts where patches overlap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Zyx

SIGMA = 1 / 8
FLOOR = 1e-6


def gaussian_weights(patch: Zyx) -> npt.NDArray[np.float32]:
    """A Gaussian about the patch's center, sigma an eighth of the patch on each axis.

    Args:
        patch: Extent in voxels.

    Returns:
        float32 of the patch's shape, at most 1, nowhere under ``FLOOR``: a corner seen by one patch only can be divided.

    Source:
        Isensee et al. 2021, Nature Methods 18(2).
    """
    z, y, x = (np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n * SIGMA)) ** 2) for n in patch)
    product = z[:, None, None] * y[:, None] * x
    return np.maximum(product / product.max(), FLOOR).astype(np.float32)
