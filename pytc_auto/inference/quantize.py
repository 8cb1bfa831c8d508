"""Logits to the bytes that are stored, where they were computed. The plain way is ``io.predictions.to_uint8``."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pytc_auto.io.predictions import LOGIT_SCALE, SATURATED, UNSEEN, channel_slices
from pytc_auto.schema.heads import ClassHead, DistanceHead, FlowHead, Head


def quantize_in_place(logits_czyx: torch.Tensor, heads: Sequence[Head]) -> torch.Tensor:
    """Logits as they are stored, and nothing but the result is allocated.

    Args:
        logits_czyx: (C, Z, Y, X), float32, the channels of all heads in order. They are overwritten.
        heads: A plan's heads.

    Returns:
        (C, Z, Y, X), uint8, on the same device: what ``to_uint8`` gives, to one step.
    """
    stored = torch.empty(logits_czyx.shape, dtype=torch.uint8, device=logits_czyx.device)
    for head, channels in zip(heads, channel_slices(heads), strict=True):
        part = logits_czyx[channels]
        if isinstance(head, ClassHead):
            most_zyx = part.amax(dim=0)
            part.sub_(most_zyx).exp_()
            part.div_(part.sum(dim=0)).mul_(most_zyx != UNSEEN)
        elif isinstance(head, DistanceHead | FlowHead):
            part.tanh_().mul_(0.5).add_(0.5)
        else:
            part.mul_(LOGIT_SCALE).clamp_(-SATURATED, SATURATED).sigmoid_()
        stored[channels] = part.mul_(255).round_()
    return stored
