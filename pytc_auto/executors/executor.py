"""Where the blocks of a job are done, and what happens to those that fail."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from pytc_auto.errors import OutputError
from pytc_auto.executors.ledger import BlockLedger
from pytc_auto.executors.processes import Workers, outcomes_in_processes
from pytc_auto.executors.shard import WHOLE, Shard
from pytc_auto.executors.task import Fault, Outcome, Task, outcomes_here
from pytc_auto.geometry import Box

HOPELESS = 8
"""If so many blocks fail before the first succeeds, the others are not tried: something is wrong with all of them."""
SHOWN = 5

Finished = Callable[[float], None]
"""Told the voxels of the blocks that are finished."""

Outcomes = Generator[Outcome, None, None]


@dataclass(frozen=True)
class Executor:
    """A way to run the blocks of a job. What is finished stands in the ledger: another way may go on from there.

    Attributes:
        environments: Environment variables of each worker process. None at all: no other process, the work is done in this one.
        shard: The part of the blocks that is done by this command.
        dask: The address of a dask scheduler, ``local`` or ``slurm``; None without dask.
        workers: Processes that go on from one job to the next; None: each job starts its own.
    """

    environments: tuple[Mapping[str, str], ...] = ()
    shard: Shard = WHOLE
    dask: str | None = None
    workers: Workers | None = None

    @contextmanager
    def staying(self) -> Iterator[Executor]:
        """The same; its processes on this machine, if it has any, are started once for all jobs of the context."""
        workers = Workers(self.environments)
        try:
            yield replace(self, workers=workers)
        finally:
            workers.end()

    def run(self, task: Task, boxes: Sequence[Box], ledger: BlockLedger, finished: Finished = lambda _: None) -> None:
        """Do those of the shard's blocks that the ledger does not have, and mark them.

        A block that fails is tried once more when the others are done, in a process by itself; if it fails again, the ledger
        keeps the reason, and the same call another day tries it anew.

        Args:
            task: Reads from the disk and writes its own block; picklable, if there are other processes.
            boxes: All blocks of the job, the same in each shard.
            ledger: Of the job.
            finished: Told how many voxels of the shard are finished.

        Raises:
            OutputError: Blocks failed twice, all are listed; or the disk is full, which ends the job at once.
        """
        ledger.expect(len(boxes))
        mine = self.shard.of(boxes)
        left, failed = ledger.left(mine), dict[Box, Fault]()
        count = _Count(finished, sum(box.size for box in mine) - sum(box.size for box in left))
        while left:
            faults = _attempt(self._outcomes(task, left, ledger, count), count)
            failed |= _attempt(self._again(task, list(faults), ledger, count), count)
            if failed and not count.succeeded:
                break
            left = [box for box in ledger.left(left) if box not in failed]
        if failed:
            places = [ledger.quarantine(box, f"{fault.summary}\n\n{fault.traceback}") for box, fault in failed.items()]
            raise _quarantined(failed, len(mine), places[0].parent)

    def _outcomes(self, task: Task, boxes: Sequence[Box], ledger: BlockLedger, count: _Count) -> Outcomes:
        """How each block ends, as it does."""
        if boxes and self.dask is not None:
            from pytc_auto.executors.cluster import outcomes_in_cluster

            yield from outcomes_in_cluster(task, boxes, ledger, where=self.dask, environments=self.environments or ({},))
        elif boxes and self.environments and self.workers is not None:
            yield from self.workers.outcomes(task, boxes, ledger)
        elif boxes and self.environments:
            yield from outcomes_in_processes(task, boxes, ledger, self.environments)
        else:
            yield from outcomes_here(task, boxes, ledger, count.share)

    def _again(self, task: Task, boxes: Sequence[Box], ledger: BlockLedger, count: _Count) -> Outcomes:
        """The second attempt. Of processes that are killed together, one alone may be the cause: now each is alone."""
        if self.environments and self.dask is None:
            for box in boxes:
                yield from outcomes_in_processes(task, [box], ledger, self.environments[:1])
        else:
            yield from self._outcomes(task, boxes, ledger, count)


class _Count:
    """Voxels that are finished, with the shares of the blocks that are not, and whom to tell."""

    def __init__(self, told: Finished, voxels: float) -> None:
        self.told, self.voxels = told, voxels
        self.shares: dict[Box, float] = {}
        self.succeeded = False
        told(voxels)

    def share(self, box: Box, share: float) -> None:
        """So much of a block is computed; it may not be written yet."""
        self.shares[box] = share
        self.told(self.voxels + sum(part * each.size for each, part in self.shares.items()))

    def end(self, outcome: Outcome) -> None:
        """A block is finished, or has failed."""
        self.shares.pop(outcome.box, None)
        if outcome.fault is None:
            self.voxels += outcome.box.size
            self.succeeded = True
        self.told(self.voxels + sum(part * each.size for each, part in self.shares.items()))


def _attempt(outcomes: Outcomes, count: _Count) -> dict[Box, Fault]:
    """Blocks that failed, and why.

    Raises:
        Exception: What concerns all blocks, as it was raised.
    """
    faults: dict[Box, Fault] = {}
    with closing(outcomes):
        for outcome in outcomes:
            count.end(outcome)
            if outcome.fault is not None:
                if outcome.fault.stops is not None:
                    raise outcome.fault.stops
                faults[outcome.box] = outcome.fault
            if len(faults) >= HOPELESS and not count.succeeded:
                break
    return faults


def _quarantined(faults: Mapping[Box, Fault], blocks: int, folder: object) -> OutputError:
    """What is said in the end."""
    lines = [f"block {box}: {fault.summary}" for box, fault in list(faults.items())[:SHOWN]]
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    advice = f"Finished blocks are kept. Read {folder}, mend the cause, and run the same command again."
    return OutputError("\n".join([f"{len(faults)} of {blocks} blocks failed twice:", *lines, *more, advice]))
