"""Objects pasted elsewhere, where objects are rare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation

from pytc_auto.augment.crop import Crop
from pytc_auto.augment.place import Place
from pytc_auto.geometry import Box, zyx
from pytc_auto.schema.augmentation import CopyPaste

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PasteDraw:
    """One object and where it goes, as shares, because the crop is not known when they are drawn.

    Attributes:
        rank: Which of the objects, 0 to 1.
        place: Where its box starts in the room there is on z, y, x, 0 to 1.
        flips: Axes on which it is mirrored.
    """

    rank: float
    place: tuple[float, float, float]
    flips: tuple[int, ...]


def draw_copy_paste(effect: CopyPaste, _place: Place, rng: np.random.Generator) -> tuple[PasteDraw, ...] | None:
    """Draw up to ``count`` objects; None where the effect does not happen."""
    if rng.random() >= effect.probability:
        return None
    return tuple(
        PasteDraw(rng.random(), (rng.random(), rng.random(), rng.random()), tuple(i for i in range(3) if rng.random() < 0.5))
        for _ in range(int(rng.integers(1, effect.count + 1)))
    )


def apply_copy_paste(crop: Crop, draws: tuple[PasteDraw, ...]) -> Crop:
    """Paste image and label of objects, each with a rim of one voxel of what surrounds it.

    An object that would cover or touch another one, or a voxel that is unlabeled, is left where it is. Labels keep their value,
    as a class must; a pasted instance is a component of its own.
    """
    image, labels = crop.image_zyx.copy(), crop.labels_zyx.copy()
    for draw in draws:
        _paste(image, labels, crop, draw)
    return Crop(image, labels, crop.unlabeled_zyx)


def _paste(image_zyx: npt.NDArray[np.float32], labels_zyx: npt.NDArray[Any], crop: Crop, draw: PasteDraw) -> None:
    """Paste one object, as far as it is labelled, into image and labels, in place."""
    known = ~crop.unlabeled_zyx
    ids = np.unique(crop.labels_zyx[known])
    ids = ids[ids != 0]
    if not ids.size:
        return
    chosen = ids[min(int(draw.rank * ids.size), ids.size - 1)]
    shape = (crop.labels_zyx == chosen) & known
    source = _around(shape)
    start = [round(p * (n - k)) for p, n, k in zip(draw.place, crop.shape, source.shape, strict=True)]
    target = Box.of_shape(source.shape, start).slices
    inside = np.flip(shape[source.slices], draw.flips)
    rim: Mask = binary_dilation(inside, np.ones((3, 3, 3)))
    if (rim & ((labels_zyx[target] != 0) | crop.unlabeled_zyx[target])).any():
        return
    image_zyx[target][rim] = np.flip(crop.image_zyx[source.slices], draw.flips)[rim]
    labels_zyx[target][inside] = chosen


def _around(mask_zyx: Mask) -> Box:
    """The box of a mask with a rim of one voxel, as far as the crop has one."""
    along = [np.flatnonzero(mask_zyx.any(axis=tuple(j for j in range(3) if j != i))) for i in range(3)]
    box = Box(zyx([int(a[0]) for a in along]), zyx([int(a[-1]) + 1 for a in along]))
    return box.grow((1, 1, 1)).intersect(Box.of_shape(zyx(mask_zyx.shape)))
