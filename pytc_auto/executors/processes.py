"""Blocks in processes of their own on this machine. One that is killed is noticed, and its block is told as failed."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
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


def outcomes_in_processes(
    task: Task, boxes: Sequence[Box], ledger: BlockLedger, environments: Sequence[Mapping[str, str]]
) -> Iterator[Outcome]:
    """Do blocks in several processes, and mark them; a fault does not stop the others.

    Args:
        task: It is pickled once, and kept by each process.
        boxes: Of the blocks.
        ledger: Of the blocks.
        environments: One process for each, with these environment variables before it imports anything that computes.
    """
    waiting, payload = deque(boxes), pickle.dumps(task)
    together = TOGETHER if isinstance(task, StagedTask) else 1
    while waiting:
        pool, going = _pool(environments), Going()
        try:
            yield from _until_broken(pool, going, waiting, (payload, ledger), (len(environments), together))
            for batch in going.values():
                yield from _lost(batch, ledger)
        except BaseException:
            _kill(pool)
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def work(payload: bytes, ledger: BlockLedger, boxes: Sequence[Box]) -> list[Outcome]:
    """What a process does with a pickled task."""
    return list(outcomes_here(_unpickled(payload), boxes, ledger))


@lru_cache(maxsize=1)
def _unpickled(payload: bytes) -> Task:
    """The task, with the networks that it has loaded. Its bytes come from the process that started this one, from no file."""
    task: Task = pickle.loads(payload)
    return task


def _until_broken(
    pool: ProcessPoolExecutor, going: Going, waiting: deque[Box], given: tuple[bytes, BlockLedger], room: tuple[int, int]
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


def _kill(pool: ProcessPoolExecutor) -> None:
    """Nobody waits for blocks that are at work; they are done again."""
    for process in list((pool._processes or {}).values()):
        process.kill()
