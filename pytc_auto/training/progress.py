"""One bar over all steps: rate, time left, loss, and the best validation so far."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LOG_EVERY_SHARE = 0.05
"""Without a terminal a line is printed after each of these shares."""


class StepProgress(pl.Callback):
    """Shows how far the training is."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._console = Console()
        done = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[scores]}"))
        self._bar = Progress(*done, *times, console=self._console, refresh_per_second=2)
        self._task = self._bar.add_task("steps", rate="", scores="")
        self._last = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start from where the training stands. Of several processes the first one shows it."""
        self._console.quiet = not trainer.is_global_zero
        self._bar.update(self._task, total=self._steps, completed=trainer.global_step)
        if self._console.is_terminal:
            self._bar.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_args: Any) -> None:  # noqa: ARG002
        """Advance."""
        task = self._bar.tasks[0]
        rate = f"{task.speed:.2f} steps/s" if task.speed else ""
        self._bar.update(self._task, completed=trainer.global_step, rate=rate, scores=_scores(trainer))
        share = trainer.global_step / self._steps
        if not self._console.is_terminal and share - self._last >= LOG_EVERY_SHARE:
            self._last = share
            left = f", {task.time_remaining / 60:.0f} min left" if task.time_remaining else ""
            self._console.print(f"step {trainer.global_step} of {self._steps}{left} {_scores(trainer)}", highlight=False)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Say why no step is made."""
        self._bar.update(self._task, description="validating")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Go on."""
        self._bar.update(self._task, description="steps")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Leave the bar as it is."""
        self._bar.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """Give the terminal back."""
        self._bar.stop()


def _scores(trainer: pl.Trainer) -> str:
    """The newest losses and validation score."""
    shown = {k: v for k, v in trainer.callback_metrics.items() if k.startswith("train/") or k == "validation/score"}
    return ", ".join(f"{name.partition('/')[2] if 'train' in name else 'validation'} {float(v):.3f}" for name, v in shown.items())
