"""The loss over several stages of a network: its finest logits, and coarser ones while it is deeply supervised."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

StageLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of logits, values and mask on one grid."""


def stages_of(logits: Tensor | list[Tensor]) -> list[Tensor]:
    """What a network gave, fine to coarse."""
    return [logits] if isinstance(logits, Tensor) else logits


def stage_weights(count: int) -> list[float]:
    """Weights of stages, fine to coarse; each counts half as much as the finer one, and together they are 1.

    >>> stage_weights(2)
    [0.6666666666666666, 0.3333333333333333]

    Source:
        Isensee et al. 2021, Nature Methods 18(2).
    """
    total = sum(0.5**i for i in range(count))
    return [0.5**i / total for i in range(count)]


def loss_over_stages(logits: Sequence[Tensor], values_nkzyx: Tensor, mask_nkzyx: Tensor, loss: StageLoss) -> Tensor:
    """Weighted sum of a loss over stages, each against every so many voxels of the target.

    Args:
        logits: (N, K, Z, Y, X) fine to coarse; the finest has the target's extent, which the others' extents divide.
        values_nkzyx: Target.
        mask_nkzyx: False where nothing is known.
        loss: Of one stage.
    """
    parts = [
        weight * loss(stage, _strided(values_nkzyx, stage), _strided(mask_nkzyx, stage))
        for weight, stage in zip(stage_weights(len(logits)), logits, strict=True)
    ]
    return torch.stack(parts).sum()


def _strided(target_nkzyx: Tensor, logits: Tensor) -> Tensor:
    """The voxels of a target on which those of coarser logits are centred: the first of so many along each axis."""
    z, y, x = (n // m for n, m in zip(target_nkzyx.shape[2:], logits.shape[2:], strict=True))
    return target_nkzyx[:, :, ::z, ::y, ::x]
