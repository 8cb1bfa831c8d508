"""The stored pyramid of a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytc_auto.errors import DataError
from pytc_auto.geometry import ZyxFloat
from pytc_auto.io.volume import Volume


@dataclass(frozen=True)
class Level:
    """One level of a pyramid.

    Attributes:
        key: Where its array lies inside the image.
        voxel_size_nm: (z, y, x), None where it is not told.
        offset_nm: (z, y, x) of the first voxel, None where it is not told.
    """

    key: str
    voxel_size_nm: ZyxFloat | None = None
    offset_nm: ZyxFloat | None = None


def chosen(levels: Sequence[Level], number: int, source: str) -> Level:
    """A level by its number, 0 for the finest.

    Raises:
        DataError: There is no such level.
    """
    if not 0 <= number < len(levels):
        raise DataError(f"{source}: has no level {number}; it has {len(levels)}, counted from 0, the finest.")
    return levels[number]


def note_levels(volume: Volume, levels: Sequence[Level], number: int) -> None:
    """Write into a volume what its pyramid tells."""
    volume.voxel_size_nm = levels[number].voxel_size_nm
    volume.offset_nm = levels[number].offset_nm
    sizes = [level.voxel_size_nm for level in levels if level.voxel_size_nm is not None]
    volume.levels_nm = tuple(sizes) if len(sizes) == len(levels) else ()
