"""Inside any object."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from pytc_auto.targets.neighbors import BoolArray


def foreground_from_labels(labels_zyx: npt.NDArray[Any]) -> BoolArray:
    """Tell which voxels belong to an object, (Z, Y, X); 0 is background."""
    return labels_zyx != 0
