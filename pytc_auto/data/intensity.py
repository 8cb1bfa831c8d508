"""Gray values to what the network sees: one clip and scale for the whole data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, blocks
from pytc_auto.io.volume import Array, DerivedVolume, Volume
from pytc_auto.schema.plan import Intensity

EPSILON = 1e-6
"""What v1 added to the range of a volume, lest it be 0."""
_BLOCK = (32, 512, 512)


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


def as_bytes(volume: Volume, intensity: Intensity) -> Volume:
    """The volume, its values spread over 0 … 255 where the plan says so and they are no bytes already."""
    return volume if intensity.range == "stored" or volume.dtype == np.uint8 else SpreadVolume(volume)


def finite(volume: Volume, intensity: Intensity) -> Volume:
    """The volume, its NaN replaced by the mean and infinite values by the ends of the clip; only floats can have some."""
    return FiniteVolume(volume, intensity) if volume.dtype.kind == "f" else volume


class FiniteVolume(DerivedVolume):
    """A volume of floats without NaN and infinite values, which would spread over crops when they are warped or blurred."""

    def __init__(self, volume: Volume, intensity: Intensity) -> None:
        super().__init__(volume)
        self._intensity = intensity

    def _read(self, box: Box) -> Array:
        low, high = self._intensity.clip
        mean = self._intensity.scale[0]
        return np.nan_to_num(self.volume.read(box), copy=False, nan=mean, posinf=high, neginf=low)


class KnownVolume(DerivedVolume):
    """Where a volume of floats has a value: 1, and 0 where it is NaN or where a mask is 0."""

    def __init__(self, volume: Volume, mask: Volume | None = None) -> None:
        super().__init__(volume, np.uint8)
        self._mask = mask

    def _read(self, box: Box) -> Array:
        known_zyx = ~np.isnan(self.volume.read(box))
        if self._mask is not None:
            known_zyx &= self._mask.read(box) != 0
        return known_zyx.view(np.uint8)


class SpreadVolume(DerivedVolume):
    """A volume as bytes: 0 for its least value, 255 (or one less, by v1's rounding down) for its greatest. They are read once."""

    def __init__(self, volume: Volume) -> None:
        super().__init__(volume, np.uint8)
        self._range: tuple[Any, Any] | None = None

    def _read(self, box: Box) -> Array:
        if self._range is None:
            self._range = self._least_and_greatest()
        least, greatest = self._range
        shares = (_exact(self.volume.read(box)) - least) / float(greatest - least + EPSILON)
        return (shares * 255).astype(np.uint8)

    def _least_and_greatest(self) -> tuple[Any, Any]:
        """Over all voxels.

        Raises:
            DataError: A value is NaN or infinite.
        """
        parts = (_exact(self.volume.read(box)) for box in blocks(self.box, _BLOCK))
        ends = [(part.min(), part.max()) for part in parts]
        if not np.isfinite(ends).all():
            raise DataError(f"{self.source}: NaN or infinite gray values. Replace them, for example by the mean.")
        return min(low for low, _ in ends), max(high for _, high in ends)


def _exact(values: Array) -> Array:
    """Floats as they are, other numbers as float64, in which differences do not run over."""
    return values if values.dtype.kind == "f" else values.astype(np.float64)
