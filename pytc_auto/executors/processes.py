"""Blocks in processes of their own on this machine. One that is killed is noticed, and its block is told as failed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pytc_auto.executors.ledger import BlockLedger
from pytc_auto.executors.parent import end_with_parent
from pytc_auto.executors.task import Fault, Outcome, StagedTask, Task, outcomes_here
from pytc_auto.geometry import Box

Going = dict["Future[list[Outcome]]", tuple[Box, ...]]

TOGETHER = 4
"""Blocks that a process is given at once, if their reading, computing and writing can overlap."""

LOST = Fault("its process ended without a word", "The process was killed, for example because memory ran out.\n")


@dataclass(frozen=True)
class Sent:
    """A task on its way to other processes, which know it again by its name.

    Attributes:
        task: What is done to each block.
        name: Of this sending.
    """

    task: Task = field(compare=False)
    name: str = field(default_factory=lambda: uuid.uuid4().hex)


class Workers:
    """Processes that are started when the first blocks come, and then do the blocks of one stage after the other until the end.

    Args:
        environments: One process for each, with these environment variables before it imports anything that computes.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        self.environments = tuple(environments)
        self._pool: ProcessPoolExecutor | None = None

    def outcomes(self, task: Task, boxes: Sequence[Box], ledger: BlockLedger) -> Iterator[Outcome]:
        """Do blocks in the processes, and mark them; a fault does not stop the others.

        Args:
            task: Each process keeps the first copy that it gets.
            boxes: Of the blocks.
            ledger: Of the blocks.
        """
        waiting, sent = deque(boxes), Sent(task)
        room = (len(self.environments), TOGETHER if isinstance(task, StagedTask) else 1)
        while waiting:
            self._pool, going = self._pool or _pool(self.environments), Going()
            try:
                yield from _until_broken(self._pool, going, waiting, (sent, ledger), room)
                if going:
                    self.end()
                for batch in going.values():
                    yield from _lost(batch, ledger)
            except BaseException:
                self.kill()
                raise

    def end(self) -> None:
        """End the processes; nothing is at work."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def kill(self) -> None:
        """End the processes at once: nobody waits for blocks that are at work, and they are done again."""
        processes = {} if self._pool is None else self._pool._processes or {}
        for process in list(processes.values()):
            process.kill()
        self.end()


def outcomes_in_processes(
    task: Task, boxes: Sequence[Box], ledger: BlockLedger, environments: Sequence[Mapping[str, str]]
) -> Iterator[Outcome]:
    """The same in processes that are started for these blocks."""
    workers = Workers(environments)
    yield from workers.outcomes(task, boxes, ledger)
    workers.end()


def work(sent: Sent, ledger: BlockLedger, boxes: Sequence[Box]) -> list[Outcome]:
    """What a process does with a task that was sent to it."""
    return list(outcomes_here(_kept(sent), boxes, ledger))


@lru_cache(maxsize=1)
def _kept(sent: Sent) -> Task:
    """The copy of the task that came first, with the networks that it has loaded since."""
    return sent.task


def _until_broken(
    pool: ProcessPoolExecutor, going: Going, waiting: deque[Box], given: tuple[Sent, BlockLedger], room: tuple[int, int]
) -> Iterator[Outcome]:
    """Outcomes until all is done, or a process of the pool was killed: then the blocks that it had are still going.

    There is room for so many batches, each of so many blocks; towards the end they are smaller.
    """
    workers, together = room
    try:
        while waiting or going:
            while waiting and len(going) < workers:
                share = max(1, min(together, len(waiting) // (2 * workers)))
                batch = tuple(waiting.popleft() for _ in range(share))
                try:
                    going[pool.submit(work, *given, batch)] = batch
                except BrokenProcessPool:
                    waiting.extendleft(reversed(batch))
                    raise
            for future in wait(going, return_when=FIRST_COMPLETED).done:
                outcomes = future.result()
                del going[future]
                yield from outcomes
    except BrokenProcessPool:
        return


def _lost(batch: Sequence[Box], ledger: BlockLedger) -> Iterator[Outcome]:
    """The blocks of a process that was killed; some may have been marked before."""
    for box in batch:
        yield Outcome(box, None if ledger.is_done(box) else LOST)


def _pool(environments: Sequence[Mapping[str, str]]) -> ProcessPoolExecutor:
    """Processes that were not forked: CUDA, and threads that compute, do not outlive a fork."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    for environment in environments:
        queue.put(dict(environment))
    return ProcessPoolExecutor(len(environments), context, initializer=_begin, initargs=(queue,))


def _begin(queue: Any) -> None:
    """The first thing in a new process."""
    os.environ.update(queue.get())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
