"""Ends before the last step: at a time, by a signal, or when validation gains nothing more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from pytc_auto.executors.parent import end_with_parent

REQUEUE = signal.SIGUSR1
"""What SLURM is asked to send before a job's time is over: sbatch --signal=USR1@120."""


class StopAt(pl.Callback):
    """Ends the training cleanly at a time; Lightning validates once more before it stops."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.stopped = False

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_args: Any) -> None:  # noqa: ARG002
        """Ask the trainer to stop once the time is over in any process."""
        if self.stopped or self.deadline == float("inf"):
            return
        if trainer.strategy.reduce_boolean_decision(time.monotonic() >= self.deadline, all=False):
            self.stopped = True
            trainer.should_stop = True


class StopOnSignal(pl.Callback):
    """SIGTERM, Ctrl-C, and within SLURM what announces a job's end: the step is finished, a checkpoint saved, the process ends.

    The signal is only noted when it comes: in the middle of a step or of a validation the weights are not fit to be saved. A
    second Ctrl-C ends at once.
    """

    def __init__(self, checkpoint: Path) -> None:
        """Take where the checkpoint is saved."""
        self._checkpoint = checkpoint
        self._received: signal.Signals | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Listen instead of Lightning, until it puts back what it found."""
        if threading.current_thread() is threading.main_thread():
            for number in [signal.SIGTERM, signal.SIGINT, *([REQUEUE] if SLURMEnvironment.detect() else [])]:
                signal.signal(number, self._note)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_args: Any) -> None:  # noqa: ARG002
        """Save and end, once a signal came; not after the last step of an interval, which is validated and saved first.

        Raises:
            SystemExit: With a message, which is exit code 1.
        """
        if not trainer.fit_loop._should_accumulate() and not trainer.is_last_batch and self._came(trainer):
            trainer.save_checkpoint(self._checkpoint)
            self._end(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """End before what follows the training.

        Raises:
            SystemExit: With a message, which is exit code 1.
        """
        if self._came(trainer):
            self._end(trainer)

    def _came(self, trainer: pl.Trainer) -> bool:
        """Whether a signal came to any process."""
        return trainer.strategy.reduce_boolean_decision(self._received is not None, all=False)

    def _end(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero:
            sys.exit(0)
        if self._received is REQUEUE:
            _requeue()
        name = self._received.name if self._received else "a signal"
        sys.exit(f"Stopped by {name} at step {trainer.global_step}. The same command goes on from there.")

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == self._received == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = signal.Signals(number)


class StopWithParent(pl.Callback):
    """The other processes of a training end with the first one, however that ended; it may have left them waiting for it."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Watch, unless this is the first one."""
        if not trainer.is_global_zero:
            end_with_parent()


def _requeue() -> None:
    """Ask SLURM to start this job again."""
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    subprocess.run(["scontrol", "requeue", job], check=False)
