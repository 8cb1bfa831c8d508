"""A region compared block by block; memory is bounded by the block and the number of ids."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytc_auto.errors import DataError
from pytc_auto.evaluation.boundary import Boundary, Tolerance, boundary_counts
from pytc_auto.evaluation.components import Components
from pytc_auto.evaluation.contingency import Contingency, contingency, total
from pytc_auto.evaluation.region import Region, Voxels
from pytc_auto.evaluation.scores import MOST_CLASSES, Kind, boundary_scores, guess_kind, scores_from_table
from pytc_auto.geometry import Box, Zyx, blocks
from pytc_auto.progress import Progress, silent, walked

BLOCK: Zyx = (64, 256, 512)


@dataclass(frozen=True)
class Compared:
    """How well a segmentation agrees.

    Attributes:
        kind: What the labels are.
        voxels: How many count.
        scores: By name.
        values: Of the segmentation and of the labels, 0 left out; of classes only.
    """

    kind: Kind
    voxels: int
    scores: dict[str, float]
    values: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())


def compare(
    region: Region,
    *,
    kind: Kind | None = None,
    components: bool = False,
    tolerance: Tolerance | None = None,
    progress: Progress = silent,
) -> Compared:
    """All scores of a region; each volume is read once.

    Args:
        region: What is compared.
        kind: What the labels are; None: found by ``guess_kind``.
        components: Whether the pieces of an id of the truth that do not touch inside the region count as objects of their own.
        tolerance: Of the boundaries of classes; None: they are not scored.
        progress: Told after every block.

    Raises:
        DataError: Labels are not whole numbers from 0; nothing counts; truth has no instance; or components are asked for of
            something else than instances.
    """
    if components and kind not in (None, "instances"):
        raise DataError(f"{region.truth.source}: components are counted of instances, not of {kind}. Leave out one of the two.")
    kind = "instances" if components else kind
    may_be_classes = kind == "classes" or (kind is None and region.truth.dtype.itemsize == 1)
    boundaries = _Boundaries(tolerance, limited=kind is None) if tolerance and may_be_classes else None
    pieces = Components(region.box, region.truth.source) if components else None
    table = _walk(region, boundaries, pieces, progress)
    if not table.voxels:
        raise DataError(f"{region.truth.source}: every voxel of {region.box} is ignored. Give another mask or --box.")
    kind = kind or guess_kind(table, region.truth.dtype)
    if kind != "classes" and not table.truth_ids.any():
        raise DataError(
            f"{region.truth.source}: has no voxel that is not 0, so nothing can be scored. Give the volume with the truth."
        )
    scores = scores_from_table(table, kind)
    if kind == "classes" and boundaries:
        scores |= boundary_scores(boundaries.counts)
    found, true = (tuple(i for i in ids.tolist() if i) for ids in (table.segments.ids, table.truths.ids))
    return Compared(kind, table.voxels, scores, (found, true) if kind == "classes" else ((), ()))


def _walk(region: Region, boundaries: _Boundaries | None, pieces: Components | None, progress: Progress) -> Contingency:
    """The table of the whole region; the boundaries are counted and the pieces of ids found on the way."""
    tables, sources = _Tables(), (region.segmentation.volume.source, region.truth.source)
    for box in walked("comparing", progress, list(blocks(region.box, _block(region)))):
        halo = boundaries.halo if boundaries else (0, 0, 0)
        around = box.grow(halo).intersect(region.box)
        voxels, inner = region.read(around), box.relative_to(around.start)
        block = voxels.inside(inner)
        truth_zyx = pieces.number(box, block.truth_zyx) if pieces else block.truth_zyx
        table = contingency(block.segmentation_zyx, truth_zyx, block.ignore_zyx, sources=sources)
        tables.add(table)
        if boundaries:
            boundaries.add(voxels, inner, table)
    return pieces.whole(tables.sum()) if pieces else tables.sum()


def _block(region: Region) -> Zyx:
    """As many voxels as BLOCK at most; whole sections where one of the volumes is decoded section by section."""
    masks = [region.ignore.volume] if region.ignore else []
    if all(volume.random_access for volume in (region.segmentation.volume, region.truth, *masks)):
        return BLOCK
    _, y, x = region.box.shape
    return max(1, math.prod(BLOCK) // (y * x)), y, x


@dataclass
class _Tables:
    """The sum over blocks; tables are merged once they outgrow it, so that merging stays cheap with many blocks."""

    merged: Contingency = field(default_factory=Contingency.empty)
    waiting: list[Contingency] = field(default_factory=list)

    def add(self, table: Contingency) -> None:
        self.waiting.append(table)
        if sum(len(t.counts) for t in self.waiting) > len(self.merged.counts):
            self.merged = self.sum()
            self.waiting = []

    def sum(self) -> Contingency:
        return total([self.merged, *self.waiting])


class _Boundaries:
    """The counts of all blocks. Where the values may be instances, it stops once there are too many for classes.

    Attributes:
        halo: What to read around the next block.
        counts: By raw value.
    """

    def __init__(self, tolerance: Tolerance, *, limited: bool) -> None:
        self.tolerance, self.limited = tolerance, limited
        self.halo = tolerance.halo
        self.counts: dict[int, Boundary] = {}
        self._values: tuple[set[int], set[int]] = (set(), set())

    def add(self, voxels: Voxels, inner: Box, table: Contingency) -> None:
        for values, sizes in zip(self._values, (table.segments, table.truths), strict=True):
            values.update(sizes.ids.tolist())
        if self.limited and max(map(len, self._values)) > MOST_CLASSES:
            self.halo = (0, 0, 0)
        else:
            self._sum(boundary_counts(voxels, inner, self.tolerance))

    def _sum(self, counts: Mapping[int, Boundary]) -> None:
        for value, boundary in counts.items():
            self.counts[value] = self.counts.get(value, Boundary()) + boundary
