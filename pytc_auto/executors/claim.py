"""Work that only one of several processes may do, on one machine or many that share a disk.

A claim is a row of files NAME.0, NAME.1, …: the last one tells who has the claim. Whoever finds it given back, or its process
ended, makes the next file, which the file system lets only one do. No file is removed, so none is made twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytc_auto.executors.presence import Presence, Worker, read_worker

POLL_SECONDS = 0.5
_GIVEN_BACK = "given back\n"


@contextmanager
def claimed(path: Path, *, waiting: Callable[[Worker], None] | None = None) -> Iterator[Worker | None]:
    """Try to have a claim while the context lasts.

    Args:
        path: Of the claim's files, without their numbers; the folder is made.
        waiting: Told who has it, again and again until it is free; None not to wait.

    Yields:
        None if the claim is had by this process, else who has it. What the holder was to do may be done by then: look again.
    """
    presence, other = _take(path)
    while other is not None and waiting is not None:
        waiting(other)
        time.sleep(POLL_SECONDS)
        presence, other = _take(path)
    try:
        yield other
    finally:
        if presence is not None:
            presence.end(_GIVEN_BACK)


def _take(path: Path) -> tuple[Presence | None, Worker | None]:
    """Our own file, or else who has the claim."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        number = max((int(p.name.rpartition(".")[2]) for p in path.parent.glob(f"{path.name}.*")), default=-1)
        last = path.with_name(f"{path.name}.{number}")
        holder = read_worker(last) if number >= 0 else None
        if holder is not None and not holder.ended(last):
            return None, holder
        presence = Presence(path.with_name(f"{path.name}.{number + 1}"))
        if presence.begin(only_if_absent=True):
            return presence, None
