"""OME-TIFF: one page per section, in compressed tiles, with the voxel size. Beyond 4 GB it is a BigTIFF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from pytc_auto.io.export.streams import holding, strips
from pytc_auto.io.volume import Array, Volume
from pytc_auto.progress import Progress, silent

DTYPES = ("uint8", "uint16", "uint32")
"""All unsigned ones that OME-TIFF knows. Fiji shows uint32 as float, whose whole numbers end at 2**24."""

TILE = 256
_BIG = 2**31
"""Bytes from which on offsets are of 8 bytes; compressed tiles may be larger than what they hold."""


def write_tiff(volume: Volume, path: Path, *, progress: Progress = silent) -> None:
    """Write labels as an OME-TIFF of the smallest dtype that holds them.

    Raises:
        OutputError: There are labels beyond 2**32 - 1.
        DataError: The volume is damaged.
    """
    dtype = holding(volume, DTYPES, path, progress=progress)
    tifffile.imwrite(
        path,
        _tiles(volume, dtype, progress),
        shape=volume.shape,
        dtype=dtype,
        tile=(TILE, TILE),
        compression="zlib",
        photometric="minisblack",
        bigtiff=volume.box.size * dtype.itemsize > _BIG,
        ome=True,
        metadata={"axes": "ZYX", **_physical_sizes(volume)},
    )


def _tiles(volume: Volume, dtype: np.dtype[Any], progress: Progress) -> Iterator[Array]:
    """Tiles in the order of the file; those at the far edges may be smaller."""
    for strip in strips(volume, TILE, what="writing tif", progress=progress):
        labels = strip.astype(dtype)
        yield from (labels[:, start : start + TILE] for start in range(0, labels.shape[1], TILE))


def _physical_sizes(volume: Volume) -> dict[str, float | str]:
    """Voxel size as OME has it, in nanometers."""
    if volume.voxel_size_nm is None:
        return {}
    sizes: dict[str, float | str] = {f"PhysicalSize{axis}": s for axis, s in zip("ZYX", volume.voxel_size_nm, strict=True)}
    return sizes | {f"PhysicalSize{axis}Unit": "nm" for axis in "ZYX"}
