"""Synapses: one pair of ids for each, with the presynaptic and the postsynaptic side told apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat


def synapse_sides(
    sides_czyx: npt.NDArray[np.float32], voxel_size_nm: ZyxFloat, *, threshold: float, gap_nm: float, min_size: int
) -> npt.NDArray[np.uint32]:
    """Number synapses by connected components and divide each between its two sides.

    Args:
        sides_czyx: Probability to be presynaptic, postsynaptic, either; (3, Z, Y, X).
        voxel_size_nm: z, y, x.
        threshold: Where the third is above it, there are synapses.
        gap_nm: Sides with about this much between them still belong to one synapse; 0: they must touch (6-connected).
        min_size: A synapse of fewer voxels is removed.

    Returns:
        (Z, Y, X): 2k - 1 where synapse k is rather presynaptic, 2k where rather postsynaptic, 0 is background.

    Source:
        Lin et al. 2020, ECCV (two-stream active query suggestion), as in PyTorch Connectomics v1.
    """
    import cc3d
    import edt

    inside = sides_czyx[2] > threshold
    joined = edt.edt(~inside, anisotropy=voxel_size_nm, black_border=False) <= gap_nm / 2 if gap_nm > 0 else inside
    synapses = cc3d.connected_components(joined, connectivity=6) * inside
    large = np.bincount(synapses.reshape(-1)) >= max(1, min_size)
    large[0] = False
    pair = (2 * np.cumsum(large) * large).astype(np.uint32)[synapses]
    return pair - ((pair > 0) & (sides_czyx[0] >= sides_czyx[1]))
