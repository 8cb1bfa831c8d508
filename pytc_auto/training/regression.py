"""Losses of distances and directions, which are learned as the tanh of the output; masked per voxel."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

SQUARE_UNTIL = 0.1
"""Errors up to here cost as their square, larger ones in proportion; of a range from -1 to 1."""


def smooth_l1(logits_nkzyx: Tensor, values_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Mean smooth L1 error of the tanh over the known voxels.

    Args:
        logits_nkzyx: Network output.
        values_nkzyx: -1 to 1.
        mask_nkzyx: False where nothing is known.

    Source:
        Girshick 2015, ICCV (Fast R-CNN).
    """
    given = torch.tanh(logits_nkzyx.float())
    wrong = functional.smooth_l1_loss(given, values_nkzyx, beta=SQUARE_UNTIL, reduction="none") * mask_nkzyx
    return wrong.sum() / mask_nkzyx.sum().clamp(min=1)


def mse(logits_nkzyx: Tensor, values_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Mean squared error of the tanh over the known voxels. Arguments as for ``smooth_l1``."""
    wrong = (torch.tanh(logits_nkzyx.float()) - values_nkzyx) ** 2 * mask_nkzyx
    return wrong.sum() / mask_nkzyx.sum().clamp(min=1)


REGRESSION: MappingProxyType[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = MappingProxyType(
    {"smooth_l1": smooth_l1, "mse": mse}
)
