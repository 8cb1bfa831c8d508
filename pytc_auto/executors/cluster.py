"""Blocks through dask.distributed: to a scheduler that is there, to processes here, or to jobs of SLURM.

Only blocks that a worker is free for are submitted, never the whole volume. What is finished stands in the ledger; a scheduler
that is lost loses nothing.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from pytc_auto.errors import OutputError
from pytc_auto.executors.ledger import BlockLedger
from pytc_auto.executors.processes import LOST, Sent, work
from pytc_auto.executors.task import Fault, Outcome, Task
from pytc_auto.geometry import Box

AHEAD = 2
"""Blocks submitted per thread of the workers."""
MEMORY = "8GB"
"""Of a SLURM job, if dask's configuration (jobqueue.slurm.memory) does not tell."""

_ONE_AT_A_TIME = threading.Lock()


def outcomes_in_cluster(
    task: Task, boxes: Sequence[Box], ledger: BlockLedger, *, where: str, environments: Sequence[Mapping[str, str]]
) -> Iterator[Outcome]:
    """Do blocks on the workers of a cluster, and mark them; a fault does not stop the others.

    Args:
        task: What is done to each block.
        boxes: Of the blocks.
        ledger: Of the blocks; its folder is on a disk that the workers share.
        where: The address of a scheduler, ``local`` or ``slurm``.
        environments: Of local processes, one each; as many jobs are asked for from SLURM. A scheduler has its own workers.

    Raises:
        OutputError: dask is not installed, or the scheduler cannot be reached.
    """
    with _client(where, environments) as client:
        from distributed import as_completed

        sent, waiting, ended = Sent(task), deque(boxes), as_completed(loop=client.loop)
        going: dict[str, Box] = {}
        while waiting or going:
            room = AHEAD * max(1, sum(client.nthreads().values()))
            while waiting and len(going) < room:
                box = waiting.popleft()
                future = client.submit(_work_alone, sent, ledger, box, pure=False, retries=0)
                going[future.key] = box
                ended.add(future)
            future = next(ended)
            yield _outcome(going.pop(future.key), future, ledger)
            future.release()


def _work_alone(sent: Sent, ledger: BlockLedger, box: Box) -> Outcome:
    """A block in a worker, which may have several threads: memory is for one block."""
    with _ONE_AT_A_TIME:
        (outcome,) = work(sent, ledger, (box,))
        return outcome


def _outcome(box: Box, future: Any, ledger: BlockLedger) -> Outcome:
    """What became of a block."""
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    if ledger.is_done(box):
        return Outcome(box)
    error = future.exception() if future.status == "error" else None
    if error is None or type(error).__name__ == "KilledWorker":
        return Outcome(box, LOST)
    return Outcome(box, Fault.of(error))


@contextmanager
def _client(where: str, environments: Sequence[Mapping[str, str]]) -> Iterator[Any]:
    """A connection to the cluster; what was started for it ends with it."""
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise OutputError("--dask needs dask.distributed. Run: pip install 'pytc-auto[dask]'") from error
    with ExitStack() as stack:
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
        try:
            started = _STARTERS[where](environments) if where in _STARTERS else None
            cluster = where if started is None else stack.enter_context(started)
            client = stack.enter_context(Client(cluster, set_as_default=False))
        except (OSError, ValueError, TimeoutError) as error:
            raise OutputError(
                f"--dask {where}: no cluster can be used there ({error}). Give the address of a running scheduler, such as "
                "tcp://host:8786, or local, or slurm."
            ) from error
        yield client


def _local(environments: Sequence[Mapping[str, str]]) -> Any:
    """A scheduler in this process, and a process for each environment."""
    from distributed import Nanny, Scheduler, SpecCluster

    here = {"host": "127.0.0.1", "dashboard": False}
    quiet = {"silence_logs": logging.CRITICAL}
    workers = {
        number: {"cls": Nanny, "options": {"nthreads": 1, "env": dict(environment), **here, **quiet}}
        for number, environment in enumerate(environments)
    }
    scheduler = {"cls": Scheduler, "options": {"protocol": "tcp", "dashboard_address": "127.0.0.1:0", **here}}
    return SpecCluster(workers=workers, scheduler=scheduler, **quiet)


def _slurm(environments: Sequence[Mapping[str, str]]) -> Any:
    """As many jobs, as dask's configuration describes them."""
    import dask

    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError as error:
        raise OutputError("--dask slurm needs dask-jobqueue. Run: pip install 'pytc-auto[dask]'") from error
    told = dask.config.get("jobqueue.slurm", {})
    cluster = SLURMCluster(cores=told.get("cores") or 1, memory=told.get("memory") or MEMORY)
    cluster.scale(jobs=len(environments))
    return cluster


_STARTERS = {"local": _local, "slurm": _slurm}
