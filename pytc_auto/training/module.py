"""Network, loss and optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from pytc_auto.schema.plan import Plan
from pytc_auto.training.deep_supervision import loss_over_stages, stages_of
from pytc_auto.training.losses import head_loss


@dataclass(frozen=True)
class Validated:
    """How a held-out region was predicted.

    Attributes:
        scores: By name; of ``score`` the higher is the better.
        picture: For a person to look at, (Y, X, 3); None where there is none.
    """

    scores: Mapping[str, float]
    picture: npt.NDArray[np.uint8] | None = None


Validate = Callable[[nn.Module, int], Validated]
"""Predicts, decodes and scores held-out region number i."""
LEAST_RATE = 0.01


class ConnectomicsModule(pl.LightningModule):
    """Learns what a plan says.

    Args:
        network: (N, 1, Z, Y, X) to logits (N, K, Z, Y, X); in training perhaps a list of such, fine to coarse.
        plan: Heads, losses, optimizer.
        validate: Scores a held-out region; None where nothing is held out.
    """

    def __init__(self, network: nn.Module, plan: Plan, validate: Validate | None) -> None:
        super().__init__()
        self.network = network
        self.plan = plan
        self._validate = validate
        learned = plan.optimizer.weighting == "uncertainty"
        self.log_variances = nn.Parameter(torch.zeros(len(plan.learned))) if learned else None

    def forward(self, image_nczyx: Tensor) -> Tensor:
        """Logits of all heads, one after another."""
        return self.network(image_nczyx)

    def training_step(self, batch: Mapping[str, Any], _index: int) -> Tensor:
        """Weighted sum of the heads' losses, each over all stages that the network gives."""
        sizes = [head.channels for head in self.plan.learned]
        stages = [made.split(sizes, dim=1) for made in stages_of(self.network(batch["image"]))]
        loss = torch.zeros((), device=self.device)
        for number, (head, target) in enumerate(zip(self.plan.learned, batch["targets"], strict=True)):
            logits = [stage[number] for stage in stages]
            value = loss_over_stages(logits, target["values"], target["mask"], partial(head_loss, head))
            self.log(f"train/{head.kind}", value.detach(), prog_bar=True, sync_dist=True)
            loss = loss + self.weighted(number, value)
        return loss

    def weighted(self, number: int, value: Tensor) -> Tensor:
        """A head's part of the loss: times its weight, and where uncertainty is learned, divided by its variance.

        exp(-s)·loss + s/2 with a learned log variance s per head, from 0 on: a head that stays bad comes to count less.

        Source:
            Kendall et al. 2018 (arXiv:1705.07115), in the form for classification.
        """
        value = self.plan.learned[number].weight * value
        if self.log_variances is None:
            return value
        log_variance = self.log_variances[number]
        return torch.exp(-log_variance) * value + log_variance / 2

    def validation_step(self, batch: Tensor, _index: int) -> dict[str, Any]:
        """Score held-out regions the way ``pytc predict`` does; the first process does it and tells the others."""
        assert self._validate is not None
        for region in batch.flatten().tolist():
            found = self._validate(self.network, int(region)) if self.trainer.is_global_zero else None
            scores: Mapping[str, float] = self.trainer.strategy.broadcast(found.scores if found else {})
            self.log_dict(
                {f"validation/{name}": value for name, value in scores.items()},
                on_epoch=True,
                on_step=False,
                batch_size=1,
                prog_bar=False,
            )
        return {"picture": found.picture if found else None}

    def configure_optimizers(self) -> Any:
        """AdamW without decay on biases and norms; the rate warms up linearly and falls as a cosine."""
        settings, steps = self.plan.optimizer, self.plan.sampling.steps
        decayed, plain = _by_decay(self.parameters())
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=settings.learning_rate,
        )
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, settings.warmup_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}


def _by_decay(parameters: Any) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Kernels, and what is only a vector."""
    every: Sequence[nn.Parameter] = list(parameters)
    return [p for p in every if p.ndim > 1], [p for p in every if p.ndim <= 1]


def learning_rate_factor(step: int, steps: int, warmup: int) -> float:
    """Linear from near 0 during the warm-up, then half a cosine down to 1 %."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * done))
