"""Classes: the most probable one; specks take the class around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def class_values(stored_czyx: npt.NDArray[np.uint8], values: Sequence[int], min_size: int) -> npt.NDArray[Any]:
    """Raw label values, in the smallest unsigned type that holds them.

    Args:
        stored_czyx: One channel per class.
        values: The raw value of each channel.
        min_size: A 6-connected component with fewer voxels takes the class of the nearest voxel outside such components.
    """
    index = stored_czyx.argmax(0).astype(np.uint8)
    if min_size > 1:
        index = _without_specks(index, min_size)
    dtype = np.min_scalar_type(max(values))
    return np.asarray(values, dtype)[index]


def _without_specks(index_zyx: npt.NDArray[np.uint8], min_size: int) -> npt.NDArray[np.uint8]:
    import cc3d
    from scipy import ndimage

    components = cc3d.connected_components(index_zyx.astype(np.uint16) + 1, connectivity=6)
    speck = np.bincount(components.ravel())[components] < min_size
    if speck.all() or not speck.any():
        return index_zyx
    nearest = ndimage.distance_transform_edt(speck, return_distances=False, return_indices=True)
    return index_zyx[tuple(nearest)]
