"""Which crops an epoch sees: the next ones, so that a resumed run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import Sampler


class StepSampler(Sampler[int]):
    """Gives 0, 1, 2 … over the epochs: epoch e gives e·n … (e + 1)·n - 1, the last one what is left.

    Lightning calls ``set_epoch`` before each epoch. Crop i depends on the seed and i alone.
    """

    def __init__(self, per_epoch: int, total: int, *, first: int = 0) -> None:
        """Count the crops.

        Args:
            per_epoch: Crops of an epoch, n.
            total: Crops of all epochs.
            first: The first one not seen yet, where a run was stopped within an epoch.
        """
        self.per_epoch = per_epoch
        self.total = total
        self.first = first
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        start = self.epoch * self.per_epoch
        return iter(range(max(start, self.first), min(start + self.per_epoch, self.total)))

    def __len__(self) -> int:
        """Crops of this epoch, those already seen included: Lightning takes them off itself."""
        return max(0, min(self.per_epoch, self.total - self.epoch * self.per_epoch))
