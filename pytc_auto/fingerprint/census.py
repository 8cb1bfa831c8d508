"""Every id and every connected component of labels, block by block, in memory that grows with their number only."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.components import (
    Components,
    Ids,
    Mask,
    Widths,
    extents_nm,
    find_components,
    inscribed_diameters,
    join_widths,
)
from pytc_auto.fingerprint.percentiles import Floats
from pytc_auto.fingerprint.sampling import census_blocks
from pytc_auto.fingerprint.unlabeled import Unlabeled, whole_numbers
from pytc_auto.geometry import Box, Zyx, ZyxFloat
from pytc_auto.io.volume import Volume

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Census:
    """What is kept of labels: N components, face-connected regions of one id.

    Attributes:
        value: (N,) id, in the stored dtype.
        voxels: (N,)
        extent_nm: (N,) longest side of the bounding box.
        cut: (N,) whether it reaches the border of what was read, or unlabeled voxels.
        widths: Inscribed diameters, of the components or of their profiles in the sections.
        counts: Labelled voxels of each value, 0 too.
        read: Voxels that were counted, labelled or not.
        voxel_size_nm: Of the grid that was counted on, (z, y, x).
    """

    value: Ids
    voxels: Floats
    extent_nm: Floats
    cut: Mask
    widths: Widths
    counts: dict[int, int]
    read: int
    voxel_size_nm: ZyxFloat

    @property
    def volume_nm3(self) -> Floats:
        """(N,) volume of each component."""
        return self.voxels * float(np.prod(self.voxel_size_nm))

    @property
    def elongation(self) -> Floats:
        """(N,) extent over the diameter of a ball of the same volume: 1 for a ball, 1.2 for a cube."""
        return np.asarray(self.extent_nm / np.cbrt(6 / np.pi * self.volume_nm3), np.float64)

    @property
    def scatter(self) -> Floats:
        """For each id, how many components of equal size would be as scattered: (Σ voxels)² / Σ voxels²."""
        _, row = np.unique(self.value, return_inverse=True)
        total, squares = np.bincount(row, self.voxels), np.bincount(row, self.voxels**2)
        return np.asarray(total**2 / squares, np.float64)

    @property
    def broken(self) -> int:
        """How many ids are several components."""
        _, counts = np.unique(self.value, return_counts=True)
        return int((counts > 1).sum())


def take_census(
    labels: Volume, unlabeled: Unlabeled, voxel_size_nm: ZyxFloat, *, walk: Callable[[Sequence[Box]], Iterable[Box]] = iter
) -> Census:
    """Count everything in labels.

    Args:
        labels: Whole numbers.
        unlabeled: Where nobody looked.
        voxel_size_nm: (z, y, x).
        walk: Gives the blocks one after another; it may tell how far the reading is.

    Raises:
        DataError: A label is not a whole number.
    """
    table = Count()
    for box in walk(census_blocks(labels)):
        block = whole_numbers(labels.read(box), labels.source)
        known = unlabeled.labelled(block, box)
        counts = clear_unlabeled_in_place(block, known)
        found = find_components(block, known)
        table.add_in_place(found, inscribed_diameters(found, voxel_size_nm), counts, box, labels.box)
    return table.census(voxel_size_nm)


def clear_unlabeled_in_place(block: Ids, known: Mask) -> dict[int, int]:
    """Set unlabeled voxels to 0, and count the labelled voxels of each value."""
    import fastremap

    gone = block.size - int(np.count_nonzero(known))
    if gone:
        block[~known] = 0
    values, numbers = fastremap.unique(block, return_counts=True)
    counts = dict(zip(values.tolist(), numbers.tolist(), strict=True))
    if gone:
        counts[0] -= gone
    return {value: number for value, number in counts.items() if number}


def merge_counts(counts: Iterable[dict[int, int]]) -> dict[int, int]:
    """Voxels of each value, in the order of the values."""
    total: Counter[int] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


@dataclass
class Count:
    """The components of blocks that tile a volume, and which of them go on in the next block."""

    rows: int = 0
    parts: list[tuple[Ids, Floats, Places, Places, Mask]] = field(default_factory=list)
    widths: list[Widths] = field(default_factory=list)
    pairs: list[Places] = field(default_factory=list)
    faces: dict[tuple[int, Zyx], tuple[bytes, bytes]] = field(default_factory=dict)
    counts: list[dict[int, int]] = field(default_factory=list)
    read: int = 0

    def add_in_place(self, found: Components, widths: Widths, counts: dict[int, int], box: Box, whole: Box) -> None:
        """Take the components of a block and the labelled voxels of each value; blocks come z slowest."""
        self.counts.append(counts)
        self.widths.append(widths)
        self.read += box.size
        start, stop = found.start + box.start, found.stop + box.start
        cut = (start == whole.start).any(axis=1) | (stop == whole.stop).any(axis=1) | found.beside_unlabeled
        self.parts.append((found.value, found.voxels, start, stop, cut))
        labels = np.concatenate([np.zeros(1, found.value.dtype), found.value])
        for axis in range(3):
            planes = np.moveaxis(found.ids_zyx, axis, 0)
            before = self.faces.pop((axis, box.start), None)
            if before is not None:
                self._meet(before, planes[0], labels)
            step = [0, 0, 0]
            step[axis] = box.shape[axis]
            rows = planes[-1].astype(np.int64) + (self.rows - 1)
            self.faces[axis, box.shift(step).start] = _packed(rows), _packed(labels[planes[-1]])
        self.rows += len(found.value)

    def _meet(self, before: tuple[bytes, bytes], plane: Ids, labels: Ids) -> None:
        """Note which components of a block's first plane are those of the plane before it."""
        rows = np.frombuffer(zlib.decompress(before[0]), np.int64)
        values = np.frombuffer(zlib.decompress(before[1]), labels.dtype)
        numbers = plane.ravel()
        same = (numbers > 0) & (labels[numbers] == values)
        pairs = np.stack([rows[same], numbers[same].astype(np.int64) + (self.rows - 1)], axis=1)
        self.pairs.append(np.unique(pairs, axis=0))

    def census(self, voxel_size_nm: ZyxFloat) -> Census:
        """What was counted."""
        value, voxels, start, stop, cut = (np.concatenate(column) for column in zip(*self.parts, strict=True))
        row = self._rows()
        count = int(row.max(initial=-1)) + 1
        lowest, highest = np.full((count, 3), np.iinfo(np.int64).max), np.zeros((count, 3), np.int64)
        np.minimum.at(lowest, row, start)
        np.maximum.at(highest, row, stop)
        values, reaches = np.zeros(count, value.dtype), np.zeros(count, bool)
        values[row] = value
        np.logical_or.at(reaches, row, cut)
        sizes = np.bincount(row, voxels, count).astype(np.float64)
        return Census(
            value=values,
            voxels=sizes,
            extent_nm=extents_nm(lowest, highest, voxel_size_nm),
            cut=reaches,
            widths=self._widths(row, sizes),
            counts=merge_counts(self.counts),
            read=self.read,
            voxel_size_nm=voxel_size_nm,
        )

    def _rows(self) -> Places:
        """(rows,) number of the component that each part of one belongs to."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if not self.pairs:
            return np.arange(self.rows)
        a, b = np.concatenate(self.pairs).T
        graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(self.rows, self.rows))
        return connected_components(graph, directed=False)[1].astype(np.int64)

    def _widths(self, row: Places, sizes: Floats) -> Widths:
        """A component is as wide as its widest part; profiles are counted in each block for themselves."""
        widths = join_widths(self.widths)
        if widths.of_profiles:
            return widths
        diameter = np.zeros(len(sizes))
        np.maximum.at(diameter, row, widths.diameter_nm)
        return Widths(diameter, sizes)


def _packed(array: Ids) -> bytes:
    """A face of a block. Labels are much the same over wide areas, so little is left of it."""
    return zlib.compress(np.ascontiguousarray(array).tobytes(), 1)
