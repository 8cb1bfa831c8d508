"""Classes: the most probable one; specks take the class around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.regions import absorb_small, region_graph


def class_values(scores_czyx: npt.NDArray[Any], values: Sequence[int], min_size: int) -> npt.NDArray[Any]:
    """Raw label values.

    Args:
        scores_czyx: One channel per class, the higher the surer.
        values: The raw value of each channel.
        min_size: A 6-connected component with fewer voxels takes the class of the component with which it has the longest
            common border.

    Returns:
        (Z, Y, X) in the smallest unsigned integer type that holds all values.
    """
    classes = scores_czyx.argmax(0).astype(np.uint8)
    if min_size > 1:
        classes = _without_specks(classes, min_size)
    return np.asarray(values, np.min_scalar_type(max(values)))[classes]


def _without_specks(classes_zyx: npt.NDArray[np.uint8], min_size: int) -> npt.NDArray[np.uint8]:
    import cc3d

    components = cc3d.connected_components(classes_zyx.astype(np.uint16) + 1, connectivity=6)
    lookup = absorb_small(region_graph(components), min_size, by="contact")
    of_component = np.zeros(len(lookup), np.uint8)
    of_component[components.reshape(-1)] = classes_zyx.reshape(-1)
    alone = lookup == 0
    lookup[alone] = np.flatnonzero(alone)
    return of_component[lookup][components]
