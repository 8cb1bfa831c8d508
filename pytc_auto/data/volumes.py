"""Images with their labels, on the grid the network sees."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx, cutting_axis
from pytc_auto.io.scale import Kind
from pytc_auto.io.volume import Volume, in_memory, read_reflected
from pytc_auto.schema.dataset import Dataset, VolumeEntry
from pytc_auto.schema.plan import Plan


@dataclass(frozen=True)
class LabelsInBox:
    """Raw labels of a box.

    Attributes:
        labels_zyx: (Z, Y, X), as stored; 0 where there are none.
        unlabeled_zyx: (Z, Y, X), bool: outside the region, or in a blank section.
    """

    labels_zyx: npt.NDArray[Any]
    unlabeled_zyx: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelledVolume:
    """An image with its labels.

    Attributes:
        name: For messages.
        image: Gray values, on the working grid.
        labels: Of the same shape.
        sections_axis: Along which the unlabeled sections are counted.
        unlabeled_sections: Sections of the working grid whose labels are blank.
    """

    name: str
    image: Volume
    labels: Volume
    sections_axis: int = 0
    unlabeled_sections: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.image.shape != self.labels.shape:
            raise DataError(
                f"{self.name}: the image has {list(self.image.shape)} voxels ({self.image.source}), "
                f"the labels have {list(self.labels.shape)} ({self.labels.source}). Give labels for the whole image."
            )

    @property
    def shape(self) -> Zyx:
        """Voxels on the working grid."""
        return self.image.shape

    @property
    def box(self) -> Box:
        """The whole volume."""
        return Box.of_shape(self.shape)

    def read_image(self, box: Box, *, within: Box | None = None) -> npt.NDArray[Any]:
        """Read gray values as stored.

        Args:
            box: It may reach outside the region, where the image is continued by reflection.
            within: The region that may be seen; None is the whole volume.

        Returns:
            (Z, Y, X) of the box's shape.
        """
        region = self.box if within is None else within
        return read_reflected(_Part(self.image, region), box.relative_to(region.start))

    def read_labels(self, box: Box, *, within: Box | None = None) -> LabelsInBox:
        """Read raw labels; outside the region all is unlabeled.

        Args:
            box: It may reach outside the region.
            within: The region that may be seen; None is the whole volume.
        """
        inside = box.intersect(self.box if within is None else within)
        if inside == box:
            labels, unlabeled = self.labels.read(box), np.zeros(box.shape, np.bool_)
        else:
            labels, unlabeled = np.zeros(box.shape, self.labels.dtype), np.ones(box.shape, np.bool_)
            if inside.size:
                index = inside.relative_to(box.start).slices
                labels[index], unlabeled[index] = self.labels.read(inside), False
        moved = np.moveaxis(unlabeled, self.sections_axis, 0)
        for section in self._blank_in(box):
            moved[section - box.start[self.sections_axis]] = True
        return LabelsInBox(labels, unlabeled)

    def labelled_voxels(self, box: Box) -> int:
        """Count the voxels of a box that are not in a blank section."""
        extent = box.shape[self.sections_axis]
        blank = len(self._blank_in(box))
        return box.size // extent * (extent - blank) if extent else 0

    def _blank_in(self, box: Box) -> list[int]:
        start, stop = box.start[self.sections_axis], box.stop[self.sections_axis]
        return [s for s in self.unlabeled_sections if start <= s < stop]


class _Part(Volume):
    """A box of a volume as a volume of its own, so that reflection happens at its border."""

    def __init__(self, whole: Volume, box: Box) -> None:
        self.source = whole.source
        self.shape = box.shape
        self.dtype = whole.dtype
        self.voxel_size_nm = whole.voxel_size_nm
        self._whole = whole
        self._start = box.start

    def _read(self, box: Box) -> npt.NDArray[Any]:
        return self._whole.read(box.shift(self._start))


def open_volumes(dataset: Dataset, plan: Plan, memory_bytes: float) -> list[LabelledVolume]:
    """Open all labelled volumes of a data set at the plan's working scale.

    Args:
        dataset: Where they are.
        plan: For the working scale.
        memory_bytes: Volumes are held in memory, in order, as long as they fit; the rest is read crop by crop.

    Raises:
        DataError: A file cannot be read, image and labels differ in shape, or nothing is labelled.
    """
    volumes = []
    for entry in dataset.volumes:
        if entry.labels is None:
            continue
        volume, used = _open(entry, plan, memory_bytes)
        memory_bytes -= used
        volumes.append(volume)
    if not volumes:
        raise DataError(f"{dataset.root}: no volume has labels. Put label files of the same names into labels/.")
    return volumes


def _open(entry: VolumeEntry, plan: Plan, memory_bytes: float) -> tuple[LabelledVolume, int]:
    """One labelled volume, and the memory it takes."""
    from pytc_auto.io.open import open_volume
    from pytc_auto.io.scale import at_scale

    assert entry.labels is not None
    held = []
    used = 0
    kinds: tuple[Kind, Kind] = ("image", "labels")
    for path, kind in zip((entry.image, entry.labels), kinds, strict=True):
        stored = open_volume(path, axes=entry.axes, voxel_size_nm=entry.voxel_size_nm)
        volume = at_scale(stored, plan.working_scale, kind=kind)
        held.append(in_memory(volume, memory_bytes - used))
        if held[-1] is not volume:
            used += math.prod(volume.shape) * volume.dtype.itemsize
    axis = cutting_axis(entry.voxel_size_nm)
    image, labels = held
    sections = sorted({s // plan.working_scale[axis] for s in entry.unlabeled_sections})
    return LabelledVolume(entry.name, image, labels, axis, tuple(s for s in sections if s < image.shape[axis])), used
