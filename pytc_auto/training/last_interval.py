"""The last interval of a training may be shorter than the others; it is validated like them."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from pytc_auto.schema.plan import Plan


class ValidateLastInterval(pl.Callback):
    """Tells Lightning when an interval ends: it counts the batches of the first one, and waits for as many in the last.

    Args:
        plan: How many steps there are, in intervals of how many.
    """

    def __init__(self, plan: Plan) -> None:
        self._sampling = plan.sampling

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:  # noqa: ARG002
        """Count the batches of the interval that begins."""
        every = self._sampling.validate_every
        first = trainer.global_step // every * every
        steps = min(every, self._sampling.steps - first)
        if 0 < steps < every:
            trainer.val_check_batch = steps * self._sampling.accumulate
