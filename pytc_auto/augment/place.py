"""For what an effect is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import FLAT_FROM, SECTIONS_FROM, Box, Zyx, ZyxFloat, anisotropy, cutting_axis, zyx


@dataclass(frozen=True)
class Place:
    """The crop that an effect acts on.

    Attributes:
        shape: Of the crop, in voxels.
        voxel_size_nm: z, y, x.
        axis: The cutting axis. On isotropic data a symmetry may have turned it away from the coarsest axis.
    """

    shape: Zyx
    voxel_size_nm: ZyxFloat
    axis: int

    @classmethod
    def of(cls, shape: Zyx, voxel_size_nm: ZyxFloat) -> Place:
        """A crop as it lies in its volume."""
        return cls(shape, voxel_size_nm, cutting_axis(voxel_size_nm))

    @property
    def plane(self) -> tuple[int, int]:
        """The axes of a section."""
        first, second = (i for i in range(3) if i != self.axis)
        return first, second

    @property
    def sections(self) -> int:
        """How many sections the crop has."""
        return self.shape[self.axis]

    @property
    def sectioned(self) -> bool:
        """Whether sections differ from what lies along the cutting axis in a block of tissue."""
        return anisotropy(self.voxel_size_nm) >= SECTIONS_FROM

    @property
    def flat(self) -> bool:
        """Whether the cutting axis is too coarse for anything to be tilted or bent along it."""
        return anisotropy(self.voxel_size_nm) >= FLAT_FROM

    def voxels(self, length_nm: float) -> ZyxFloat:
        """A length in voxels on each axis."""
        z, y, x = (length_nm / s for s in self.voxel_size_nm)
        return z, y, x

    def chosen(self, probability: float, rng: np.random.Generator) -> list[int]:
        """Sections to which something happens, each with the same probability."""
        return np.flatnonzero(rng.random(self.sections) < probability).tolist()

    def section(self, number: int) -> tuple[slice, slice, slice]:
        """Index of a section, one voxel thick."""
        index = [slice(None)] * 3
        index[self.axis] = slice(number, number + 1)
        return index[0], index[1], index[2]

    def box(self, size_nm: float, rng: np.random.Generator) -> Box:
        """A box in the crop, on each axis between a quarter and the whole of ``size_nm``."""
        most = [max(1, min(n, round(v))) for n, v in zip(self.shape, self.voxels(size_nm), strict=True)]
        extent = [int(rng.integers(max(1, n // 4), n + 1)) for n in most]
        return Box.of_shape(zyx(extent), [int(rng.integers(n - e + 1)) for n, e in zip(self.shape, extent, strict=True)])

    def across(self, angle: float) -> npt.NDArray[np.float32]:
        """Distance in nm from a line through the middle of a section, one voxel thick; negative on one side."""
        first, second = self.plane
        ways = [0.0, 0.0, 0.0]
        ways[first], ways[second] = np.cos(angle), np.sin(angle)
        middle = [(n - 1) / 2 for n in self.shape]
        extent = [1 if i == self.axis else n for i, n in enumerate(self.shape)]
        z, y, x = (
            ((np.arange(n) - (m if n > 1 else 0)) * s * way).astype(np.float32)
            for n, m, s, way in zip(extent, middle, self.voxel_size_nm, ways, strict=True)
        )
        distance: npt.NDArray[np.float32] = z[:, None, None] + y[:, None] + x
        return distance
