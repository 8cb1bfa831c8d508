"""How much each voxel of a window of v1 counts where windows overlap."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Zyx

SIGMA = 0.2
"""Of the Gaussian; the window's border on each axis is at 1 from its center."""
POWER = 1.5
FLOOR = 1e-4


def window_weights(patch: Zyx, blending: Literal["v1_gaussian", "v1_bump"]) -> npt.NDArray[np.float32]:
    """A Gaussian of the distance to the center, or the bump of Lee et al. 2017, plus ``FLOOR``; float32 of the window's shape.

    A window of one section lies at -1 on that axis in v1, not at 0, so that its Gaussian is hardly above the floor; here, too.
    """
    if blending == "v1_gaussian":
        z, y, x = np.ix_(*(np.linspace(-1, 1, n, dtype=np.float32) for n in patch))
        distance = np.sqrt(z * z + y * y + x * x)
        gaussian: npt.NDArray[np.float32] = FLOOR + np.exp(-(distance**2) / (2 * SIGMA**2))
        return gaussian.astype(np.float32, copy=False)
    z, y, x = np.ix_(*(_hill(n) for n in patch))
    height = -x - y - z
    bump: npt.NDArray[np.float32] = FLOOR + np.exp(height - height.max())
    return bump.astype(np.float32, copy=False)


def _hill(extent: int) -> npt.NDArray[np.float32]:
    """What the bump falls by along an axis: least in the middle, very much at the ends."""
    place = np.linspace(0, 1, extent + 2, dtype=np.float32)[1:-1]
    hill: npt.NDArray[np.float32] = (place * (1 - place)) ** -POWER
    return hill
