"""Whether membranes are dark, as usual, or bright, told without labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytc_auto.fingerprint.pictures import Grays, gray_of, middle_box
from pytc_auto.io.volume import Volume

MEMBRANE_NM = 40.0
"""Wider than a membrane looks in an image."""
LEAST_RATIO = 1.1
MOST_SECTIONS = 8
SIDE = 512
LEAST_SIDE = 64


def inverted_by_structure(image: Volume, axis: int, plane_nm: Sequence[float], sections: Sequence[int]) -> bool | None:
    """Whether thin bright lines stand out more than thin dark ones; None unless all sections agree, and clearly.

    Compared are the white and the black top hat, what an opening or a closing wider than a membrane takes away, of smoothed
    sections.

    Args:
        image: Gray values.
        axis: The cutting axis.
        plane_nm: Voxel size in the plane.
        sections: That show something.

    Source:
        Serra 1982, Image Analysis and Mathematical Morphology.
    """
    from scipy import ndimage

    size = [2 * max(1, round(MEMBRANE_NM / n / 2)) + 1 for n in plane_nm]
    sigma = [min(8.0 / n, 2.0) for n in plane_nm]
    ratios = []
    for i in np.unique(np.linspace(0, len(sections) - 1, min(MOST_SECTIONS, len(sections))).astype(int)):
        gray = _part(gray_of(np.take(image.read(middle_box(image.shape, axis, sections[i])), 0, axis)))
        if min(gray.shape) < LEAST_SIDE:
            return None
        smooth = ndimage.gaussian_filter(gray, sigma)
        low, high = np.percentile(smooth, (1, 99))
        smooth = np.clip(smooth, low, high)
        bright = float((smooth - ndimage.grey_opening(smooth, size)).mean())
        dark = float((ndimage.grey_closing(smooth, size) - smooth).mean())
        ratios.append(np.log(max(bright, 1e-9) / max(dark, 1e-9)))
    if len({r > 0 for r in ratios}) != 1 or abs(np.median(ratios)) < np.log(LEAST_RATIO):
        return None
    return bool(ratios[0] > 0)


def _part(gray: Grays) -> Grays:
    """The middle of a picture."""
    a, b = (max(0, n - SIDE) // 2 for n in gray.shape)
    return gray[a : a + SIDE, b : b + SIDE]
