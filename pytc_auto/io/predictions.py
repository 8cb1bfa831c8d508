"""How logits are stored in a byte, and read back as probabilities or distances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from pytc_auto.schema.heads import ClassHead, DistanceHead, FlowHead, Head
from pytc_auto.schema.plan import Inference

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]

LOGIT_SCALE = Inference.logit_scale

UNSEEN = -1e4
"""The logit, in every channel, of a voxel that was not predicted; it is stored as 0 in every channel."""

SATURATED = 30.0
"""Of the scaled logit: beyond it a sigmoid is 0 or 1 in a byte by far."""


def to_uint8(logits_czyx: Float32, heads: Sequence[Head]) -> UInt8:
    """Logits as they are stored.

    Args:
        logits_czyx: (C, Z, Y, X), the channels of all heads in order.
        heads: A plan's heads.

    Returns:
        (C, Z, Y, X): round(255 sigmoid(0.2 logit)) for affinities, foreground, boundary and polarity; round(255 softmax),
        over the head's channels, for classes; round(127.5 (1 + tanh)) for distances and flow. 0 in every channel where the
        logits are ``UNSEEN``.

    Raises:
        ValueError: The heads have another number of channels.
    """
    stored = np.empty(logits_czyx.shape, np.uint8)
    for head, channels in _parts(heads, len(logits_czyx)):
        if isinstance(head, ClassHead):
            shares = np.exp(logits_czyx[channels] - logits_czyx[channels].max(axis=0))
            shares /= shares.sum(axis=0)
            shares *= logits_czyx[channels].max(axis=0) != UNSEEN
        elif isinstance(head, DistanceHead | FlowHead):
            shares = np.float32(0.5) + np.float32(0.5) * np.tanh(logits_czyx[channels])
        else:
            shares = _sigmoid(np.float32(LOGIT_SCALE) * logits_czyx[channels])
        np.rint(255 * shares, out=stored[channels], casting="unsafe")
    return stored


def shares_to_uint8(shares_czyx: Float32) -> UInt8:
    """Values from 0 to 1 as PyTorch Connectomics v1 stored them: the whole part of 255 times the value.

    Larger values become 255 (v1 let them run over, from 256 to 0), smaller ones 0.
    """
    return np.clip(shares_czyx * np.float32(255), 0, 255).astype(np.uint8)


def probabilities(stored_czyx: UInt8, heads: Sequence[Head], logit_scale: float = LOGIT_SCALE) -> Float32:
    """Stored predictions as probabilities: the sigmoid (classes: softmax) of the logits, as near as a byte holds them.

    Distances and flow are no probabilities; they are the tanh of the logits.

    Args:
        stored_czyx: (C, Z, Y, X), from ``to_uint8``; with a scale of 1 from ``shares_to_uint8``.
        heads: A plan's heads.
        logit_scale: With which sigmoid heads were stored, the plan's ``inference.logit_scale``.

    Returns:
        (C, Z, Y, X), 0 to 1; distances and flow: -1 to 1.

    Raises:
        ValueError: The heads have another number of channels.
    """
    read = np.empty(stored_czyx.shape, np.float32)
    for head, channels in _parts(heads, len(stored_czyx)):
        table = _table(head, logit_scale)
        for stored_zyx, read_zyx in zip(stored_czyx[channels], read[channels], strict=True):
            for stored_yx, read_yx in zip(stored_zyx, read_zyx, strict=True):  # a section's indices stay in the cache
                np.take(table, stored_yx, out=read_yx, mode="clip")
    return read


def is_predicted(stored_czyx: UInt8) -> npt.NDArray[np.bool_]:
    """Where anything was predicted, (Z, Y, X): not all channels are 0."""
    seen_zyx: npt.NDArray[np.bool_] = stored_czyx[0] != 0
    for channel_zyx in stored_czyx[1:]:
        if seen_zyx.all():
            break
        seen_zyx |= channel_zyx != 0
    return seen_zyx


def mean_stored(stored: Sequence[UInt8], heads: Sequence[Head]) -> UInt8:
    """Stored predictions of several networks as their mean logits are stored.

    A byte holds a logit coarsely where a network is sure. Up to there (a sigmoid of 0.88 of the scaled logit, a tanh of 0.76)
    this is within two steps of what the networks predict together; where one is surer and the others are not, within some more.

    Args:
        stored: Of the same voxels, (C, Z, Y, X) each, from ``to_uint8``.
        heads: A plan's heads.

    Returns:
        (C, Z, Y, X). 0 in every channel where one of them is.

    Raises:
        ValueError: The heads have another number of channels, or nothing is stored.
    """
    if not stored:
        raise ValueError("no prediction to average")
    unseen_zyx = np.any([~one.any(axis=0) for one in stored], axis=0)
    mean_czyx = sum((_logits(one, heads) for one in stored[1:]), _logits(stored[0], heads)) / np.float32(len(stored))
    mean_czyx[:, unseen_zyx] = UNSEEN
    return to_uint8(mean_czyx, heads)


def _logits(stored_czyx: UInt8, heads: Sequence[Head]) -> Float32:
    """Logits that are stored so; of classes up to what they have in common. 0 and 255 stand for a quarter of a step inside."""
    read = np.empty(stored_czyx.shape, np.float32)
    share = np.clip(np.arange(256), 0.25, 254.75) / 255
    for head, channels in _parts(heads, len(stored_czyx)):
        if isinstance(head, ClassHead):
            table = np.log(share)
        elif isinstance(head, DistanceHead | FlowHead):
            table = np.arctanh(2 * share - 1)
        else:
            table = np.log(share / (1 - share)) / LOGIT_SCALE
        np.take(table.astype(np.float32), stored_czyx[channels], out=read[channels])
    return read


def channel_slices(heads: Sequence[Head]) -> list[slice]:
    """Where each head's channels lie among those of all heads."""
    ends = np.cumsum([head.channels for head in heads]).tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _parts(heads: Sequence[Head], channels: int) -> Iterator[tuple[Head, slice]]:
    wanted = sum(head.channels for head in heads)
    if wanted != channels:
        raise ValueError(f"the heads have {wanted} channels, the array has {channels}")
    yield from zip(heads, channel_slices(heads), strict=True)


def _sigmoid(logits: Float32) -> Float32:
    shares = 1 / (1 + np.exp(-np.clip(logits, -SATURATED, SATURATED)))
    return shares.astype(np.float32, copy=False)


def _table(head: Head, logit_scale: float) -> Float32:
    """The value that each stored byte stands for."""
    if isinstance(head, ClassHead):
        return _CLASSES
    return _SIGNED if isinstance(head, DistanceHead | FlowHead) else _binary_table(logit_scale)


@cache
def _binary_table(logit_scale: float) -> Float32:
    """Probability for each stored byte of a sigmoid head; 0 and 255 stand for half a step inside."""
    share = np.clip(np.arange(256), 0.5, 254.5) / 255
    logits = np.log(share / (1 - share)) / logit_scale
    table: Float32 = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return table


_CLASSES: Float32 = (np.arange(256) / 255).astype(np.float32)
_SIGNED: Float32 = (np.arange(256) / 127.5 - 1).astype(np.float32)
