"""Where a segmentation lies in labels that do not tell where they begin."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

from pytc_auto.geometry import Zyx, zyx
from pytc_auto.io.grid import nm
from pytc_auto.io.open import locate
from pytc_auto.io.volume import Volume
from pytc_auto.io.zarr_metadata import read_node

APART = 0.05
"""Voxels by which two places may differ and count as one."""


def placed_in(segmentation: Volume, labels: Volume, say: Callable[[str], None]) -> Volume:
    """A segmentation of another shape than the labels, as it is to be compared with them.

    Labels that tell no offset are those of an image, as in a data set: they begin where the image does, wherever that lies. Of
    which box of its image a segmentation is, ``pytc predict`` has written down. Of another segmentation only its offset is known,
    which is then one from the labels' first voxel.

    Args:
        segmentation: Told as it was opened.
        labels: The truth.
        say: Told what was assumed, where it changes what is compared.

    Returns:
        The segmentation, its offset perhaps counted from the labels' first voxel.
    """
    size, told = segmentation.voxel_size_nm, segmentation.offset_nm
    if labels.offset_nm is not None or told is None or size is None or segmentation.shape == labels.shape:
        return segmentation
    start = _start_in_image(segmentation)
    if start is None:
        if any(told):
            say(
                f"{labels.source} tells no offset; it is taken to begin at 0, and {segmentation.source} at {nm(told)}. "
                "If both begin elsewhere, store the offset of the labels, too."
            )
        return segmentation
    placed = copy.copy(segmentation)
    z, y, x = (a * s for a, s in zip(start, size, strict=True))
    placed.offset_nm = (z, y, x)
    if any(abs(a - b) > APART * s for a, b, s in zip(told, placed.offset_nm, size, strict=True)):
        say(
            f"{labels.source} tells no offset; it is taken to begin where the image does from which {segmentation.source} was "
            f"made: voxel {list(start)} of it (z, y, x) is the segmentation's first."
        )
    return placed


def _start_in_image(segmentation: Volume) -> Zyx | None:
    """The voxel of its image at which an output of ``pytc predict`` begins; None for another segmentation."""
    place, key = locate(segmentation.source)
    if not isinstance(place, Path) or not place.is_dir():
        return None
    told = read_node(place / key if key else place).attributes.get("pytc")
    box = told.get("box") if isinstance(told, dict) else None
    start = box.get("start") if isinstance(box, dict) else None
    if not isinstance(start, list) or len(start) != 3 or not all(isinstance(a, int) for a in start):
        return None
    return zyx(start)
