"""A volume on a coarser grid, and labels brought back to the fine one."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.io.volume import Array, Volume


class CoarseVolume(Volume):
    """Every voxel stands for a block of the finer volume; the last block on an axis may be smaller."""

    def __init__(self, fine: Volume, factor: Zyx, kind: Literal["image", "labels"]) -> None:
        self.fine = fine
        self.factor = factor
        self.kind = kind
        self.source = fine.source
        self.shape = zyx([-(-n // f) for n, f in zip(fine.shape, factor, strict=True)])
        self.dtype = fine.dtype
        size = fine.voxel_size_nm
        self.voxel_size_nm = (size[0] * factor[0], size[1] * factor[1], size[2] * factor[2]) if size else None

    def _read(self, box: Box) -> Array:
        start = zyx([a * f for a, f in zip(box.start, self.factor, strict=True)])
        stop = zyx([b * f for b, f in zip(box.stop, self.factor, strict=True)])
        inside = Box(start, stop).intersect(self.fine.box)
        values = self.fine.read(inside)
        missing = [(0, n - m) for n, m in zip(Box(start, stop).shape, inside.shape, strict=True)]
        return _reduced(np.pad(values, missing, mode="edge"), self.factor, self.kind)


def at_scale(volume: Volume, factor: Zyx, *, kind: Literal["image", "labels"]) -> Volume:
    """The volume on a grid coarser by ``factor``; itself where the factor is 1.

    Images are averaged; a label is that of the voxel just before the block's middle.
    """
    return volume if factor == (1, 1, 1) else CoarseVolume(volume, factor, kind)


def _reduced(values_zyx: Array, factor: Zyx, kind: str) -> Array:
    if kind == "labels":
        return values_zyx[tuple(slice((f - 1) // 2, None, f) for f in factor)]
    split = [n for e, f in zip(values_zyx.shape, factor, strict=True) for n in (e // f, f)]
    mean = values_zyx.reshape(split).mean((1, 3, 5), dtype=np.float64)
    if np.issubdtype(values_zyx.dtype, np.integer):
        mean = np.rint(mean)
    return mean.astype(values_zyx.dtype)


def upsample_labels(labels_zyx: npt.NDArray[Any], factor: Zyx, shape: Zyx) -> npt.NDArray[Any]:
    """Nearest labels on the grid finer by ``factor``, cropped to ``shape``."""
    for axis, times in enumerate(factor):
        if times > 1:
            labels_zyx = np.repeat(labels_zyx, times, axis)
    return np.ascontiguousarray(labels_zyx[tuple(slice(n) for n in shape)])
