"""What can be done to a block, and doing it to one after another in this process.

    reading thread   read 0 │ read 1 │ read 2    │ …
    this thread             │ compute 0 │ compute 1 │ …
    writing thread                      │ write 0   │ write 1 …

A task that tells its three parts apart has them overlap, as drawn. One block is read ahead and one is being written, so three are
held at a time, whatever the volume.
"""

from __future__ import annotations

import errno
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any, Self

from pytc_auto.errors import OutputError
from pytc_auto.executors.ledger import BlockLedger
from pytc_auto.executors.presence import Presence
from pytc_auto.geometry import Box

Task = Callable[[Box], None]
"""Reads from the disk, writes its own block to the disk, whole or not at all, and nothing else. It can be pickled."""

Share = Callable[[float], None]
"""Told the share of a block that is computed."""

BlockShare = Callable[[Box, float], None]
"""Told a block, and the share of it that is computed."""

_NO_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class StagedTask(ABC):
    """A task in three parts, of which those of neighboring blocks may overlap. It is called as any task."""

    @abstractmethod
    def read(self, box: Box) -> Any:
        """What the block is made from."""

    @abstractmethod
    def compute(self, found: Any, share: Share) -> Any:
        """What is to be written, from what was read."""

    @abstractmethod
    def write(self, box: Box, made: Any) -> None:
        """Write what was computed."""

    def __call__(self, box: Box) -> None:
        """All three."""
        self.write(box, self.compute(self.read(box), lambda _: None))


@dataclass(frozen=True)
class Fault:
    """Why a block failed.

    Attributes:
        summary: The error in a line.
        traceback: Where it came from.
        stops: The error itself, if it concerns all blocks: the disk is full, or the output cannot be written.
    """

    summary: str
    traceback: str
    stops: Exception | None = None

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """What is kept of an error."""
        lines = str(error).strip().splitlines()
        stops = isinstance(error, OutputError) or (isinstance(error, OSError) and error.errno in _NO_DISK)
        told = "".join(traceback.format_exception(error))
        return cls(f"{type(error).__name__}: {lines[0] if lines else ''}", told, error if stops else None)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Outcome:
    """How a block ended: written and marked, or with a fault."""

    box: Box
    fault: Fault | None = None


def outcomes_here(
    task: Task, boxes: Sequence[Box], ledger: BlockLedger, share: BlockShare = lambda *_: None
) -> Iterator[Outcome]:
    """Do blocks one after another in this process, and mark them; a fault does not stop the others."""
    if isinstance(task, StagedTask):
        yield from _overlapping(task, boxes, ledger, share)
        return
    for box in boxes:
        try:
            with ledger.running(box):
                task(box)
                ledger.mark(box)
        except Exception as error:
            yield Outcome(box, Fault.of(error))
        else:
            yield Outcome(box)


def _overlapping(task: StagedTask, boxes: Sequence[Box], ledger: BlockLedger, share: BlockShare) -> Iterator[Outcome]:
    """Compute in this thread, read the next and write the last block beside it."""
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        writing: Future[Outcome] | None = None
        reading = [reader.submit(task.read, box) for box in boxes[:1]]
        for box, following in zip_longest(boxes, boxes[1:]):
            if following is not None:
                reading.append(reader.submit(task.read, following))
            running = ledger.running(box)
            made = _computed(task, reading.pop(0), partial(share, box), running)
            before, writing = writing, writer.submit(_written, task, box, [made], ledger, running)
            del made
            if before is not None:
                yield before.result()
        if writing is not None:
            yield writing.result()


def _computed(task: StagedTask, reading: Future[Any], share: Share, running: Presence) -> Any:
    """What is to be written, or a fault."""
    try:
        running.begin()
        return task.compute(reading.result(), share)
    except Exception as error:
        return Fault.of(error)
    except BaseException:
        running.end()
        raise


def _written(task: StagedTask, box: Box, made: list[Any], ledger: BlockLedger, running: Presence) -> Outcome:
    """Write the one thing in the list, which nobody else keeps."""
    try:
        values = made.pop()
        if isinstance(values, Fault):
            return Outcome(box, values)
        task.write(box, values)
        ledger.mark(box)
    except Exception as error:
        return Outcome(box, Fault.of(error))
    finally:
        running.end()
    return Outcome(box)
