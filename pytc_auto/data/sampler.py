"""Which crops an epoch sees: the next ones, so that a resumed run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import Sampler


class StepSampler(Sampler[int]):
    """Gives 0, 1, 2 … over the epochs: epoch e gives e·n … (e + 1)·n - 1, the last one what is left.

    Lightning calls ``set_epoch`` before each epoch, but after it has begun to draw from the first one; and an epoch in which
    a run was stopped has another number when the run goes on. So a resumed run counts from its first crop, and epochs from
    the first one it is told.
    """

    def __init__(self, per_epoch: int, total: int, *, first: int = 0) -> None:
        """Count the crops.

        Args:
            per_epoch: Crops of an epoch, n.
            total: Crops of all epochs.
            first: The first one that was not seen yet, where a run is resumed.
        """
        self.per_epoch = per_epoch
        self.total = total
        self.first = first
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
        return iter(range(max(start, self.first), min(start + self.per_epoch, self.total)))

    def __len__(self) -> int:
        """Crops of a whole epoch, those already seen included: Lightning takes them off itself."""
        return min(self.per_epoch, self.total)
