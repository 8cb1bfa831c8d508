"""Whether the labels lie where the image shows borders, or beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.pictures import Grays, Picture, gray_pictures
from pytc_auto.geometry import ZyxFloat
from pytc_auto.io.volume import Volume

FARTHEST_NM = 250.0
"""Shifts are looked for up to here in the plane,"""
FARTHEST_ACROSS_NM = 60.0
"""and up to here across the sections, but by one section at least"""
MOST_ACROSS = 6
"""and by so many at most."""
LEAST_SIDE = 32
LEAST_BORDERS = 1000
"""Voxels at borders, in all pictures."""
LEAST_LINES = 0.08
"""Correlation from which on borders of labels are said to lie on membranes,"""
LEAST_EDGES = 0.04
"""and the same for edges, which is what the borders of larger things look like."""
LEAST_PEAK = 7.0
"""if they are so many standard deviations over all shifts, too."""
BETTER = 1.3
"""The correlation at the best shift is that of no shift times this at least, and that far from it."""
FAR_NM = 80.0
MEMBRANE_NM = 12.0
AROUND_NM = 60.0


@dataclass(frozen=True)
class Agreement:
    """What labels and image tell of each other.

    Attributes:
        labels_shift_nm: How far the labels lie from where the image shows their borders, (z, y, x); None if they fit, or it
            cannot be told.
        inverted: Whether membranes are bright; None if it cannot be told.
    """

    labels_shift_nm: ZyxFloat | None = None
    inverted: bool | None = None


def compare(image: Volume, pictures: Sequence[Picture], axis: int, voxel_size_nm: ZyxFloat) -> Agreement:
    """Correlate borders of labels with what the image shows, over all whole shifts.

    They are compared with membranes, thin lines that are dark (or, in inverted images, bright); where they do not lie on such,
    with edges.

    Args:
        image: Gray values.
        pictures: Where to look.
        axis: The cutting axis.
        voxel_size_nm: (z, y, x).
    """
    if sum(float(p.borders.sum()) for p in pictures) < LEAST_BORDERS:
        return Agreement()
    if min(n for p in pictures for n in p.borders.shape) < LEAST_SIDE:
        return Agreement()
    plane = [i for i in range(3) if i != axis]
    plane_nm = [voxel_size_nm[i] for i in plane]
    lines = _likeness(image, pictures, axis, voxel_size_nm, dark_lines)
    inverted = None
    if np.abs(lines).max() >= max(LEAST_LINES, LEAST_PEAK * lines.std()):
        inverted = bool(-lines.min() > lines.max())
        step = _clear_peak(-lines if inverted else lines, plane_nm)
    else:
        edges = _likeness(image, pictures, axis, voxel_size_nm, edge_strength)
        step = _clear_peak(edges, plane_nm) if edges.max() >= max(LEAST_EDGES, LEAST_PEAK * edges.std()) else None
    if step is None:
        return Agreement(None, inverted)
    shift = [0.0, 0.0, 0.0]
    for i, voxels in zip((axis, *plane), step, strict=True):
        shift[i] = -voxels * voxel_size_nm[i] + 0.0
    return Agreement((shift[0], shift[1], shift[2]), inverted)


def dark_lines(gray: Grays, plane_nm: Sequence[float]) -> Grays:
    """High at thin dark lines, low at thin bright ones."""
    from scipy import ndimage

    around = ndimage.gaussian_filter(gray, [AROUND_NM / n for n in plane_nm])
    return np.asarray(around - ndimage.gaussian_filter(gray, _fine(plane_nm)), np.float32)


def edge_strength(gray: Grays, plane_nm: Sequence[float]) -> Grays:
    """High where gray values change."""
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_gradient_magnitude(gray, _fine(plane_nm)), np.float32)


def _fine(plane_nm: Sequence[float]) -> list[float]:
    return [min(MEMBRANE_NM / n, 3.0) for n in plane_nm]


def _likeness(
    image: Volume,
    pictures: Sequence[Picture],
    axis: int,
    voxel_size_nm: ZyxFloat,
    feature: Callable[[Grays, Sequence[float]], Grays],
) -> npt.NDArray[np.float64]:
    """Correlation of borders and a feature of the image over all pictures, (2 D + 1, A, B) shifts, none in the middle."""
    from scipy import fft

    plane_nm = [s for i, s in enumerate(voxel_size_nm) if i != axis]
    across = min(MOST_ACROSS, max(1, round(FARTHEST_ACROSS_NM / voxel_size_nm[axis])), (image.shape[axis] - 1) // 2)
    smallest = np.min([p.borders.shape for p in pictures], axis=0)
    reach = [min(int(FARTHEST_NM / n), int(s) // 3) for n, s in zip(plane_nm, smallest, strict=True)]
    found = np.zeros((2 * across + 1, 2 * reach[0] + 1, 2 * reach[1] + 1))
    squares = np.zeros(2 * across + 1)
    border_squares = 0.0
    for picture in pictures:
        borders = picture.borders - picture.borders.mean()
        spectrum = np.conj(fft.rfft2(borders))
        border_squares += float(np.square(borders).sum())
        steps = range(-across, across + 1)
        sections = [min(max(picture.section + step, 0), image.shape[axis] - 1) for step in steps]
        for i, gray in enumerate(gray_pictures(image, picture.window, axis, sections)):
            shown = _clipped(feature(gray, plane_nm))
            surface = fft.irfft2(spectrum * fft.rfft2(shown), s=shown.shape)
            found[i] += np.roll(surface, reach, axis=(0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
            squares[i] += float(np.square(shown).sum())
    return np.asarray(found / np.sqrt(np.maximum(squares * border_squares, 1e-12))[:, None, None], np.float64)


def _clipped(shown: Grays) -> Grays:
    """Without outliers, the mean is 0."""
    low, high = np.percentile(shown, (1, 99))
    clipped = np.clip(shown, low, high)
    return np.asarray(clipped - clipped.mean(), np.float32)


def _clear_peak(likeness: npt.NDArray[np.float64], plane_nm: Sequence[float]) -> tuple[int, ...] | None:
    """The shift at which labels and image are clearly more alike than at none and than far from it, in voxels."""
    middle = tuple(n // 2 for n in likeness.shape)
    place = tuple(int(i) for i in np.unravel_index(likeness.argmax(), likeness.shape))
    step = tuple(p - m for p, m in zip(place, middle, strict=True))
    at_edge = any(abs(s) == m for s, m in zip(step[1:], middle[1:], strict=True))
    if at_edge or (step[0] == 0 and max(abs(step[1]), abs(step[2])) <= 1):
        return None
    y, x = np.ogrid[: likeness.shape[1], : likeness.shape[2]]
    far = np.hypot((y - place[1]) * plane_nm[0], (x - place[2]) * plane_nm[1]) > FAR_NM
    elsewhere = float(likeness[:, far].max()) if far.any() else 0.0
    return step if likeness[place] >= BETTER * max(float(likeness[middle]), elsewhere, 0.0) else None
