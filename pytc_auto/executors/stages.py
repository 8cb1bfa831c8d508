"""How far the stages of a job are, as their ledgers on disk tell; nothing is changed."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from pytc_auto.executors.ledger import FAILED, OWNER, RUNNING, TOTAL
from pytc_auto.executors.presence import Worker, read_worker

_BLOCK = re.compile(r"\d+-\d+_\d+-\d+_\d+-\d+")


@dataclass(frozen=True)
class Stage:
    """The blocks of one stage.

    Attributes:
        name: Of the stage.
        blocks: How many there are; None before the first was begun.
        done: How many are written.
        running: Who is at which block.
        ended: Blocks whose process was killed or is silent.
        failed: The error of each block that failed twice.
    """

    name: str
    blocks: int | None
    done: int
    running: dict[str, Worker]
    ended: dict[str, Worker]
    failed: dict[str, str]


def read_stages(folder: Path) -> list[Stage]:
    """The stages whose ledgers are in a folder, in the order in which they were begun."""
    owners = [path for pattern in (f"*/{OWNER}", f"*/*/{OWNER}") for path in folder.glob(pattern) if path.is_file()]
    return [_stage(path.parent) for path in sorted(owners, key=lambda path: (path.stat().st_mtime_ns, str(path)))]


def _stage(folder: Path) -> Stage:
    total = None
    with contextlib.suppress(OSError, ValueError):
        total = int((folder / TOTAL).read_text(encoding="utf-8"))
    running: dict[str, Worker] = {}
    ended: dict[str, Worker] = {}
    for path in _blocks(folder / RUNNING):
        worker = read_worker(path)
        if worker is not None:
            (ended if worker.ended(path) else running)[path.name] = worker
    failed = {path.name: _first_line(path) for path in _blocks(folder / FAILED)}
    return Stage(folder.name, total, len(_blocks(folder)), running, ended, failed)


def _blocks(folder: Path) -> list[Path]:
    """The files of blocks."""
    return sorted(path for path in folder.iterdir() if _BLOCK.fullmatch(path.name)) if folder.is_dir() else []


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError as error:
        return f"not known ({error})"
