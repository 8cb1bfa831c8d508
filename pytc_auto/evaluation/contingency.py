"""How often each segment meets each true label: the table from which all scores are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError

Labels = npt.NDArray[Any]
Ids = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sizes:
    """Ids in increasing order and the voxels of each."""

    ids: Ids
    counts: Counts


@dataclass(frozen=True, eq=False)
class Contingency:
    """A sparse table; pairs that do not occur have no row.

    Rows are sorted by segment, then by true label, and no pair occurs twice. Tables of blocks that do not
    overlap add up to the table of the whole.

    Attributes:
        segment_ids: (N,) ids in the segmentation.
        truth_ids: (N,) ids in the truth.
        counts: (N,) voxels that have both, at least 1.
    """

    segment_ids: Ids
    truth_ids: Ids
    counts: Counts

    @classmethod
    def empty(cls) -> Contingency:
        """The table of no voxels."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64))

    def __add__(self, other: Contingency) -> Contingency:
        """The table of both together."""
        return total([self, other])

    @property
    def voxels(self) -> int:
        """Voxels counted."""
        return int(self.counts.sum())

    @cached_property
    def segments(self) -> Sizes:
        """Voxels of each segment."""
        return _sizes(self.segment_ids, self.counts)

    @cached_property
    def truths(self) -> Sizes:
        """Voxels of each true label."""
        return _sizes(self.truth_ids, self.counts)

    def without_truth(self, label: int = 0) -> Contingency:
        """The table of the voxels whose truth is not ``label``."""
        return self._where(self.truth_ids != np.uint64(label))

    def without_segment(self, label: int = 0) -> Contingency:
        """The table of the voxels that are not ``label`` in the segmentation."""
        return self._where(self.segment_ids != np.uint64(label))

    def _where(self, keep: npt.NDArray[np.bool_]) -> Contingency:
        return Contingency(self.segment_ids[keep], self.truth_ids[keep], self.counts[keep])


def contingency(
    segmentation_zyx: Labels,
    truth_zyx: Labels,
    ignore_zyx: npt.NDArray[np.bool_] | None = None,
    *,
    sources: tuple[str, str] = ("segmentation", "truth"),
) -> Contingency:
    """Count how often each segment meets each true label.

    Runs of voxels that have the same pair are counted as one, so the cost is a few comparisons per voxel; ids
    are compared as integers, so any id below 2^64 is safe.

    Args:
        segmentation_zyx: Ids or classes, not negative, any shape.
        truth_zyx: The same shape.
        ignore_zyx: Voxels that are not counted, the same shape.
        sources: Of segmentation and truth, for errors.

    Raises:
        DataError: The shapes differ, or labels are not whole numbers from 0.
    """
    _check(segmentation_zyx, truth_zyx, ignore_zyx)
    segment, truth = segmentation_zyx.reshape(-1), truth_zyx.reshape(-1)
    if ignore_zyx is not None:
        keep = ~ignore_zyx.reshape(-1)
        segment, truth = segment[keep], truth[keep]
    if not segment.size:
        return Contingency.empty()
    changes = (segment[1:] != segment[:-1]) | (truth[1:] != truth[:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lengths = np.diff(starts, append=segment.size)
    return _grouped(as_ids(segment[starts], sources[0]), as_ids(truth[starts], sources[1]), lengths)


def total(tables: Sequence[Contingency]) -> Contingency:
    """The table of all together."""
    return _grouped(
        np.concatenate([t.segment_ids for t in tables]),
        np.concatenate([t.truth_ids for t in tables]),
        np.concatenate([t.counts for t in tables]),
    )


def _check(segmentation: Labels, truth: Labels, ignore: npt.NDArray[np.bool_] | None) -> None:
    shapes = {"segmentation": segmentation.shape, "truth": truth.shape}
    if ignore is not None:
        shapes["ignore mask"] = ignore.shape
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise DataError(f"Cannot compare volumes of different shapes: {told}. Crop or resample one to the other.")


def as_ids(values: Labels, name: str) -> Ids:
    """Labels as ids; ``name`` tells in an error whose they are.

    Raises:
        DataError: They are not whole numbers from 0.
    """
    if values.dtype.kind not in "bui":
        raise DataError(f"{name}: labels must be whole numbers, got {values.dtype}. Store them as an unsigned integer type.")
    if values.dtype.kind == "i" and values.min() < 0:
        raise DataError(f"{name}: labels must not be negative, got {values.min()}. Give unlabeled voxels a value of their own.")
    return values.astype(np.uint64)


def _grouped(segment: Ids, truth: Ids, counts: Counts) -> Contingency:
    """Sort by pair and add up the counts of equal pairs."""
    if not counts.size:
        return Contingency.empty()
    order = _by_pair(segment, truth)
    segment, truth = segment[order], truth[order]
    first = np.ones(len(order), bool)
    first[1:] = (segment[1:] != segment[:-1]) | (truth[1:] != truth[:-1])
    starts = np.flatnonzero(first)
    return Contingency(segment[starts], truth[starts], np.add.reduceat(counts[order].astype(np.int64), starts))


def _by_pair(segment: Ids, truth: Ids) -> npt.NDArray[np.intp]:
    """The order by segment, then by truth. Pairs that fit into one number are sorted as one, which is five times as fast."""
    half = np.uint64(32)
    if not (segment >> half).any() and not (truth >> half).any():
        return np.argsort((segment << half) | truth)
    return np.lexsort((truth, segment))


def _sizes(ids: Ids, counts: Counts) -> Sizes:
    order = np.argsort(ids, kind="stable")
    unique, starts = np.unique(ids[order], return_index=True)
    total = np.add.reduceat(counts[order], starts) if len(starts) else counts[:0]
    return Sizes(unique, total)
