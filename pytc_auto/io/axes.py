"""Which axis of a stored array is z, y, x or the channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx
from pytc_auto.io.volume import Array, Volume, volume_shape

MOST_CHANNELS = 8
"""An axis without a name holds channels only if it has no more than these."""

QUICK_BYTES = 2**26
"""A chunk of more than this is too much to decode for the sake of a box."""

_MOST_CHUNK_BYTES = 2**33
_SPACE = "zyx"
_NAMES = {"z": "z", "y": "y", "x": "x", "c": "c", "channel": "c", "channels": "c"}


@dataclass(frozen=True)
class Axes:
    """The axes of a stored array, and which of its channels is meant.

    Attributes:
        letters: z, y, x or c (channels) for each axis; a dot for one that is passed over, of extent 1.
        extents: Of each axis.
        channel: From 0.
        named: Whether the file itself tells the order.
    """

    letters: str
    extents: tuple[int, ...]
    channel: int = 0
    named: bool = False

    @property
    def shape(self) -> Zyx:
        """(Z, Y, X); an image has one section."""
        return self.spread(self.extents, 1)

    @property
    def channels(self) -> int:
        """How many there are."""
        return math.prod(n for a, n in zip(self.letters, self.extents, strict=True) if a == "c")

    def spread(self, values: Sequence[int], absent: int) -> Zyx:
        """Values of all stored axes as z, y, x."""
        by_letter = dict(zip(self.letters, values, strict=True))
        return zyx([by_letter.get(a, absent) for a in _SPACE])

    def in_space(self, values: ZyxFloat | None) -> ZyxFloat | None:
        """Values that stand in the order in which the axes in space are stored, as z, y, x."""
        stored = [a for a in self.letters if a in _SPACE]
        if values is None or len(stored) != 3:
            return values
        return values[stored.index("z")], values[stored.index("y")], values[stored.index("x")]

    def index(self, box: Box) -> tuple[int | slice, ...]:
        """What to take of the stored array for a box."""
        where: dict[str, int | slice] = {**dict(zip(_SPACE, box.slices, strict=True)), "c": self.channel}
        return tuple(where.get(a, 0) for a in self.letters)

    def arranged(self, block: Array, shape: Zyx) -> Array:
        """What was taken, as (Z, Y, X) of a box's shape."""
        stored = [a for a in self.letters if a in _SPACE]
        return block.transpose([stored.index(a) for a in _SPACE if a in stored]).reshape(shape)


def find_axes(extents: Sequence[int], names: Sequence[str] | None, channel: int | None, source: str, *, advice: str = "") -> Axes:
    """The axes of a stored array.

    Args:
        extents: Its shape.
        names: Of its axes, where the file tells them; they count if y and x are among them. Without names, they
            are z, y, x; of four, the shorter of the first and the last holds the channels, if these are no more than 8.
        channel: The one that is meant, from 0; must be given where there are several.
        source: For messages.
        advice: What else can be done where several channels were not meant.

    Raises:
        DataError: It is not a volume with channels; no channel was chosen, or one that is not there.
    """
    shape = tuple(int(n) for n in extents)
    letters = named_letters(names, len(shape))
    axes = Axes(letters or _guessed(shape, source), shape, channel or 0, letters is not None)
    others = [n for a, n in zip(axes.letters, shape, strict=True) if a == "." and n > 1]
    if others:
        raise DataError(f"{source}: has an axis of extent {others[0]} beside z, y, x and channels. Store one time point.")
    volume_shape(axes.shape, source)
    if channel is None and axes.channels > 1:
        raise DataError(
            f"{source}: has {axes.channels} channels, a volume has one. Choose one, counted from 0, as channel: 0 in "
            f"dataset.yaml. {advice}".strip()
        )
    if channel is not None and channel >= axes.channels:
        raise DataError(f"{source}: has no channel {channel}: there are {axes.channels}, counted from 0. Mend channel.")
    return axes


def named_letters(names: Sequence[str] | None, count: int) -> str | None:
    """Letters for the names of ``count`` axes; None if the names do not tell where y and x are."""
    letters = "".join(_NAMES.get(str(name).lower(), ".") for name in names or ())
    once = all(letters.count(a) <= 1 for a in "zc") and letters.count("y") == letters.count("x") == 1
    return letters if len(letters) == count and once else None


def describe(volume: Volume, axes: Axes, chunks: Sequence[int] | None) -> None:
    """Write into a volume what its axes and its chunks tell. Its source and dtype are set.

    Args:
        volume: Of the array.
        axes: Of the array.
        chunks: Extents of its chunks in stored order, None where it lies in one piece that can be read in part.

    Raises:
        DataError: A chunk is too large to be read.
    """
    volume.shape, volume.axes_named = axes.shape, axes.named
    volume.channels, volume.channel = axes.channels, axes.channel
    if chunks is None:
        return
    volume.chunks = axes.spread([int(n) for n in chunks], 1)
    chunk_bytes = piece_bytes(chunks, volume.dtype, volume.source)
    volume.random_access = chunk_bytes <= QUICK_BYTES


def piece_bytes(shape: Sequence[int], dtype: np.dtype[Any], source: str) -> int:
    """Bytes of what must be decoded at once.

    Raises:
        DataError: They are more than any memory should be asked for.
    """
    wanted = math.prod(int(n) for n in shape) * dtype.itemsize
    if not 0 < wanted <= _MOST_CHUNK_BYTES:
        raise DataError(
            f"{source}: announces pieces of {wanted / 2**30:.3g} GiB that can only be read whole. "
            "If it is not damaged, store it in chunks of about 64 x 64 x 64 voxels."
        )
    return wanted


def _guessed(extents: tuple[int, ...], source: str) -> str:
    """Letters for axes without names; see ``find_axes``."""
    first, last = 0, len(extents)
    while last - first > 3 and 1 in (extents[first], extents[last - 1]):
        first, last = (first + 1, last) if extents[first] == 1 else (first, last - 1)
    kept = extents[first:last]
    if len(kept) == 4 and min(kept[0], kept[-1]) <= MOST_CHANNELS:
        letters = "czyx" if kept[0] < kept[-1] else "zyxc"
    else:
        volume_shape(kept, source)
        letters = _SPACE[-len(kept) :]
    return "." * first + letters + "." * (len(extents) - last)
