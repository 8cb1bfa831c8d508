"""Pictures of a few sections of an image, with the borders that the labels draw in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.unlabeled import Unlabeled, whole_numbers
from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.io.volume import Array, Volume

MOST_PICTURES = 8
SIDE = 512
LOOKED_AT = 2048
"""The part of a large section in which a window is chosen."""

Grays = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Picture:
    """A window of a section.

    Attributes:
        section: Number of the section in the image.
        window: One section thick, in the image.
        borders: (A, B) float32, 1 beside another label, 0 elsewhere.
    """

    section: int
    window: Box
    borders: Grays


def pictures_of(labels: Volume, start: Zyx, unlabeled: Unlabeled, *, margin: int = 0) -> list[Picture]:
    """Windows with many borders, in sections spread over the labels.

    Args:
        labels: Whole numbers.
        start: Where they begin in the image.
        unlabeled: Where nobody looked.
        margin: Sections that are left out at either end, where there are enough.
    """
    axis = unlabeled.axis
    sections = [s for s in range(labels.shape[axis]) if s not in set(unlabeled.sections)]
    inner = sections[margin : len(sections) - margin] or sections
    chosen = [inner[i] for i in np.unique(np.linspace(0, len(inner) - 1, MOST_PICTURES).astype(int))] if inner else []
    found = []
    for section in chosen:
        box = middle_box(labels.shape, axis, section)
        block = whole_numbers(labels.read(box), labels.source)
        borders = _borders(np.take(block, 0, axis), np.take(unlabeled.labelled(block, box), 0, axis))
        a, b = _busiest(borders)
        picture = borders[a : a + SIDE, b : b + SIDE]
        if picture.any():
            window = _window(box, axis, (a, b), picture.shape).shift(start)
            found.append(Picture(section + start[axis], window, picture))
    return found


def gray_pictures(image: Volume, window: Box, axis: int, sections: Sequence[int]) -> list[Grays]:
    """A window of other sections of the image, (A, B) each; what is not finite is the mean.

    Neighbors share chunks, so they are read together.
    """
    first, last = min(sections), max(sections)
    start, stop = list(window.start), list(window.stop)
    start[axis], stop[axis] = first, last + 1
    block = image.read(Box(zyx(start), zyx(stop)))
    return [gray_of(np.take(block, section - first, axis)) for section in sections]


def gray_of(section: Array) -> Grays:
    """A section as floats without gaps."""
    gray = section.astype(np.float32)
    finite = np.isfinite(gray)
    if not finite.all():
        gray[~finite] = gray[finite].mean() if finite.any() else 0
    return gray


def middle_box(shape: Sequence[int], axis: int, section: int) -> Box:
    """The middle of a section, whole where it is small."""
    side = [1 if i == axis else min(n, LOOKED_AT) for i, n in enumerate(shape)]
    start = [section if i == axis else (n - s) // 2 for i, (n, s) in enumerate(zip(shape, side, strict=True))]
    return Box.of_shape(side, start)


def _borders(section: Array, known: npt.NDArray[np.bool_]) -> Grays:
    """Voxels beside another label, on both sides of the border; unlabeled voxels have no border."""
    found = np.zeros(section.shape, np.float32)
    for axis in range(2):
        ids, labelled, borders = (np.moveaxis(a, axis, 0) for a in (section, known, found))
        differ = (ids[1:] != ids[:-1]) & labelled[1:] & labelled[:-1]
        borders[1:][differ] = 1
        borders[:-1][differ] = 1
    return found


def _busiest(borders: Grays) -> tuple[int, int]:
    """Where the window with most borders starts."""
    starts = [sorted({min(i, max(0, n - SIDE)) for i in range(0, n, SIDE)}) for n in borders.shape]
    places = [(a, b) for a in starts[0] for b in starts[1]]
    return max(places, key=lambda p: float(borders[p[0] : p[0] + SIDE, p[1] : p[1] + SIDE].sum()))


def _window(box: Box, axis: int, corner: tuple[int, int], shape: Sequence[int]) -> Box:
    """A part of a section as a box."""
    start, side = list(box.start), [1, 1, 1]
    for across, place, length in zip((i for i in range(3) if i != axis), corner, shape, strict=True):
        start[across] += place
        side[across] = length
    return Box.of_shape(side, zyx(start))
