"""Images with their labels, on the grid the network sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.data.folds import Region
from pytc_auto.data.intensity import as_bytes, finite
from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx, cutting_axis, zyx
from pytc_auto.io.entry import open_image, open_labels, open_mask
from pytc_auto.io.scale import at_scale
from pytc_auto.io.skeletons import Skeletons, open_skeletons
from pytc_auto.io.volume import Volume, VolumePart, in_memory, read_reflected
from pytc_auto.io.working_grid import WorkingGrid
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.dataset import Dataset, VolumeEntry
from pytc_auto.schema.plan import NO_ZOOM, InstanceLabels, Plan


@dataclass(frozen=True)
class LabelsInBox:
    """Raw labels of a box.

    Attributes:
        labels_zyx: (Z, Y, X), as stored; 0 where there are none.
        unlabeled_zyx: (Z, Y, X), bool: outside the region, the labels or the mask, or in a blank section.
    """

    labels_zyx: npt.NDArray[Any]
    unlabeled_zyx: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelledVolume:
    """An image with labels for all of it, or for a box inside it; what is around that box is context.

    Attributes:
        name: For messages.
        image: Gray values, on the working grid.
        labels: On the same grid.
        sections_axis: Along which the unlabeled sections are counted.
        unlabeled_sections: Sections of the image, on the working grid, whose labels are blank.
        labels_start: Where the labels begin in the image.
        skeletons: In voxels of the image on the working grid; None where there are none, or the plan is not for neurons.
        mask: Of the image's shape: where it is 0, nobody has labelled; None without one.
    """

    name: str
    image: Volume
    labels: Volume
    sections_axis: int = 0
    unlabeled_sections: tuple[int, ...] = field(default=())
    labels_start: Zyx = (0, 0, 0)
    skeletons: Skeletons | None = None
    mask: Volume | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and self.mask.shape != self.shape:
            raise DataError(
                f"{self.name}: the image has {list(self.shape)} voxels ({self.image.source}), but the mask has "
                f"{list(self.mask.shape)} ({self.mask.source}). Give a mask of the image's shape."
            )
        if not self.box.contains(self.labelled):
            raise DataError(
                f"{self.name}: the image has {list(self.image.shape)} voxels ({self.image.source}), but the labels have "
                f"{list(self.labels.shape)} from {list(self.labels_start)} on ({self.labels.source}). Run pytc plan again."
            )

    @property
    def shape(self) -> Zyx:
        """Voxels on the working grid."""
        return self.image.shape

    @property
    def box(self) -> Box:
        """The whole image."""
        return Box.of_shape(self.shape)

    @property
    def labelled(self) -> Box:
        """The part of the image that the labels cover."""
        return Box.of_shape(self.labels.shape, self.labels_start)

    def read_image(self, box: Box, *, within: Box | None = None) -> npt.NDArray[Any]:
        """Read gray values as stored.

        Args:
            box: It may reach outside the region, where the image is continued by reflection.
            within: The region that may be seen; None is the whole image.

        Returns:
            (Z, Y, X) of the box's shape.
        """
        region = self.box if within is None else within
        return read_reflected(VolumePart(self.image, region), box.relative_to(region.start))

    def read_labels(self, box: Box, *, within: Box | None = None) -> LabelsInBox:
        """Read raw labels; outside the region all is unlabeled.

        Args:
            box: It may reach outside the region.
            within: The region that may be seen; None is all that is labelled.
        """
        inside = box.intersect(self.labelled if within is None else self.labelled.intersect(within))
        labels, unlabeled = np.zeros(box.shape, self.labels.dtype), np.ones(box.shape, np.bool_)
        if inside.size:
            index = inside.relative_to(box.start).slices
            labels[index] = self.labels.read(inside.relative_to(self.labels_start))
            unlabeled[index] = False if self.mask is None else self.mask.read(inside) == 0
        moved = np.moveaxis(unlabeled, self.sections_axis, 0)
        for section in self._blank_in(box):
            moved[section - box.start[self.sections_axis]] = True
        return LabelsInBox(labels, unlabeled)

    def labelled_voxels(self, box: Box) -> int:
        """Count the voxels of a box inside the labels that are not in a blank section."""
        extent = box.shape[self.sections_axis]
        blank = len(self._blank_in(box))
        return box.size // extent * (extent - blank) if extent else 0

    def _blank_in(self, box: Box) -> list[int]:
        start, stop = box.start[self.sections_axis], box.stop[self.sections_axis]
        return [s for s in self.unlabeled_sections if start <= s < stop]


def open_volumes(
    dataset: Dataset, plan: Plan, memory_bytes: float, *, cache: Path | None = None, progress: Progress = silent
) -> list[LabelledVolume]:
    """Open all labelled volumes of a data set at the plan's working scale.

    Args:
        dataset: Where they are.
        plan: For the working scale.
        memory_bytes: Volumes are held in memory, in order, as long as they fit; the rest is read crop by crop.
        cache: Folder for copies of volumes that cannot be read by box; None reads them as they are.
        progress: Told how far a copy is.

    Raises:
        DataError: A file cannot be read, image and labels differ in shape, or nothing is labelled.
    """
    volumes = []
    for entry in dataset.volumes:
        if entry.labels is None:
            continue
        volume, used = _open(entry, plan, memory_bytes, cache, progress)
        memory_bytes -= used
        volumes.append(volume)
    if not volumes:
        raise DataError(f"{dataset.root}: no volume has labels. Put label files of the same names into labels/.")
    return volumes


def whole_regions(volumes: Sequence[LabelledVolume]) -> tuple[Region, ...]:
    """Each volume as one region: all that is labelled, in the whole image."""
    return tuple(Region(number, volume.labelled, volume.box) for number, volume in enumerate(volumes))


def _open(
    entry: VolumeEntry, plan: Plan, memory_bytes: float, cache: Path | None, progress: Progress
) -> tuple[LabelledVolume, int]:
    """One labelled volume, and the memory it takes."""
    stored = finite(as_bytes(open_image(entry, cache, progress), plan.intensity), plan.intensity)
    grid = WorkingGrid.of(plan, stored.shape)
    image = grid.image(stored)
    labels, start = _labels_on_grid(open_labels(entry, cache, progress), entry, grid)
    mask = [grid.mask(open_mask(entry, cache, progress))] if entry.mask else []
    held = []
    used = 0
    for volume in (image, labels, *mask):
        held.append(in_memory(volume, memory_bytes - used))
        if held[-1] is not volume:
            used += math.prod(volume.shape) * volume.dtype.itemsize
    axis = cutting_axis(entry.voxel_size_nm)
    sections = grid.sections(entry.unlabeled_sections, axis)
    skeletons = _skeletons_on_grid(entry, plan)
    return LabelledVolume(entry.name, held[0], held[1], axis, sections, start, skeletons, *held[2:]), used


def _skeletons_on_grid(entry: VolumeEntry, plan: Plan) -> Skeletons | None:
    """Skeletons on the working grid, where neurons are what is learned; v1, whose plans alone zoom, had none."""
    if entry.skeletons is None or plan.task != "neurons" or not isinstance(plan.labels, InstanceLabels):
        return None
    return open_skeletons(entry).coarser(plan.working_scale) if plan.zoom == NO_ZOOM else None


def _labels_on_grid(labels: Volume, entry: VolumeEntry, grid: WorkingGrid) -> tuple[Volume, Zyx]:
    """Labels on the working grid and where they begin: at its first voxel that does not reach out of them.

    Raises:
        DataError: They are thinner than a voxel of the working grid.
    """
    if grid.zoomed:
        part, start = grid.part_of_labels(labels, entry.labels_start)
        if 0 in part.shape:
            raise _too_thin(labels, entry, f"inference.zoom {list(grid.zoom)}")
        return part, start
    scale = grid.scale
    start = zyx([-(-a // f) for a, f in zip(entry.labels_start, scale, strict=True)])
    skipped = zyx([s * f - a for s, f, a in zip(start, scale, entry.labels_start, strict=True)])
    if any(a >= n for a, n in zip(skipped, labels.shape, strict=True)):
        raise _too_thin(labels, entry, f"working_scale {list(scale)}")
    if any(skipped):
        labels = VolumePart(labels, Box(skipped, labels.shape))
    return at_scale(labels, scale, kind="labels"), start


def _too_thin(labels: Volume, entry: VolumeEntry, field: str) -> DataError:
    """For a working grid on which nothing is left of the labels."""
    name = field.partition(" ")[0]
    return DataError(
        f"{entry.name}: the labels have {list(labels.shape)} voxels, too few for the plan's {field} "
        f"({labels.source}). Plan with a finer {name}."
    )
