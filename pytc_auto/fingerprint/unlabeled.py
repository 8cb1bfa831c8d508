"""Where nobody looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx
from pytc_auto.io.volume import Array


@dataclass(frozen=True)
class Unlabeled:
    """Where nobody looked: label values, and sections of the labels along an axis."""

    values: Sequence[int]
    axis: int
    sections: Sequence[int]

    def labelled(self, block: Array, box: Box) -> npt.NDArray[np.bool_]:
        """Where the labels of a box mean something, (Z, Y, X)."""
        known = np.ones(block.shape, bool)
        for value in self.values:
            known &= block != value
        inside = [s - box.start[self.axis] for s in self.sections if box.start[self.axis] <= s < box.stop[self.axis]]
        np.moveaxis(known, self.axis, 0)[inside] = False
        return known

    def coarser(self, factor: Zyx) -> Unlabeled:
        """The same on a grid that is coarser by whole factors."""
        return Unlabeled(self.values, self.axis, sorted({s // factor[self.axis] for s in self.sections}))


def is_foreground(block: Array, unlabeled: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Where labels are neither 0 nor an unlabeled value."""
    foreground = block != 0
    for value in unlabeled:
        foreground &= block != value
    return foreground


def whole_numbers(block: Array, source: str) -> Array:
    """Labels as integers.

    Raises:
        DataError: One is not a whole number.
    """
    if block.dtype == np.bool_:
        return block.view(np.uint8)
    if block.dtype.kind in "iu":
        return block
    whole = block.astype(np.int64)
    if not np.array_equal(whole, block):
        raise DataError(f"{source}: labels must be whole numbers, found {block[whole != block][0]}. Export them as integers.")
    return whole
