"""What the command line says of a training; it is never in the plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Flags:
    """Where a training runs, who watches it, and what it starts from.

    Attributes:
        devices: Processes on each node, one device each. A step then sees the crops of so many plans' batches.
        nodes: Machines.
        loggers: Beside TensorBoard and CSV: ``wandb``, ``mlflow``.
        init_from: Model folder, or a trained run or its name, whose weights a fold starts from as far as they fit; one that has
            started goes on from its own.
    """

    devices: int = 1
    nodes: int = 1
    loggers: tuple[str, ...] = ()
    init_from: Path | None = None

    @property
    def processes(self) -> int:
        """Of all nodes together."""
        return self.devices * self.nodes
