"""What the network is punished for, masked per voxel. One function per name in the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from pytc_auto.schema.heads import ClassHead, DistanceHead, FlowHead, Head, ShapeHead, V1Head
from pytc_auto.training.regression import REGRESSION

LEAST_SHARE = 0.05
SMOOTH = 1e-5
FOCUS = 2.0
"""Exponent of the focal loss."""
FALSE_POSITIVES, FALSE_NEGATIVES = 0.3, 0.7
"""What they cost in the Tversky loss: a missed object is the worse fault."""
AXES = (0, 2, 3, 4)


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
    values, mask = values_nkzyx.float(), mask_nkzyx.float()
    known = mask.sum(AXES).clamp(min=1)
    share = ((values * mask).sum(AXES) / known).clamp(LEAST_SHARE, 1 - LEAST_SHARE)[None, :, None, None, None]
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
    common = (probabilities * values).sum(AXES)
    total = probabilities.sum(AXES) + values.sum(AXES)
    return 1 - ((2 * common + SMOOTH) / (total + SMOOTH)).mean()


def focal(logits_nkzyx: Tensor, values_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Binary cross entropy in which a voxel counts the less, the surer the network is of the right value.

    (1 - p)² times the cross entropy, p the probability of the right value; mean over the known voxels.

    Source:
        Lin et al. 2017 (arXiv:1708.02002), without its factor alpha.
    """
    cross = functional.binary_cross_entropy_with_logits(logits_nkzyx.float(), values_nkzyx.float(), reduction="none")
    return _mean((1 - torch.exp(-cross)) ** FOCUS * cross, mask_nkzyx)


def focal_ce(logits_nkzyx: Tensor, index_n1zyx: Tensor, mask_n1zyx: Tensor, class_weights: Sequence[float]) -> Tensor:
    """The focal loss of classes; arguments as of ``dice_ce``, weighted as its cross entropy."""
    logits, index = logits_nkzyx.float(), index_n1zyx[:, 0].long()
    weights = torch.tensor(class_weights, device=logits.device)[index] * mask_n1zyx[:, 0]
    cross = functional.cross_entropy(logits, index, reduction="none")
    return ((1 - torch.exp(-cross)) ** FOCUS * cross * weights).sum() / weights.sum().clamp(min=1e-6)


def tversky(logits_nkzyx: Tensor, values_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Soft Dice in which what is missed costs more than what is claimed wrongly; over the known voxels, mean over channels.

    Source:
        Salehi et al. 2017 (arXiv:1706.05721).
    """
    mask = mask_nkzyx.float()
    return _soft_tversky(torch.sigmoid(logits_nkzyx.float()) * mask, values_nkzyx.float() * mask)


def tversky_classes(logits_nkzyx: Tensor, index_n1zyx: Tensor, mask_n1zyx: Tensor, class_weights: Sequence[float]) -> Tensor:
    """The Tversky loss of classes, mean over them with their weights; arguments as of ``dice_ce``."""
    one_hot = functional.one_hot(index_n1zyx[:, 0].long(), len(class_weights)).movedim(-1, 1) * mask_n1zyx
    weights = torch.tensor(class_weights, device=logits_nkzyx.device)
    return _soft_tversky(logits_nkzyx.float().softmax(1) * mask_n1zyx, one_hot.float(), weights)


def _soft_tversky(probabilities: Tensor, values: Tensor, weights: Tensor | None = None) -> Tensor:
    """1 - Tversky index, mean over the channels."""
    common = (probabilities * values).sum(AXES)
    wrong = (probabilities * (1 - values)).sum(AXES)
    missed = ((1 - probabilities) * values).sum(AXES)
    index = (common + SMOOTH) / (common + FALSE_POSITIVES * wrong + FALSE_NEGATIVES * missed + SMOOTH)
    return 1 - (index.mean() if weights is None else (index * weights).sum() / weights.sum())


def _mean(loss_nkzyx: Tensor, mask_nkzyx: Tensor) -> Tensor:
    """Over the known voxels."""
    return (loss_nkzyx * mask_nkzyx).sum() / mask_nkzyx.sum().clamp(min=1)


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
ClassLoss = Callable[[Tensor, Tensor, Tensor, Sequence[float]], Tensor]
LOSSES: MappingProxyType[str, Loss] = MappingProxyType(
    {
        "balanced_bce": balanced_bce,
        "dice_bce": dice_bce,
        "dice_balanced_bce": dice_balanced_bce,
        "focal": focal,
        "tversky": tversky,
    }
)
CLASS_LOSSES: MappingProxyType[str, ClassLoss] = MappingProxyType(
    {"dice_ce": dice_ce, "focal": focal_ce, "tversky": tversky_classes}
)


def head_loss(head: Head | ShapeHead, logits: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """The loss of one head, as its plan names it."""
    if isinstance(head, ClassHead):
        return CLASS_LOSSES[head.loss](logits, values, mask, head.class_weights)
    if isinstance(head, DistanceHead | FlowHead):
        return REGRESSION[head.loss](torch.tanh(logits.float()), values, mask)
    if isinstance(head, ShapeHead):
        return REGRESSION[head.loss](torch.sigmoid(logits.float()), values, mask)
    assert not isinstance(head, V1Head), "targets/make.py refuses it"
    return LOSSES[head.loss](logits, values, mask)
