"""Planes through a volume, as pictures of their true proportions."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.measurement import Slice
from pytc_auto.geometry import AXES, ZyxFloat
from pytc_auto.report.pictures import Array, overlay

QUALITY = 88
BAR_SHARE = 0.3
"""A scale bar is at most so long, of the picture's width."""
ROUND = (1, 2, 5)


@dataclass(frozen=True)
class Picture:
    """A plane for the page.

    Attributes:
        caption: Which plane it is.
        gray: Data URI.
        labelled: Data URI of the plane with labels in color; None if there are none.
        proportion: Physical width over height.
        bar_percent: Length of the scale bar, of the width.
        bar: What it is in words.
    """

    caption: str
    gray: str
    labelled: str | None
    proportion: float
    bar_percent: float
    bar: str


def pictures(slices: Sequence[Slice], voxel_size_nm: ZyxFloat, window: tuple[float, float] | None) -> list[Picture]:
    """The planes that are wider than a voxel on both axes.

    Args:
        slices: Across each axis.
        voxel_size_nm: (z, y, x).
        window: Gray values shown black and white; those of the plane if None.
    """
    return [_picture(s, voxel_size_nm, window) for s in slices if min(s.image.shape) > 1]


def _picture(plane: Slice, voxel_size_nm: ZyxFloat, window: tuple[float, float] | None) -> Picture:
    down, across = (i for i in range(3) if i != plane.axis)
    height, width = plane.image.shape[0] * voxel_size_nm[down], plane.image.shape[1] * voxel_size_nm[across]
    bar = scale_bar(width)
    gray = _gray(plane.image, window)
    labels = plane.labels if plane.labels is not None and plane.labels.any() else None
    caption = f"{AXES[down]}{AXES[across]} at {AXES[plane.axis]} {plane.box.start[plane.axis]}"
    return Picture(
        caption=caption,
        gray=_jpeg(gray),
        labelled=_jpeg(overlay(gray, labels)) if labels is not None else None,
        proportion=width / height,
        bar_percent=100 * bar / width,
        bar=f"{bar / 1000:g} µm" if bar >= 1000 else f"{bar:g} nm",
    )


def scale_bar(width_nm: float) -> float:
    """The longest round length that takes at most 30 % of a width.

    >>> scale_bar(2500.0), scale_bar(700.0)
    (500.0, 200.0)
    """
    most = BAR_SHARE * width_nm
    power = 10.0 ** np.floor(np.log10(most))
    return float(power * max(n for n in ROUND if n * power <= most * (1 + 1e-9)))


def _gray(image: Array, window: tuple[float, float] | None) -> npt.NDArray[np.uint8]:
    finite = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = window or (float(finite.min()), float(finite.max()))
    return (255 * np.clip((finite - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)


def _jpeg(picture: npt.NDArray[np.uint8]) -> str:
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
