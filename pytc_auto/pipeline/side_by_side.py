"""Folds trained at the same time, each in a process of its own on a device of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pytc_auto.errors import OutputError, PlanError, PytcError
from pytc_auto.pipeline.runs import Run
from pytc_auto.schema.plan import Plan
from pytc_auto.training.flags import Flags

POLL_SECONDS = 0.5
LOG = "train.log"
"""In the fold's folder: what its process said."""


def check_devices(plan: Plan, flags: Flags) -> None:
    """Folds side by side need a GPU each.

    Raises:
        PlanError: There are not so many.
    """
    import torch

    found = torch.cuda.device_count() if plan.machine.device == "cuda" else 0
    if flags.nodes > 1 or flags.devices > found:
        has = f"{found} GPUs here" if plan.machine.device == "cuda" else "a plan for the CPU"
        raise PlanError(
            f"--fold all trains a fold on each device of this machine, {flags.devices} on {flags.nodes} node(s) are asked for, "
            f"and there is {has}. Give a --devices that is there; without it folds are trained one after another."
        )


@dataclass
class _Going:
    """Processes by fold, and what is free."""

    free: list[int]
    processes: dict[int, tuple[subprocess.Popen[bytes], int]] = field(default_factory=dict)

    def ended(self) -> list[tuple[int, int]]:
        """Folds whose process ended, with its exit code; their devices are free again."""
        done = [number for number, (process, _) in self.processes.items() if process.poll() is not None]
        codes = []
        for number in done:
            process, device = self.processes.pop(number)
            self.free.append(device)
            codes.append((number, process.returncode))
        return codes

    def terminate(self) -> None:
        """Each saves a checkpoint and ends."""
        for process, _ in self.processes.values():
            process.terminate()
        for process, _ in self.processes.values():
            process.wait()


def train_side_by_side(
    run: Run, numbers: Sequence[int], flags: Flags, *, max_seconds: float | None, say: Callable[[str], None]
) -> bool:
    """Train folds, as many at once as there are devices; the same call resumes.

    Returns:
        Whether the time ended one of them.

    Raises:
        OutputError: A fold failed; the others are trained first.
    """
    waiting, faults, stopped = list(numbers), [], False
    going = _Going(list(range(flags.devices)))
    with _terminated(going):
        while waiting or going.processes:
            while waiting and going.free:
                number, device = waiting.pop(0), going.free.pop(0)
                going.processes[number] = (_start(run, number, flags, device, max_seconds), device)
                say(f"Fold {number} on device {device}; it writes to {run.fold(number) / LOG}")
            time.sleep(POLL_SECONDS)
            for number, code in going.ended():
                last = _last_line(run.fold(number) / LOG)
                say(f"Fold {number} {'is trained' if code == 0 else f'failed: {last}'}")
                stopped |= code == 0 and json.loads(last)["stopped"]
                faults += [f"fold {number}: {last}"] if code else []
    if faults:
        raise OutputError("\n".join(faults))
    return stopped


@contextmanager
def _terminated(going: _Going) -> Iterator[None]:
    """Nothing goes on when this process ends, SIGTERM included."""

    def end(*_: object) -> None:
        sys.exit("Stopped by SIGTERM. The same command goes on from there.")

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, end) if main else None
    try:
        yield
    finally:
        going.terminate()
        if main:
            signal.signal(signal.SIGTERM, before)


def _start(run: Run, number: int, flags: Flags, device: int, max_seconds: float | None) -> subprocess.Popen[bytes]:
    task = {"run": str(run.folder), "fold": number, "max_seconds": max_seconds, "loggers": flags.loggers}
    task["init_from"] = None if flags.init_from is None else str(flags.init_from)
    log = run.fold(number) / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        command = [sys.executable, "-m", __name__, json.dumps(task)]
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **_only(device)})


def _only(device: int) -> dict[str, str]:
    """The process sees one of the devices that this one sees."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": seen.split(",")[device] if seen else str(device)}


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"its process ended without a word; see {log}"


def _run(text: str) -> None:
    """The child's part."""
    from pytc_auto.executors.parent import end_with_parent
    from pytc_auto.pipeline.training import train_fold

    end_with_parent()
    task = json.loads(text)
    run = Run(Path(task["run"]))
    start = None if task["init_from"] is None else Path(task["init_from"])
    flags = Flags(loggers=tuple(task["loggers"]), init_from=start)
    try:
        stopped = train_fold(run, run.plan(), task["fold"], max_seconds=task["max_seconds"], flags=flags, say=print)
    except PytcError as error:
        sys.exit(str(error).replace("\n", "; "))
    sys.stdout.write(json.dumps({"stopped": stopped}) + "\n")


if __name__ == "__main__":
    _run(sys.argv[1])
