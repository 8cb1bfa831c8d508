"""Which crops an epoch sees: the next ones, so that a resumed run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch.utils.data import Sampler


@dataclass(frozen=True)
class Share:
    """What one of several processes sees: of each batch of theirs together, the ``rank``-th part.

    Attributes:
        rank: Of the process, from 0.
        processes: How many there are.
        batch: Crops of one process.
    """

    rank: int = 0
    processes: int = 1
    batch: int = 1

    def holds(self, crop: int) -> bool:
        """Whether the process sees a crop."""
        return crop // self.batch % self.processes == self.rank


WHOLE = Share()


class StepSampler(Sampler[int]):
    """Gives 0, 1, 2 … over the epochs: epoch e gives e·n … (e + 1)·n - 1, the last one what is left.

    Lightning calls ``set_epoch`` before each epoch, but after it has begun to draw from the first one; and an epoch in which
    a run was stopped has another number when the run goes on. So a resumed run counts from its first crop, and epochs from
    the first one it is told. Several processes see of the same crops their share each; all counts are of them together.
    """

    def __init__(self, per_epoch: int, total: int, *, first: int = 0, share: Share = WHOLE) -> None:
        """Count the crops.

        Args:
            per_epoch: Crops of an epoch, n.
            total: Crops of all epochs.
            first: The first one that was not seen yet, where a run is resumed.
            share: Of this process.
        """
        self.per_epoch = per_epoch
        self.total = total
        self.first = first
        self.share = share
        self._passed = 0
        self._told_first: int | None = None if first else 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch."""
        if self._told_first is None:
            self._told_first = epoch
        self._passed = epoch - self._told_first

    def __iter__(self) -> Iterator[int]:
        epoch = self.first // self.per_epoch + self._passed
        start = epoch * self.per_epoch
        crops = range(max(start, self.first), min(start + self.per_epoch, self.total))
        return iter([crop for crop in crops if self.share.holds(crop)])

    def __len__(self) -> int:
        """Crops of a whole epoch, those already seen included: Lightning takes them off itself."""
        return min(self.per_epoch, self.total) // self.share.processes
