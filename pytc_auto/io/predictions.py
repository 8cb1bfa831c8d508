"""How network output is stored: one byte a voxel and channel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pytc_auto.schema.plan import ClassHead, Head

LOGIT_SCALE = 0.2
"""Sigmoids are stored flattened, so that thresholds stay tunable where the network is sure."""


def channel_slices(heads: Sequence[Head]) -> list[slice]:
    """The channels of each head."""
    ends = np.cumsum([head.channels for head in heads]).tolist()
    return [slice(end - head.channels, end) for end, head in zip(ends, heads, strict=True)]


def to_uint8(logits_czyx: npt.NDArray[np.float32], heads: Sequence[Head]) -> npt.NDArray[np.uint8]:
    """255 · sigmoid(0.2 · logit), or 255 · softmax over a class head's channels.

    Args:
        logits_czyx: All heads, (C, Z, Y, X).
        heads: From the plan.
    """
    stored = np.empty(logits_czyx.shape, np.uint8)
    for head, channels in zip(heads, channel_slices(heads), strict=True):
        part = logits_czyx[channels]
        if isinstance(head, ClassHead):
            powers = np.exp(part - part.max(0))
            values = powers / powers.sum(0)
        else:
            values = 1 / (1 + np.exp(-LOGIT_SCALE * np.clip(part, -60, 60)))
        stored[channels] = np.rint(255 * values)
    return stored


def probabilities(stored_czyx: npt.NDArray[np.uint8], heads: Sequence[Head]) -> npt.NDArray[np.float32]:
    """Stored values as probabilities, float32 of the same shape."""
    values = np.empty(stored_czyx.shape, np.float32)
    for head, channels in zip(heads, channel_slices(heads), strict=True):
        values[channels] = _table(isinstance(head, ClassHead))[stored_czyx[channels]]
    return values


@lru_cache(maxsize=2)
def _table(plain: bool) -> npt.NDArray[np.float32]:
    """The probability of each stored value."""
    value = np.arange(256) / 255
    if plain:
        return value.astype(np.float32)
    value = np.clip(value, 0.5 / 255, 1 - 0.5 / 255)
    return (1 / (1 + np.exp(-np.log(value / (1 - value)) / LOGIT_SCALE))).astype(np.float32)
