"""The grid that a plan's network sees of a volume, and the way there and back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx
from pytc_auto.io.scale import at_scale, coarse_box, coarse_shape, fine_box, upsample_labels
from pytc_auto.io.volume import Array, Volume
from pytc_auto.io.zoom import ZoomedImage, ZoomedLabels, nearest, step, zoomed_shape
from pytc_auto.schema.plan import NO_ZOOM, Plan


@dataclass(frozen=True)
class WorkingGrid:
    """Of one volume.

    Attributes:
        extent: Of the volume, (z, y, x).
        scale: Voxels of the volume that are averaged for one of the grid.
        zoom: Voxels of the grid per voxel of the volume, as v1 took them; where it is not 1, the scale is.
    """

    extent: Zyx
    scale: Zyx
    zoom: ZyxFloat

    @classmethod
    def of(cls, plan: Plan, extent: Zyx) -> WorkingGrid:
        """That of a plan's network for a volume."""
        return cls(extent, plan.working_scale, plan.zoom)

    @property
    def zoomed(self) -> bool:
        """Whether v1's way is taken."""
        return self.zoom != NO_ZOOM

    @property
    def shape(self) -> Zyx:
        """Of the grid."""
        return zoomed_shape(self.extent, self.zoom) if self.zoomed else coarse_shape(self.extent, self.scale)

    def box(self, box: Box) -> Box:
        """The voxels of the grid that a box of the volume meets, or is nearest to."""
        if not self.zoomed:
            return coarse_box(box, self.scale)
        ends = [(places[a], places[b - 1] + 1) for places, a, b in zip(self._nearest, box.start, box.stop, strict=True)]
        return Box(zyx([int(a) for a, _ in ends]), zyx([int(b) for _, b in ends]))

    def center(self, place: Zyx) -> ZyxFloat:
        """Where the center of a voxel of the grid lies, in voxels of the volume."""
        if self.zoomed:
            z, y, x = (a * step(n, m) for a, n, m in zip(place, self.extent, self.shape, strict=True))
        else:
            z, y, x = (a * f + (f - 1) / 2 for a, f in zip(place, self.scale, strict=True))
        return z, y, x

    def voxel_size_nm(self, size: ZyxFloat) -> ZyxFloat:
        """Of the grid, where that of the volume is known."""
        if self.zoomed:
            z, y, x = (s * step(n, m) for s, n, m in zip(size, self.extent, self.shape, strict=True))
        else:
            z, y, x = (s * f for s, f in zip(size, self.scale, strict=True))
        return z, y, x

    def image(self, volume: Volume) -> Volume:
        """Gray values on the grid."""
        if not self.zoomed:
            return at_scale(volume, self.scale, kind="image")
        return ZoomedImage(volume, self.shape)

    def mask(self, volume: Volume) -> Volume:
        """A mask, or labels of the whole volume, on the grid: of the nearest voxel."""
        if not self.zoomed:
            return at_scale(volume, self.scale, kind="labels")
        return ZoomedLabels(volume, self._taken)

    def part_of_labels(self, labels: Volume, start: Zyx) -> tuple[Volume, Zyx]:
        """Labels that begin at ``start`` in a zoomed volume, on the grid, and where they begin there."""
        index, first = [], []
        for places, a, n in zip(self._taken, start, labels.shape, strict=True):
            inside = np.flatnonzero((places >= a) & (places < a + n))
            index.append(places[inside] - a)
            first.append(int(inside[0]) if len(inside) else 0)
        return ZoomedLabels(labels, index), zyx(first)

    def sections(self, numbers: Iterable[int], axis: int) -> tuple[int, ...]:
        """The sections of the grid that sections of the volume go into."""
        if not self.zoomed:
            return tuple(sorted({number // self.scale[axis] for number in numbers}))
        return tuple(int(place) for place in np.flatnonzero(np.isin(self._taken[axis], list(numbers))))

    def spread(self, labels_zyx: Array, part: Box, wanted: Box) -> Array:
        """Labels of a part of the grid on a box of the volume that it covers: each voxel takes those of the nearest one."""
        if not self.zoomed:
            covered = fine_box(part, self.scale, self.extent)
            fine = upsample_labels(labels_zyx, self.scale, covered.shape)
            return fine[wanted.relative_to(covered.start).slices]
        return labels_zyx[
            np.ix_(*(p[a:b] - s for p, a, b, s in zip(self._nearest, wanted.start, wanted.stop, part.start, strict=True)))
        ]

    @cached_property
    def _nearest(self) -> list[npt.NDArray[np.intp]]:
        """For each voxel of the volume the nearest of the grid."""
        return [nearest(m, n) for n, m in zip(self.extent, self.shape, strict=True)]

    @cached_property
    def _taken(self) -> list[npt.NDArray[np.intp]]:
        """For each voxel of the grid the nearest of the volume."""
        return [nearest(n, m) for n, m in zip(self.extent, self.shape, strict=True)]


def volume_box(plan: Plan, box: Box) -> Box:
    """The voxels of a volume, whose extent is not at hand, that a box of the grid stands for; of a zoomed one about."""
    each = [s / z for s, z in zip(plan.working_scale, plan.zoom, strict=True)]
    return Box(
        zyx([math.floor(a * f) for a, f in zip(box.start, each, strict=True)]),
        zyx([math.ceil(b * f) for b, f in zip(box.stop, each, strict=True)]),
    )
