"""What the network is punished for, masked per voxel. One function per name in the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from pytc_auto.schema.heads import ClassHead, DistanceHead, FlowHead, Head, ShapeHead
from pytc_auto.training.regression import REGRESSION

LEAST_SHARE = 0.05
SMOOTH = 1e-5


def balanced_bce(logits_nkzyx: Tensor, values_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Binary cross entropy in which both values weigh the same in each channel.

    The share of a value is clipped at 5 %, so that a rare one weighs at most ten times.

    Args:
        logits_nkzyx: Network output.
        values_nkzyx: 0 or 1.
        mask_nkzyx: False where nothing is known.

    Source:
        Masked per-channel balance as in Lee et al. 2017 (arXiv:1706.00120).
    """
    axes = (0, 2, 3, 4)
    values, mask = values_nkzyx.float(), mask_nkzyx.float()
    known = mask.sum(axes).clamp(min=1)
    share = ((values * mask).sum(axes) / known).clamp(LEAST_SHARE, 1 - LEAST_SHARE)[None, :, None, None, None]
    weight = mask * torch.where(values_nkzyx > 0, 0.5 / share, 0.5 / (1 - share))
    loss = functional.binary_cross_entropy_with_logits(logits_nkzyx.float(), values, weight=weight, reduction="sum")
    return loss / known.sum()


def dice_bce(logits_nkzyx: Tensor, values_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Soft Dice plus binary cross entropy, each over the known voxels."""
    logits, values, mask = logits_nkzyx.float(), values_nkzyx.float(), mask_nkzyx.float()
    cross = functional.binary_cross_entropy_with_logits(logits, values, weight=mask, reduction="sum") / mask.sum().clamp(min=1)
    return cross + _soft_dice(torch.sigmoid(logits) * mask, values * mask)


def dice_balanced_bce(logits_nkzyx: Tensor, values_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Soft Dice plus balanced binary cross entropy, for a foreground that is rare."""
    logits, values, mask = logits_nkzyx.float(), values_nkzyx.float(), mask_nkzyx.float()
    return balanced_bce(logits_nkzyx, values_nkzyx, mask_nkzyx) + _soft_dice(torch.sigmoid(logits) * mask, values * mask)


def dice_ce(logits_nkzyx: Tensor, index_n1zyx: Tensor, mask_n1zyx: Tensor, class_weights: Sequence[float]) -> Tensor:
    """Soft Dice over the classes plus weighted cross entropy, each over the known voxels.

    Args:
        logits_nkzyx: One channel per class.
        index_n1zyx: Class index.
        mask_n1zyx: False where nothing is known.
        class_weights: Of the cross entropy.
    """
    logits, index, mask = logits_nkzyx.float(), index_n1zyx[:, 0].long(), mask_n1zyx[:, 0]
    weights = torch.tensor(class_weights, device=logits.device)
    known = torch.where(mask, index, torch.full_like(index, -100))
    cross = functional.cross_entropy(logits, known, weight=weights, reduction="sum", ignore_index=-100)
    cross = cross / (weights[index] * mask).sum().clamp(min=1e-6)
    one_hot = functional.one_hot(index, len(class_weights)).movedim(-1, 1) * mask[:, None]
    return cross + _soft_dice(logits.softmax(1) * mask[:, None], one_hot.float())


def _soft_dice(probabilities: Tensor, values: Tensor) -> Tensor:
    """1 - Dice, mean over the channels that the batch holds or the network claims."""
    axes = (0, 2, 3, 4)
    common = (probabilities * values).sum(axes)
    total = probabilities.sum(axes) + values.sum(axes)
    return 1 - ((2 * common + SMOOTH) / (total + SMOOTH)).mean()


def mse(logits_nkzyx: Tensor, values_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Mean squared error of the sigmoid over the known voxels."""
    wrong = (torch.sigmoid(logits_nkzyx.float()) - values_nkzyx) ** 2 * mask_nkzyx
    return wrong.sum() / mask_nkzyx.sum().clamp(min=1)


_BY_NAME: MappingProxyType[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = MappingProxyType(
    {"balanced_bce": balanced_bce, "dice_bce": dice_bce, "dice_balanced_bce": dice_balanced_bce, "mse": mse}
)


def head_loss(head: Head | ShapeHead, logits: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """The loss of one head, as its plan names it."""
    if isinstance(head, ClassHead):
        return dice_ce(logits, values, mask, head.class_weights)
    if isinstance(head, DistanceHead | FlowHead):
        return REGRESSION[head.loss](logits, values, mask)
    return _BY_NAME[head.loss](logits, values, mask)
