"""The average of the weights over the steps: it is validated, saved as the best, and exported. One way at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_avg_fn

from pytc_auto.schema.plan import Plan

AverageOf = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The average before, the weights now, and how many were averaged: the average after."""


class Averaging(WeightAveraging):
    """Averages after every step that changed the weights."""

    def __init__(self, average: AverageOf, skipped: Callable[[], bool]) -> None:
        """Choose the average; ``skipped`` tells whether the last step left the weights as they were."""
        super().__init__(avg_fn=lambda before, now, count: average(before, now, count) if before.is_floating_point() else now)
        self._skipped = skipped

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:  # noqa: ARG002
        """After steps, not after epochs."""
        return step_idx is not None and not self._skipped()


def averaging(plan: Plan, skipped: Callable[[], bool]) -> Averaging | None:
    """The plan's average; None where it has none."""
    settings = plan.optimizer
    if settings.ema > 0:
        return Averaging(get_ema_avg_fn(settings.ema), skipped)
    if settings.swa_start is not None:
        return Averaging(equal_from(round(settings.swa_start * plan.sampling.steps)), skipped)
    return None


def equal_from(start: int) -> AverageOf:
    """The mean of the weights after each step, from step ``start`` on; before that, the weights themselves.

    The learning rate goes on falling as planned; the original holds it up.

    Source:
        Izmailov et al. 2018 (arXiv:1803.05407).
    """

    def average(before: Tensor, now: Tensor, count: Tensor) -> Tensor:
        return torch.lerp(before, now, (1 / (count - start + 1).clamp(min=1)).to(before.dtype))

    return average
