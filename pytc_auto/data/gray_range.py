"""Whether the gray values of a volume are of the kind that a model has learned from."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.io.volume import Volume
from pytc_auto.schema.plan import Intensity

SAMPLE: Zyx = (16, 32, 32)
PLACES = 3
"""Along each axis."""
LEAST_INSIDE = 0.05
"""Share of the values inside of the clip; of training data it is 0.99."""
LEAST_DEVIATION = 0.08
"""Of the training's: eight bits in place of sixteen have 0.004, twelve have 0.06."""


@dataclass(frozen=True)
class GrayValues:
    """Mean and deviation of a sample, and the share of it that the plan's clip leaves as it is."""

    mean: float
    deviation: float
    inside: float

    def fit(self, intensity: Intensity) -> bool:
        """Whether a network that was trained with this intensity sees more than one gray."""
        return self.inside >= LEAST_INSIDE and self.deviation >= LEAST_DEVIATION * intensity.scale[1]


def sample_gray_values(volume: Volume, box: Box, intensity: Intensity) -> GrayValues | None:
    """Look at the middle, the corners and what lies between them; a place that is blank does not count.

    Args:
        volume: Readable by box.
        box: The part of it that matters.
        intensity: From the plan.

    Returns:
        None where all places are blank.
    """
    found = [values[np.isfinite(values)] for values in (volume.read(place).astype(np.float64) for place in _places(box))]
    values = np.concatenate([v for v in found if v.size and v.min() < v.max()] or [np.empty(0)])
    if not values.size:
        return None
    low, high = intensity.clip
    return GrayValues(float(values.mean()), float(values.std()), float(((values >= low) & (values <= high)).mean()))


def _places(box: Box) -> list[Box]:
    """Small boxes in a regular grid."""
    extents = zyx([min(n, s) for n, s in zip(box.shape, SAMPLE, strict=True)])
    starts = [
        np.unique(np.linspace(a, b - n, PLACES).round().astype(int)).tolist()
        for a, b, n in zip(box.start, box.stop, extents, strict=True)
    ]
    return [Box.of_shape(extents, zyx(start)) for start in itertools.product(*starts)]
