"""Steps whose loss is NaN or infinite are skipped; after many in a row the training gives up and leaves the batch to look at."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from safetensors.torch import save_file
from torch import Tensor

from pytc_auto.errors import ModelError
from pytc_auto.files import whole

MOST_IN_A_ROW = 10
BATCH_FILE = "nonfinite_batch.safetensors"

_log = logging.getLogger(__name__)


class SkipNonFinite(pl.Callback):
    """Leaves the weights as they are where a loss or a gradient is not finite, and counts such steps.

    Whether a step is sound is asked once a step, all its accumulated batches and all processes together. Under fp16 only the
    loss is looked at: gradients that overflow are the scaler's daily work.
    """

    def __init__(self, folder: Path, last_good: Path) -> None:
        """Take where things lie.

        Args:
            folder: Where the batch is saved.
            last_good: Checkpoint to name in the error.
        """
        self.skipped = 0
        self.in_a_row = 0
        self._folder = folder
        self._last_good = last_good
        self._finite: Tensor | bool = True
        self._batch: Any = None
        self._kept: Any = None

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Remember the batch until its step is done."""
        self._batch = batch

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:  # noqa: ARG002
        """Note whether the loss is finite, without waiting for it; before the last straw, keep the batch that is to blame."""
        finite = torch.isfinite(loss.detach())
        self._finite = finite & self._finite
        if self.in_a_row == MOST_IN_A_ROW - 1 and not finite:
            self._kept = self._batch

    def on_before_optimizer_step(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """Without gradients an optimizer changes nothing.

        Raises:
            ModelError: Ten steps in a row were skipped.
        """
        finite = bool(self._finite) and (trainer.precision == "16-mixed" or _gradients_are_finite(pl_module))
        self._finite = True
        if trainer.strategy.reduce_boolean_decision(finite, all=True):
            self.in_a_row = 0
            return
        optimizer.zero_grad(set_to_none=True)
        self.skipped += 1
        self.in_a_row += 1
        _log.warning("step %d: the loss is not finite. It is skipped (%d so far)", trainer.global_step, self.skipped)
        if self.in_a_row >= MOST_IN_A_ROW:
            raise ModelError(self._told(trainer.global_step, self._saved()))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_args: Any) -> None:  # noqa: ARG002
        """Log the count."""
        self._batch = None
        pl_module.log("skipped_steps", float(self.skipped))

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.skipped, self.in_a_row = state_dict["skipped"], state_dict["in_a_row"]

    def _saved(self) -> Path:
        path = self._folder / BATCH_FILE
        with whole(path) as partial:
            save_file(named_tensors(self._batch if self._kept is None else self._kept), partial)
        return path

    def _told(self, step: int, saved: Path) -> str:
        good = str(self._last_good) if self._last_good.is_file() else "none yet"
        return (
            f"step {step}: the loss was not finite {MOST_IN_A_ROW} times in a row. The batch is in {saved}, the last good "
            f"checkpoint is {good}. Look for NaN in the batch; if there is none, lower optimizer.learning_rate or use precision "
            "fp32 and train again"
        )


def named_tensors(batch: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a batch of crops by name: image, targets.0.values, targets.0.mask, ..."""
    targets = {f"targets.{n}.{key}": tensor for n, target in enumerate(batch["targets"]) for key, tensor in target.items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in {"image": batch["image"], **targets}.items()}


def _gradients_are_finite(module: pl.LightningModule) -> bool:
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    return bool(torch.isfinite(torch.nn.utils.get_total_norm(gradients)))
