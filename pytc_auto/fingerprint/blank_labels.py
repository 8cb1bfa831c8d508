"""Sections along the cutting axis that nobody labelled although something is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.percentiles import Floats
from pytc_auto.fingerprint.sampling import section_box, slabs
from pytc_auto.fingerprint.unlabeled import is_foreground
from pytc_auto.geometry import Box
from pytc_auto.io.volume import Array, Volume

LEAST_TYPICAL = 0.005
"""Blank label sections are looked for only where the median section has this share of foreground."""
LEAST_BESIDE = 0.25
"""The labelled sections on both sides of a blank one have at least this share of the median section's foreground."""
LEAST_SAME = 0.25
"""In that share of the smaller of the two, they show the same label."""
LEAST_BESIDE_END = 0.5
"""The same for the one section beside blank ones at an end of the stack."""
LEAST_PROFILES = 5
"""So many objects do not all end between the same two sections by chance."""
MOST_SIDE = 4096
"""Of larger sections the middle is looked at."""


@dataclass(frozen=True)
class LabelSections:
    """What is known of each section of labels, all (S,).

    Attributes:
        foreground: Share of the voxels that are neither 0 nor unlabeled.
        lowest: Value.
        highest: Value.
    """

    foreground: Floats
    lowest: npt.NDArray[Any]
    highest: npt.NDArray[Any]


def look_at_sections(labels: Volume, boxes: Sequence[Box], axis: int, unlabeled: Sequence[int]) -> LabelSections:
    """Look at every section of labels, in boxes that meet all of them."""
    found, read = np.zeros(labels.shape[axis]), np.zeros(labels.shape[axis])
    lowest, highest = np.zeros((2, labels.shape[axis]), labels.dtype)
    others = tuple(i for i in range(3) if i != axis)
    for box in boxes:
        block = labels.read(box)
        sections = slice(box.start[axis], box.stop[axis])
        low, high, first = block.min(axis=others), block.max(axis=others), read[sections] == 0
        lowest[sections] = np.where(first, low, np.minimum(lowest[sections], low))
        highest[sections] = np.where(first, high, np.maximum(highest[sections], high))
        found[sections] += np.count_nonzero(is_foreground(block, unlabeled), axis=others)
        read[sections] += box.size // box.shape[axis]
    return LabelSections(found / np.maximum(read, 1), lowest, highest)


def blank_label_sections(labels: Volume, axis: int, foreground: Floats, blank_image: npt.NDArray[np.bool_]) -> list[int]:
    """Sections that are zero everywhere although something is there: nobody labelled them.

    The typical section must have foreground, and the next labelled sections on both sides enough of it, in part the same
    objects. At an end of the stack, where there is one side only, that section must hold several objects, or they may just
    have ended.

    Args:
        labels: Of the whole volume.
        axis: The cutting axis.
        foreground: (S,) share of each section where it was looked at.
        blank_image: (S,) sections whose image shows nothing; their labels are blank with reason.
    """
    typical = float(np.median(foreground))
    if typical < LEAST_TYPICAL:
        return []
    empty = np.array([share == 0 and _is_zero(labels, axis, s) for s, share in enumerate(foreground)])
    found: list[int] = []
    for start, stop in _runs(empty):
        beside = [_middle_of(labels, axis, s) for s in (start - 1, stop) if 0 <= s < len(foreground)]
        least = (LEAST_BESIDE if len(beside) == 2 else LEAST_BESIDE_END) * typical
        if any(np.count_nonzero(section) < least * section.size for section in beside):
            continue
        if _continue(*beside) if len(beside) == 2 else _profiles(beside[0]) >= LEAST_PROFILES:
            found += [s for s in range(start, stop) if not blank_image[s]]
    return found


def _runs(chosen: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and stop of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]]))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _middle_of(labels: Volume, axis: int, section: int) -> Array:
    """A section, cut to its middle where it is large."""
    box = section_box(labels.shape, axis, section)
    start = [a + max(0, n - MOST_SIDE) // 2 for a, n in zip(box.start, box.shape, strict=True)]
    return labels.read(box.intersect(Box.of_shape((MOST_SIDE,) * 3, start)))


def _continue(before: Array, after: Array) -> bool:
    """Whether two sections show partly the same labels at the same places."""
    same = int(np.count_nonzero((before == after) & (before != 0)))
    smaller = min(int(np.count_nonzero(before)), int(np.count_nonzero(after)))
    return same >= LEAST_SAME * max(1, smaller)


def _profiles(section: Array) -> int:
    """How many connected regions a section shows."""
    import cc3d
    import fastremap

    ids, _ = fastremap.renumber(section.astype(np.int64))
    _, count = cc3d.connected_components(ids, connectivity=6, return_N=True)
    return int(count)


def _is_zero(labels: Volume, axis: int, section: int) -> bool:
    return not any(labels.read(box).any() for box in slabs(section_box(labels.shape, axis, section)))
