"""How far a long step is: what a stage tells, and the bars that a person sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from pytc_auto.geometry import Box

Progress = Callable[[str, float, float], None]
"""Told the step, the voxels that are finished, and the voxels in all (0 while a step cannot tell how far it is)."""


def silent(_what: str, _done: float, _of: float) -> None:
    """Nobody watches."""


def walked(what: str, progress: Progress, boxes: Sequence[Box]) -> Iterator[Box]:
    """The boxes one after another; each counts as finished when the next one is asked for."""
    of, done = sum(box.size for box in boxes), 0
    progress(what, 0, of)
    for box in boxes:
        yield box
        done += box.size
        progress(what, done, of)


class Bars:
    """One bar per step, shown from its first word on. Leaving the context gives the terminal back.

    Args:
        console: Where to draw; where it is no terminal, a group of bars is printed once, when it is done.
    """

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), _Share(), _Rate())
        self._bars = RichProgress(*columns, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console)
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: float, of: float) -> None:
        """Show a step."""
        if not self._bars.live.is_started:
            self._bars = RichProgress(*self._bars.columns, console=self._bars.console)
            self._tasks = {}
            self._bars.start()
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=None)
        self._bars.update(self._tasks[what], total=of or None, completed=done)

    def say(self, what: str) -> None:
        """Print a line; the bars above it stay as they are, the next step starts a new group."""
        self.stop()
        self._bars.console.print(what, style="bold", markup=False, highlight=False)

    def stop(self) -> None:
        """Leave the bars as they are."""
        if self._bars.live.is_started:
            self._bars.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class _Share(ProgressColumn):
    """Percent, once the whole is known."""

    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.percentage:3.0f} %")


class _Rate(ProgressColumn):
    """Voxels per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed / 1e6:.3g} Mvoxels/s")
