"""A volume on a coarser grid, and labels brought back to the finer one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx
from pytc_auto.io.volume import Array, Volume

Kind = Literal["image", "labels"]


class ScaledVolume(Volume):
    """A volume seen on a grid that is coarser by whole factors. See ``at_scale``."""

    def __init__(self, volume: Volume, factor: Zyx, kind: Kind) -> None:
        self.volume = volume
        self.factor = factor
        self.kind = kind
        self.source = volume.source
        self.dtype = volume.dtype
        self.shape = coarse_shape(volume.shape, factor)
        self.voxel_size_nm = volume.voxel_size_nm and coarse_voxel_size(volume.voxel_size_nm, factor)
        self.offset_nm = volume.offset_nm
        self.random_access = volume.random_access

    def _read(self, box: Box) -> Array:
        if not box.size:
            return np.empty(box.shape, self.dtype)
        return coarsen(self.volume.read(fine_box(box, self.factor, self.volume.shape)), self.factor, kind=self.kind)


def at_scale(volume: Volume, factor: Zyx, *, kind: Kind) -> Volume:
    """A lazy volume on a coarser grid.

    Args:
        volume: What to coarsen.
        factor: Voxels per coarse voxel on each axis, at least 1.
        kind: See ``coarsen``.

    Returns:
        The volume itself for a factor of 1 on all axes. Otherwise the shape is the extent over the factor, rounded up, so
        that nothing is lost: past its end a volume is continued by its last voxel. The stored dtype is kept.
    """
    return volume if factor == (1, 1, 1) else ScaledVolume(volume, factor, kind)


def coarsen(array_zyx: Array, factor: Zyx, *, kind: Kind) -> Array:
    """An array on a coarser grid.

    Args:
        array_zyx: (Z, Y, X), from the first voxel of a coarse voxel on; the last coarse voxel may be incomplete.
        factor: Voxels per coarse voxel on each axis.
        kind: A coarse voxel of an image is the mean of its voxels, rounded if the dtype is of integers; a coarse voxel of
            labels has the label of the voxel nearest its center, the lower one where two are equally near.

    Returns:
        Shape over factor, rounded up, in the same dtype.
    """
    shape = coarse_shape(array_zyx.shape, factor)
    if kind == "labels":
        nearest = [
            np.minimum(np.arange(n) * f + (f - 1) // 2, e - 1) for n, f, e in zip(shape, factor, array_zyx.shape, strict=True)
        ]
        return array_zyx[np.ix_(*nearest)]
    missing = [(0, n * f - e) for n, f, e in zip(shape, factor, array_zyx.shape, strict=True)]
    padded = np.pad(array_zyx, missing, mode="edge") if any(after for _, after in missing) else array_zyx
    split = padded.reshape(shape[0], factor[0], shape[1], factor[1], shape[2], factor[2])
    mean = split.mean(axis=(1, 3, 5), dtype=np.float64)
    return (mean if array_zyx.dtype.kind == "f" else np.rint(mean)).astype(array_zyx.dtype)


def upsample_labels(labels_zyx: Array, factor: Zyx, shape: Zyx) -> Array:
    """Labels on a finer grid: each coarse voxel is repeated.

    Args:
        labels_zyx: (Z, Y, X) on the coarse grid.
        factor: Voxels per coarse voxel on each axis.
        shape: Extent of the fine grid; what reaches past it is cut off.

    Returns:
        (Z, Y, X) of ``shape``, in the same dtype.

    Raises:
        ValueError: The coarse grid does not cover the fine one.
    """
    if coarse_shape(shape, factor) != labels_zyx.shape:
        raise ValueError(f"labels of shape {labels_zyx.shape} times {factor} do not cover {shape}")
    return labels_zyx[np.ix_(*(np.arange(n) // f for n, f in zip(shape, factor, strict=True)))]


def coarse_shape(shape: tuple[int, ...], factor: Zyx) -> Zyx:
    """Extent over factor, rounded up."""
    z, y, x = (-(-n // f) for n, f in zip(shape, factor, strict=True))
    return z, y, x


def coarse_voxel_size(voxel_size_nm: ZyxFloat, factor: Zyx) -> ZyxFloat:
    """Voxel size of the coarser grid."""
    z, y, x = (s * f for s, f in zip(voxel_size_nm, factor, strict=True))
    return z, y, x


def fine_box(box: Box, factor: Zyx, shape: Zyx) -> Box:
    """The voxels of a fine volume of ``shape`` that a box of the coarser grid is made from."""
    start = [a * f for a, f in zip(box.start, factor, strict=True)]
    stop = [min(b * f, n) for b, f, n in zip(box.stop, factor, shape, strict=True)]
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def coarse_box(box: Box, factor: Zyx) -> Box:
    """The voxels of a coarser grid that a box of the fine one meets."""
    return Box(zyx([a // f for a, f in zip(box.start, factor, strict=True)]), coarse_shape(box.stop, factor))
