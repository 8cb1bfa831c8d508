"""The processes of this machine that share the work on a volume."""

from __future__ import annotations

import os

from pytc_auto.executors.executor import Executor
from pytc_auto.executors.shard import WHOLE, Shard
from pytc_auto.pipeline.device import device


def make_executor(workers: int = 1, *, shard: Shard | None = None, dask: str | None = None) -> Executor:
    """A way to run blocks.

    Args:
        workers: Processes on this machine, each on a GPU of its own (several share one where there are fewer), or with its share
            of the cores. With 1 there is no other process. With ``dask`` ``slurm`` they are jobs.
        shard: The part of the blocks that this call does; other calls, on whichever machine, do the others.
        dask: The address of a dask scheduler, ``local`` or ``slurm``.

    Processes are started anew, so a script that asks for them does its own work under ``if __name__ == "__main__":``.
    """
    alone = workers == 1 and dask is None
    return Executor(() if alone else worker_environments(workers), shard or WHOLE, dask)


def worker_environments(workers: int) -> tuple[dict[str, str], ...]:
    """What each process sees of this machine: one GPU, or as many threads as are its share of the cores."""
    import torch

    if device() == "cuda":
        seen = os.environ.get("CUDA_VISIBLE_DEVICES")
        numbers = seen.split(",") if seen else [str(number) for number in range(torch.cuda.device_count())]
        return tuple({"CUDA_VISIBLE_DEVICES": numbers[i % len(numbers)]} for i in range(workers))
    threads = str(max(1, torch.get_num_threads() // workers))
    return tuple({"OMP_NUM_THREADS": threads} for _ in range(workers))
