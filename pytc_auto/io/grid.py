"""The grid that an image and its labels have in common."""

from __future__ import annotations

from dataclasses import dataclass

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx
from pytc_auto.io.scale import coarse_shape
from pytc_auto.io.volume import Volume

SAME_SHARE = 0.05
"""Voxel sizes that differ by no more than this share count as equal; so far may a factor or an offset be from a whole number."""


@dataclass(frozen=True)
class Grid:
    """How image and labels come to one grid, that of the coarser of the two on each axis.

    Attributes:
        voxel_size_nm: Of the common grid.
        image_scale: Voxels of the image per voxel of the common grid.
        labels_scale: The same for the labels.
        labels_start: Where the labels begin in the image, in voxels of the common grid.
    """

    voxel_size_nm: ZyxFloat
    image_scale: Zyx = (1, 1, 1)
    labels_scale: Zyx = (1, 1, 1)
    labels_start: Zyx = (0, 0, 0)


def common_grid(image: Volume, labels: Volume, voxel_size_nm: ZyxFloat, *, stored: bool) -> Grid:
    """Find the grid of an image and its labels.

    Args:
        image: Gray values.
        labels: Where both tell an offset, or the labels alone (the image's is zero then), they may cover a part of the image.
        voxel_size_nm: Of both, where not both files tell one.
        stored: Whether the voxel sizes that the files tell count.

    Raises:
        DataError: Voxel sizes, shapes or offsets do not fit; both values are told.
    """
    scales = _scales(image, labels) if stored else ((1, 1, 1), (1, 1, 1))
    size = voxel_size_nm
    if stored and image.voxel_size_nm and labels.voxel_size_nm:
        coarser = [b if k > 1 else a for a, b, k in zip(image.voxel_size_nm, labels.voxel_size_nm, scales[0], strict=True)]
        size = coarser[0], coarser[1], coarser[2]
    return Grid(size, *scales, _start(image, labels, size, scales))


def alike(one: ZyxFloat, other: ZyxFloat) -> bool:
    """Whether two voxel sizes count as equal."""
    return all(abs(a - b) <= SAME_SHARE * min(a, b) for a, b in zip(one, other, strict=True))


def nm(lengths: ZyxFloat) -> str:
    """Lengths for messages."""
    return " x ".join(f"{s:g}" for s in lengths) + " nm (z, y, x)"


def shape_fault(image: Volume, labels: Volume) -> str:
    """What is said of labels that do not cover the image and tell no offset."""
    fewer = labels.shape[0] < image.shape[0] and labels.shape[1:] == image.shape[1:]
    blank = " For sections without labels put blank ones (all 0): such a section counts as unlabeled." if fewer else ""
    return (
        f"{labels.source}: the labels have shape {labels.shape}, but the image {image.source} has {image.shape} (z, y, x). "
        "Give labels of the same voxels; if they cover a part of the image, store where it begins as the attribute offset."
        + blank
    )


def _scales(image: Volume, labels: Volume) -> tuple[Zyx, Zyx]:
    """Whole factors by which image and labels are coarsened.

    Raises:
        DataError: The voxel sizes are no multiples of each other.
    """
    ours, theirs = image.voxel_size_nm, labels.voxel_size_nm
    if ours is None or theirs is None:
        return (1, 1, 1), (1, 1, 1)
    coarser = [b / a for a, b in zip(ours, theirs, strict=True)]
    if any(abs(max(f, 1 / f) - round(max(f, 1 / f))) > SAME_SHARE for f in coarser):
        raise DataError(
            f"{labels.source}: the labels' voxel size is {nm(theirs)}, but the image {image.source} has {nm(ours)}. "
            "Only whole factors can be brought to one grid: mend or resample one of them, "
            "or give --voxel-size Z,Y,X in nanometers for both."
        )
    return zyx([max(1, round(f)) for f in coarser]), zyx([max(1, round(1 / f)) for f in coarser])


def _start(image: Volume, labels: Volume, size: ZyxFloat, scales: tuple[Zyx, Zyx]) -> Zyx:
    """Where the labels begin in the image, in voxels of the common grid.

    Raises:
        DataError: They are not whole voxels apart, or the labels reach out of the image.
    """
    shape, covered = coarse_shape(image.shape, scales[0]), coarse_shape(labels.shape, scales[1])
    if labels.offset_nm is None or (image.offset_nm is None and shape == covered):
        # A pyramid's levels may be rounded down, so the coarser volume may lack a last voxel.
        spare = [max(a, b) - 1 for a, b in zip(*scales, strict=True)]
        if not all(0 <= n - m <= min(1, s) for n, m, s in zip(shape, covered, spare, strict=True)):
            raise DataError(shape_fault(image, labels))
        return 0, 0, 0
    start = _whole(image, labels, size, scales)
    if min(start) < 0 or not Box.of_shape(shape).contains(Box.of_shape(covered, start)):
        raise DataError(
            f"{labels.source}: the labels reach out of the image: their shape is {labels.shape} and their offset "
            f"{nm(labels.offset_nm)}, but the image {image.source} has {image.shape} and {_offset(image)}. "
            "Mend one of the offsets."
        )
    return start


def _whole(image: Volume, labels: Volume, size: ZyxFloat, scales: tuple[Zyx, Zyx]) -> Zyx:
    """The difference of the offsets in whole voxels. Offsets may be of the first voxel's corner, or of its center."""
    assert labels.offset_nm is not None
    apart = [(b - a) / s for a, b, s in zip(image.offset_nm or (0.0, 0.0, 0.0), labels.offset_nm, size, strict=True)]
    half = [(1 / b - 1 / a) / 2 for a, b in zip(*scales, strict=True)]
    for voxels in (apart, [v - h for v, h in zip(apart, half, strict=True)]):
        if all(abs(v - round(v)) <= SAME_SHARE for v in voxels):
            return zyx([round(v) for v in voxels])
    raise DataError(
        f"{labels.source}: the labels' offset is {nm(labels.offset_nm)}, that of the image {image.source} is {_offset(image)}: "
        f"{', '.join(f'{v:.3g}' for v in apart)} voxels apart, which are not whole. Mend one of them, or resample the labels."
    )


def _offset(image: Volume) -> str:
    return nm(image.offset_nm or (0.0, 0.0, 0.0)) + ("" if image.offset_nm else ", as it tells none")
