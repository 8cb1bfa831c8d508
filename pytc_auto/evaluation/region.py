"""Which voxels of two volumes are compared: the boxes they have in common, less a border and what is ignored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError
from pytc_auto.evaluation.contingency import Labels
from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx
from pytc_auto.io.grid import SAME_SHARE, alike, nm
from pytc_auto.io.volume import Volume


@dataclass(frozen=True)
class Placed:
    """A volume on the truth's grid, its first voxel at ``start``."""

    volume: Volume
    start: Zyx

    @property
    def box(self) -> Box:
        """Where it lies, in voxels of the truth."""
        return self.volume.box.shift(self.start)

    def read(self, box: Box) -> Labels:
        """The voxels of a box of the truth's grid."""
        return self.volume.read(box.relative_to(self.start))


@dataclass(frozen=True, eq=False)
class Voxels:
    """What is compared in one box; all of the box's shape.

    Attributes:
        segmentation_zyx: As stored.
        truth_zyx: As stored.
        ignore_zyx: Voxels that do not count; None where all do.
    """

    segmentation_zyx: Labels
    truth_zyx: Labels
    ignore_zyx: npt.NDArray[np.bool_] | None

    def inside(self, box: Box) -> Voxels:
        """The voxels of a box that starts from the first of these."""
        ignore = None if self.ignore_zyx is None else self.ignore_zyx[box.slices]
        return Voxels(self.segmentation_zyx[box.slices], self.truth_zyx[box.slices], ignore)


@dataclass(frozen=True)
class Region:
    """Two volumes and what of them is compared.

    Attributes:
        segmentation: On the truth's grid.
        truth: Whose grid is that of all boxes.
        ignore: Its voxels that are not 0 do not count.
        box: What is compared, inside all of them.
    """

    segmentation: Placed
    truth: Volume
    ignore: Placed | None
    box: Box

    @property
    def voxel_size_nm(self) -> ZyxFloat | None:
        """Of the truth, else of the segmentation; None where neither tells one."""
        return self.truth.voxel_size_nm or self.segmentation.volume.voxel_size_nm

    def read(self, box: Box) -> Voxels:
        """The voxels of a box inside the region."""
        ignore = None if self.ignore is None else self.ignore.read(box) != 0
        return Voxels(self.segmentation.read(box), self.truth.read(box), ignore)


def common_region(
    segmentation: Volume,
    truth: Volume,
    *,
    box: Box | None = None,
    ignore: Volume | None = None,
    border: Zyx = (0, 0, 0),
) -> Region:
    """Find what two volumes have in common and restrict it.

    Args:
        segmentation: Placed by its offset where both volumes tell one; see :func:`placed`.
        truth: Its grid is that of the boxes.
        box: Compare this part only, in voxels of the truth.
        ignore: A mask, placed as the segmentation is; voxels that are not 0 do not count.
        border: Voxels left out at each of the box's faces, z, y, x.

    Raises:
        DataError: Shapes, offsets or voxel sizes do not fit; the box or the border leaves nothing; the mask is too small.
    """
    found = placed(segmentation, truth)
    common = found.box.intersect(truth.box)
    if not common.size:
        raise DataError(
            f"{segmentation.source}: has no voxel in common with {truth.source}: it covers {found.box} of the labels' grid, they "
            f"cover {truth.box}. Give the segmentation and the labels of the same volume, or mend an offset."
        )
    wanted = cropped(_chosen(common, box), border)
    mask = None if ignore is None else placed(ignore, truth)
    if mask is not None and not mask.box.contains(wanted):
        raise DataError(
            f"{mask.volume.source}: the mask covers {mask.box} of the labels' grid, but {wanted} is compared. "
            "Give a mask of the whole, or a smaller --box."
        )
    return Region(found, truth, mask, wanted)


def placed(volume: Volume, truth: Volume) -> Placed:
    """A volume on the truth's grid, by the offsets that the files tell.

    Where only one of them tells an offset, the other begins at zero and must hold all of it: an image holds its labels, labels
    hold the part that was segmented. Without offsets or voxel sizes, and for equal shapes where only one tells an offset, the
    first voxels are the same.

    Raises:
        DataError: Shapes differ without offsets; voxel sizes differ; the offsets are not whole voxels apart.
    """
    size, told = truth.voxel_size_nm or volume.voxel_size_nm, (volume.offset_nm, truth.offset_nm)
    one_tells = None in told
    if size is None or told == (None, None) or (one_tells and volume.shape == truth.shape):
        if volume.shape != truth.shape:
            raise _shapes_differ(volume, truth)
        return Placed(volume, (0, 0, 0))
    if volume.voxel_size_nm and truth.voxel_size_nm and not alike(volume.voxel_size_nm, truth.voxel_size_nm):
        raise DataError(
            f"{volume.source}: has voxels of {nm(volume.voxel_size_nm)}, but {truth.source} has {nm(truth.voxel_size_nm)}. "
            "Bring one of them to the grid of the other."
        )
    here, there = (offset or (0.0, 0.0, 0.0) for offset in told)
    found = Placed(volume, _whole([(a - b) / s for a, b, s in zip(here, there, size, strict=True)], volume, truth))
    outer, inner = (found.box, truth.box) if volume.offset_nm is None else (truth.box, found.box)
    if one_tells and not outer.contains(inner):
        raise _shapes_differ(volume, truth)
    return found


def cropped(box: Box, border: Zyx) -> Box:
    """The box without the voxels at its faces.

    Raises:
        DataError: Nothing is left.
    """
    if any(n <= 2 * b for n, b in zip(box.shape, border, strict=True)):
        raise DataError(f"--border: {list(border)} voxels (z, y, x) at each face leave nothing of {box}. Give fewer.")
    return box.grow(zyx([-b for b in border]))


def _chosen(common: Box, box: Box | None) -> Box:
    """The common box, or a part of it that is asked for."""
    if box is None:
        return common
    if not box.size or not common.contains(box):
        raise DataError(f"--box: {box} is not a part of {common}, which both volumes cover (z, y, x, voxels of the labels).")
    return box


def _whole(apart: list[float], volume: Volume, truth: Volume) -> Zyx:
    if any(abs(v - round(v)) > SAME_SHARE for v in apart):
        raise DataError(
            f"{volume.source}: begins {', '.join(f'{v:.3g}' for v in apart)} voxels (z, y, x) from {truth.source}, which are not "
            "whole. Mend one of the offsets, or resample one of the volumes."
        )
    return zyx([round(v) for v in apart])


def _shapes_differ(volume: Volume, truth: Volume) -> DataError:
    return DataError(
        f"{volume.source}: has shape {list(volume.shape)}, but {truth.source} has {list(truth.shape)} (z, y, x). "
        "Give the segmentation and the labels of the same volume; if one covers a part of the other, both files must tell their "
        "voxel size and where they begin, as the attribute offset."
    )
