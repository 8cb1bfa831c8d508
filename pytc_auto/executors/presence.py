"""Files that say which process is at work on something, and whether it still is.

Such a file is touched every few seconds as long as its process lives, so that a process on another machine, which cannot ask
for it, notices that it was killed.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from pytc_auto.files import create_whole, write_whole

BEAT_SECONDS = 10.0
SILENT_SECONDS = 120.0
"""A file that was not touched for so long is of a process that has ended, wherever it was."""


@dataclass(frozen=True)
class Worker:
    """A process that says it is at work.

    Attributes:
        host: Its machine's name.
        pid: Its number there.
        born: When it began, in the machine's ticks: numbers are given again. 0 where the system does not tell.
        since: When its work began, in seconds of the epoch.
    """

    host: str
    pid: int
    born: int
    since: float

    @classmethod
    def this(cls) -> Worker:
        """This process, at work from now on."""
        return cls(socket.gethostname(), os.getpid(), _born(os.getpid()), time.time())

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (since {time.strftime('%Y-%m-%d %H:%M', time.localtime(self.since))})"

    def ended(self, path: Path) -> bool:
        """Whether the process that wrote the file is no more: gone from this machine, or silent for long."""
        if self.host == socket.gethostname() and not _is_alive(self.pid, self.born):
            return True
        try:
            return time.time() - path.stat().st_mtime > SILENT_SECONDS
        except FileNotFoundError:
            return True


class Presence:
    """The file of this process; it is touched until ``end``.

    Args:
        path: Where the file is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._over = threading.Event()

    def begin(self, *, only_if_absent: bool = False) -> bool:
        """Write the file. Gives False, and writes nothing, if it must be absent but is there."""
        text = json.dumps(asdict(Worker.this()))
        if only_if_absent and not create_whole(self.path, text):
            return False
        if not only_if_absent:
            write_whole(self.path, text)
        threading.Thread(target=self._touch, daemon=True, name="presence").start()
        return True

    def end(self, last: str | None = None) -> None:
        """Remove the file, or leave a last word in it."""
        self._over.set()
        if last is None:
            self.path.unlink(missing_ok=True)
        else:
            write_whole(self.path, last)

    def _touch(self) -> None:
        """Until the end, or until someone removed the file."""
        while not self._over.wait(BEAT_SECONDS):
            try:
                os.utime(self.path)
            except FileNotFoundError:
                return
            except OSError:  # of a file server that is busy; the next beat may reach it
                continue

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def read_worker(path: Path) -> Worker | None:
    """Whose a file is; None if it is gone or no such file."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Worker(str(told["host"]), int(told["pid"]), int(told["born"]), float(told["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_alive(pid: int, born: int) -> bool:
    """Whether a process of this machine lives and is the one that was meant."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not born or _born(pid) == born


def _born(pid: int) -> int:
    """When a process began, in ticks since the machine did; 0 where the system does not tell, or the process has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    state, *fields = stat.rpartition(")")[2].split()
    return 0 if state == "Z" else int(fields[18])
