"""The part of a volume's blocks that one of several commands does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytc_auto.geometry import Box


@dataclass(frozen=True)
class Shard:
    """Every ``count``-th block, from number ``index`` on."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"a shard is one of 0 to {self.count - 1}, got {self.index}")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, boxes: Sequence[Box]) -> Sequence[Box]:
        """The blocks of this shard."""
        return boxes[self.index :: self.count]


WHOLE = Shard()
"""All blocks."""
