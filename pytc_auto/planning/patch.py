"""Patch from the field of view in nm: a family of patches that grows with one length, the same in nm on each axis."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from pytc_auto.errors import PlanError
from pytc_auto.geometry import AXES, Zyx, ZyxFloat, anisotropy, cutting_axis, zyx
from pytc_auto.planning.decisions import rounded
from pytc_auto.schema.dataset import Task
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Numbers

FIELD_OF_VIEW_NM = 1200.0
LEAST_FIELD_OF_VIEW_NM = 600.0
MOST_FIELD_OF_VIEW_NM = 2000.0
BLOB_FACTOR = 1.5
WANTED_VOXELS = 128
WANTED_VOXELS_2D = 256
"""On coarse grids a field of view in nm is few voxels; a patch should still hold a picture."""
MOST_VOXELS = 2**21
"""Of a patch: as many as 128³, what published methods train on. Beyond it a larger batch is the better use of memory."""
FINE_VOXELS = 2**19
"""On very fine grids the least field of view is more voxels than this (80³) and gives way to time and memory."""
LEAST_VOXELS = 48
MOST_OF_VOLUME = 0.75
"""A patch as deep as its stack shows section 1 at depth 1 always; where its labels are blank, depth 1 is never learned."""
FEW_LABELS = 0.1
"""Volumes with less of the labelled voxels than this make no patch smaller for all others; they are continued by reflection."""
LEAST_SECTIONS = 16
LEAST_SECTIONS_ANISOTROPIC = 8
MOST_SECTIONS = 32
FLAT = 3.0
VERY_ANISOTROPIC = 6.0
THIN_SECTIONS = 1.5
COARSEST = 6
"""Voxels per axis at the coarsest stage, at least; fewer than twice as many."""
ALIKE = 0.05
MOST_PADDED = 2
"""A patch by hand may be so many times as long as a volume; what is missing is continued by reflection."""
EQUAL_FROM = 2 / 3
"""Axes of equal voxel size have equal extents, which keeps symmetries, where that costs at most a third of the longer one."""


def wanted_field_of_view(fingerprint: Fingerprint, task: Task) -> tuple[float, str, Numbers]:
    """Field of view in nm, the rule, and its numbers."""
    facts = fingerprint.labels.instances if fingerprint.labels else None
    if task == "objects":
        if facts is None or facts.extent_nm is None:
            return FIELD_OF_VIEW_NM, "patch.unknown_extent", {"extent_p95_nm": None}
        extent = facts.extent_nm["p95"]
        wanted = min(MOST_FIELD_OF_VIEW_NM, max(LEAST_FIELD_OF_VIEW_NM, BLOB_FACTOR * extent))
        return rounded(wanted), "patch.blob_extent", {"extent_p95_nm": extent, "factor": BLOB_FACTOR}
    return FIELD_OF_VIEW_NM, "patch.field_of_view", {}


@dataclass(frozen=True)
class PatchFamily:
    """All patches for a grid and a volume, by the length that they reach on each axis as far as there is room.

    Longer lengths never give shorter patches. Which axis is the longest in nm shrinks first.

    Attributes:
        voxel_size_nm: Of the working grid.
        extent: For which there is room, on the working grid; None where it is not known.
    """

    voxel_size_nm: ZyxFloat
    extent: Zyx | None

    def patch(self, reach_nm: float) -> Zyx:
        """The patch that reaches so far, in voxels that halve evenly."""
        wanted = [max(least, reach_nm / s) for least, s in zip(self._least(), self.voxel_size_nm, strict=True)]
        room = self._room()
        for alike in self._alike():
            shortest = min(room[i] for i in alike)
            if shortest >= EQUAL_FROM * max(wanted[i] for i in alike):
                room = [shortest if i in alike else r for i, r in enumerate(room)]
        return zyx([halving(min(n, r)) for n, r in zip(wanted, room, strict=True)])

    def patches(self, wanted_nm: float) -> Iterator[Zyx]:
        """From the wanted field of view down to the least one."""
        last = None
        for reach in self.reaches(wanted_nm):
            patch = self.patch(reach)
            voxels = math.prod(patch)
            if last is not None and reach < min(wanted_nm, LEAST_FIELD_OF_VIEW_NM) and math.prod(last) <= FINE_VOXELS:
                return
            if voxels <= MOST_VOXELS and patch != last:
                yield patch
                last = patch

    def reaches(self, wanted_nm: float) -> list[float]:
        """Lengths at which an axis gets longer, the longest first."""
        plane = [s for i, s in enumerate(self.voxel_size_nm) if i != cutting_axis(self.voxel_size_nm)]
        picture = WANTED_VOXELS if min(self._room()) > 1 else WANTED_VOXELS_2D
        most = max(wanted_nm, picture * max(plane))
        least = min(self.voxel_size_nm)
        lengths = {most}
        for s in self.voxel_size_nm:
            voxels = halving(most / s)
            while voxels >= 1 and voxels * s >= least:
                lengths.add(voxels * s)
                voxels = halving(voxels - 1)
        return sorted(lengths, reverse=True)

    def _room(self) -> list[float]:
        """The longest patch per axis: it must lie in several places, or each section is learned at one depth only."""
        room = [math.inf] * 3 if self.extent is None else [float(_part(n)) for n in self.extent]
        if (cut := self._sections(FLAT)) is not None:
            room[cut] = min(room[cut], MOST_SECTIONS)
        return room

    def _least(self) -> list[int]:
        """The shortest patch per axis; thin sections count by number."""
        least = [LEAST_VOXELS] * 3
        if (cut := self._sections(THIN_SECTIONS)) is not None:
            very = self._sections(VERY_ANISOTROPIC) is not None
            least[cut] = LEAST_SECTIONS_ANISOTROPIC if very else LEAST_SECTIONS
        return least

    def _sections(self, least: float) -> int | None:
        """The axis along which the tissue is cut, if no other is like it and the anisotropy is at least this."""
        cut = cutting_axis(self.voxel_size_nm)
        alone = all(cut not in group for group in self._alike())
        return cut if alone and anisotropy(self.voxel_size_nm) >= least else None

    def _alike(self) -> list[list[int]]:
        """Axes grouped by voxel size."""
        size = self.voxel_size_nm
        groups = [[j for j in range(3) if abs(size[j] - size[i]) <= ALIKE * size[i]] for i in range(3)]
        return sorted((g for g in groups if len(g) > 1), key=len)


def halving(extent: float) -> int:
    """The longest extent within the given one that halves evenly down to 6 to 11 voxels; under 12 any number does.

    >>> [halving(n) for n in (1, 11, 13, 25, 100, 128, 300)]
    [1, 11, 12, 24, 96, 128, 288]
    """
    step = 2 ** max(0, math.floor(math.log2(max(extent * (1 + 1e-9), 1) / COARSEST)))
    return int(extent * (1 + 1e-9) // step * step)


def _part(extent: int) -> int:
    return extent if extent <= LEAST_SECTIONS_ANISOTROPIC else max(LEAST_SECTIONS_ANISOTROPIC, int(MOST_OF_VOLUME * extent))


@dataclass(frozen=True)
class Shrunk:
    """A patch that some volumes make smaller than others would have it.

    Attributes:
        volumes: Their names.
        possible: The patch that the largest volume has room for.
    """

    volumes: tuple[str, ...]
    possible: Zyx


def shrunk_by_volumes(fingerprint: Fingerprint, scale: Zyx, patch: Zyx, wanted_nm: float) -> Shrunk | None:
    """The labelled volumes that are too small for the patch that the largest would get; None without such, or if not known.

    Args:
        fingerprint: The volumes.
        scale: Of the working grid.
        patch: What was planned.
        wanted_nm: The field of view that was wanted.
    """
    z, y, x = (size * n for size, n in zip(fingerprint.voxel_size_nm, scale, strict=True))
    shapes = {v.name: v.shape for v in fingerprint.volumes if v.labelled}
    extents = {name: _coarser(shape, scale) for name, shape in shapes.items() if shape is not None}
    if len(extents) < max(2, len(shapes)):
        return None
    together = PatchFamily((z, y, x), room_extent(fingerprint, scale))
    largest = PatchFamily((z, y, x), max(extents.values(), key=math.prod))
    reaches = sorted(r for r in together.reaches(wanted_nm) if not _exceeds(patch, together.patch(r)))
    possible = next((p for p in map(largest.patch, reaches[:1]) if _exceeds(p, patch) and math.prod(p) <= MOST_VOXELS), None)
    if possible is None:
        return None
    own = {name: PatchFamily((z, y, x), extent).patch(reaches[0]) for name, extent in extents.items()}
    halfway = [(planned + most) / 2 for planned, most in zip(patch, possible, strict=True)]
    small = [name for name, n in own.items() if any(patch[i] <= n[i] < halfway[i] for i in range(3))]
    return Shrunk(tuple(small), possible) if small else None


def _exceeds(patch: Zyx, other: Zyx) -> bool:
    """Whether a patch is longer than another on any axis."""
    return any(n > m for n, m in zip(patch, other, strict=True))


def smallest_extent(fingerprint: Fingerprint, scale: Zyx, *, but: float = 0.0) -> Zyx | None:
    """Extent per axis of the smallest labelled volume on the working grid; None where a shape is not known.

    Args:
        fingerprint: The volumes.
        scale: Of the working grid.
        but: Volumes that are shorter on an axis and together hold less than this share of the labelled voxels do not count there.
    """
    volumes = [(v.shape, v.labelled_fraction) for v in fingerprint.volumes if v.labelled]
    known = [(shape, math.prod(shape) * (1 if part is None else part)) for shape, part in volumes if shape is not None]
    if not known or len(known) < len(volumes):
        return None
    enough = but * sum(labels for _, labels in known)

    def shortest(axis: int) -> int:
        by_extent = sorted((shape[axis], labels) for shape, labels in known)
        held = itertools.accumulate(labels for _, labels in by_extent)
        return next(n for (n, _), labels in zip(by_extent, held, strict=True) if labels >= enough)

    return _coarser(zyx([shortest(axis) for axis in range(3)]), scale)


def room_extent(fingerprint: Fingerprint, scale: Zyx) -> Zyx | None:
    """For what extent patches are made: the smallest volumes do not count where they hold few of the labels."""
    return smallest_extent(fingerprint, scale, but=FEW_LABELS)


def _coarser(shape: Zyx, scale: Zyx) -> Zyx:
    """An extent on the working grid."""
    return zyx([max(1, math.ceil(n / factor)) for n, factor in zip(shape, scale, strict=True)])


def refuse_outsized(fingerprint: Fingerprint, scale: Zyx, patch: Zyx) -> None:
    """Refuse a patch by hand that is mostly reflection wherever it lies.

    Raises:
        PlanError: On some axis it is more than twice as long as the longest labelled volume.
    """
    shapes = [v.shape for v in fingerprint.volumes if v.labelled]
    known = [shape for shape in shapes if shape is not None]
    if not known or len(known) < len(shapes):
        return
    for i, axis in enumerate(AXES):
        longest = math.ceil(max(shape[i] for shape in known) / scale[i])
        if patch[i] > MOST_PADDED * longest:
            raise PlanError(
                f"override: patch is {patch[i]} voxels on {axis}, but the longest volume has {longest} there on the working "
                f"grid. Most of it would be reflection. Use {longest} or less."
            )


def field_of_view(patch: Zyx, voxel_size_nm: ZyxFloat) -> list[float]:
    """Extent of a patch in nm."""
    return [rounded(n * s) for n, s in zip(patch, voxel_size_nm, strict=True)]
