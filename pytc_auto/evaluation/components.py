"""Truth whose ids fall apart inside what is compared: each connected piece counts as an object, block by block."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytc_auto.evaluation.contingency import Contingency, Ids, Labels, as_ids, total
from pytc_auto.geometry import Box, Zyx, zyx

Pairs = npt.NDArray[np.uint64]


class Components:
    """Numbers the 6-connected components of labels that come in blocks, and joins at the end what the blocks cut.

    A component has a number for each block that it is in. Which of these are one is noted where blocks touch; memory grows with
    the components and with one section of the volume.

    Args:
        region: What all blocks together cover.
        source: Of the labels, for errors.
    """

    def __init__(self, region: Box, source: str = "truth") -> None:
        self._region = region
        self._source = source
        self._last = 0
        self._faces: dict[tuple[int, Zyx], tuple[Ids, Ids]] = {}
        self._joined: list[Pairs] = []

    def number(self, box: Box, labels_zyx: Labels) -> Ids:
        """Number the components of a block.

        Args:
            box: Where it lies; blocks come in the order of ``geometry.blocks``.
            labels_zyx: Ids, 0 is background.

        Returns:
            (Z, Y, X), uint64: numbers that no other block has, 0 is background.

        Raises:
            DataError: Labels are not whole numbers from 0.
        """
        import cc3d

        labels_zyx = as_ids(labels_zyx, self._source)
        found = cc3d.connected_components(labels_zyx, connectivity=6)
        numbers: Ids = found.astype(np.uint64)
        numbers[numbers > 0] += np.uint64(self._last)
        self._last += int(found.max(initial=0))
        for axis in range(3):
            self._join(axis, box, labels_zyx, numbers)
        return numbers

    def _join(self, axis: int, box: Box, labels_zyx: Ids, numbers_zyx: Ids) -> None:
        """Note what goes on across the block's lower face, and keep its upper one for the next block."""
        lower = (axis, box.start)
        if lower in self._faces:
            labels, numbers = self._faces.pop(lower)
            here, there = _face(labels_zyx, axis, 0), _face(numbers_zyx, axis, 0)
            same = here == labels
            self._joined.append(np.unique(np.stack([numbers[same], there[same]], axis=1), axis=0))
        if box.stop[axis] < self._region.stop[axis]:
            after = zyx([stop if n == axis else start for n, (start, stop) in enumerate(zip(box.start, box.stop, strict=True))])
            self._faces[axis, after] = _face(labels_zyx, axis, -1), _face(numbers_zyx, axis, -1)

    def whole(self, table: Contingency) -> Contingency:
        """A table with the numbers of all blocks as truth, with one number for each component instead."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        pairs = np.concatenate([np.empty((0, 2), np.uint64), *self._joined]).astype(np.int64)
        extent = self._last + 1
        graph = coo_array((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(extent, extent))
        _, group = connected_components(graph, directed=False)
        ids = np.where(table.truth_ids == 0, 0, group[table.truth_ids.astype(np.int64)] + 1).astype(np.uint64)
        return total([Contingency(table.segment_ids, ids, table.counts)])


def _face(ids_zyx: Ids, axis: int, at: int) -> Ids:
    """The first or last plane along an axis, as an array of its own."""
    face: Ids = np.moveaxis(ids_zyx, axis, 0)[at].copy()
    return face
