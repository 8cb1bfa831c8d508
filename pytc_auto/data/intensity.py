"""Gray values to what the network sees: one clip and scale for the whole data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.schema.plan import Intensity


def normalize(image: npt.NDArray[Any], intensity: Intensity) -> npt.NDArray[np.float32]:
    """Clip, subtract, divide; the same in training and prediction.

    Args:
        image: Gray values, any shape and dtype.
        intensity: From the plan.

    Returns:
        float32 of the same shape.
    """
    subtract, divide = intensity.scale
    clipped = np.clip(image.astype(np.float32), *intensity.clip)
    return (clipped - np.float32(subtract)) * np.float32(1 / divide)
