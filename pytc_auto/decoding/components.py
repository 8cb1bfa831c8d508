"""A foreground alone: what is connected is an instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.uint32]


def foreground_components(
    foreground_zyx: npt.NDArray[np.float32], threshold: float, min_sizes: Sequence[float]
) -> Iterator[tuple[float, Ids]]:
    """Give the 6-connected components of voxels above a threshold, without small ones.

    Args:
        foreground_zyx: Probability to be inside any instance.
        threshold: What is above it is inside.
        min_sizes: Smaller components, in voxels, become background; the components are found once for all.

    Yields:
        Each size with (Z, Y, X), ids from 1, 0 is background.
    """
    import cc3d

    components = cc3d.connected_components(foreground_zyx > threshold, connectivity=6)
    sizes = np.bincount(components.reshape(-1))
    sizes[0] = 0
    for min_size in min_sizes:
        kept = sizes >= max(1, min_size)
        yield min_size, (np.cumsum(kept) * kept).astype(np.uint32)[components]
