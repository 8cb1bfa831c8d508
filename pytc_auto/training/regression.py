"""Losses of values that lie between limits, and are learned as the tanh or the sigmoid of the output; masked per voxel."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from torch import Tensor
from torch.nn import functional

SQUARE_UNTIL = 0.1
"""Errors up to here cost as their square, larger ones in proportion; of a range from -1 to 1."""


def smooth_l1(found_nkzyx: Tensor, values_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Error, squared where it is small and linear beyond; mean over the known voxels.

    Args:
        found_nkzyx: What the network gives, within the limits.
        values_nkzyx: What it should give.
        mask_nkzyx: False where nothing is known.

    Source:
        Girshick 2015, ICCV (Fast R-CNN).
    """
    wrong = functional.smooth_l1_loss(found_nkzyx, values_nkzyx.float(), beta=SQUARE_UNTIL, reduction="none")
    return _mean(wrong, mask_nkzyx)


def mse(found_nkzyx: Tensor, values_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Mean squared error over the known voxels. Arguments as for ``smooth_l1``."""
    return _mean((found_nkzyx - values_nkzyx) ** 2, mask_nkzyx)


def _mean(wrong_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    return (wrong_nkzyx * mask_nkzyx).sum() / mask_nkzyx.sum().clamp(min=1)


REGRESSION: MappingProxyType[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = MappingProxyType(
    {"smooth_l1": smooth_l1, "mse": mse}
)
