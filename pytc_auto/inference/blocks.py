"""A block of a volume, from gray values on disk to stored predictions on disk, for one to several models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from pytc_auto.errors import OutputError
from pytc_auto.executors.task import Share, StagedTask
from pytc_auto.geometry import Box
from pytc_auto.inference.predict import AnyPredictor, quantized
from pytc_auto.inference.transfer import Sent, Transfer, computed
from pytc_auto.inference.window import Progress, Seen
from pytc_auto.io.predictions import UNSEEN
from pytc_auto.io.volume import Volume


class Writable(Protocol):
    """What predictions are written into: zarr, h5py, numpy."""

    def __setitem__(self, index: Any, values: Any, /) -> None:
        """Store values at an index of slices."""


@dataclass(frozen=True)
class Found:
    """What a block is predicted from: for each model, and where the mask is not 0 (None: everywhere)."""

    seen: list[Seen]
    inside_zyx: npt.NDArray[np.bool_] | None


@dataclass(frozen=True)
class Made:
    """What is stored of a block, (C, Z, Y, X) uint8, and the least and the greatest of its logits."""

    stored: Sent
    extremes: Sent
    seen: Seen


@dataclass(frozen=True)
class BlockPrediction(StagedTask):
    """The prediction of a block; one object is for all blocks of a volume. Pickled, it loads and opens anew.

    Attributes:
        load: Gives a predictor for each model; the mean of all their networks' logits is stored. The first one's heads are used.
        open: Gives the array that takes the uint8 predictions of all heads, (C, Z, Y, X), of the part. Two blocks must not share
            a chunk of it. Where nothing is predicted it is not written to or filled with 0.
        image: Gray values on the working grid, not normalized.
        part: What of the image the array holds. The patches lie as they do for the whole.
        mask: Of the image's shape: only voxels that are not 0 are predicted.
        where: The output, for messages.
    """

    load: Callable[[], Sequence[AnyPredictor]]
    open: Callable[[], Writable]
    image: Volume
    part: Box
    mask: Volume | None = None
    where: str = "the output"

    @cached_property
    def predictors(self) -> Sequence[AnyPredictor]:
        """Of this process."""
        return self.load()

    @cached_property
    def _array(self) -> Writable:
        return self.open()

    @cached_property
    def _transfer(self) -> Transfer:
        return Transfer(self.predictors[0].device)

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def read(self, box: Box) -> Found | None:
        """Gray values and mask; None if the mask leaves nothing.

        Raises:
            DataError: The image or the mask is damaged.
        """
        inside_zyx = None if self.mask is None else self.mask.read(box) != 0
        if inside_zyx is not None and not inside_zyx.any():
            return None
        return Found([predictor.read(self.image, box) for predictor in self.predictors], inside_zyx)

    def compute(self, found: Found | None, share: Share) -> Made | None:
        """The bytes to store; None if they are all 0."""
        if found is None or not all(seen.patches for seen in found.seen):
            return None
        logits_czyx = mean_logits(self.predictors, found.seen, share)
        if found.inside_zyx is not None:
            logits_czyx.masked_fill_(torch.from_numpy(~found.inside_zyx).to(logits_czyx.device), UNSEEN)
        extremes = torch.stack(torch.aminmax(logits_czyx))
        stored_czyx = quantized(logits_czyx, self.predictors[0].plan)
        return Made(computed(stored_czyx), computed(extremes), found.seen[0])

    def write(self, box: Box, made: Made | None) -> None:
        """Store the bytes.

        Raises:
            OutputError: The array cannot be written.
            ModelError: The network gave values that are not finite.
        """
        if made is None:
            return
        self.predictors[0].check(self._transfer.to_memory(made.extremes), made.seen)
        try:
            self._array[(slice(None), *box.relative_to(self.part.start).slices)] = self._transfer.to_memory(made.stored)
        except OSError as error:
            raise OutputError(
                f"{self.where}: block {box} of the predictions cannot be written ({error}). "
                "Make room or check the rights, and run the same command again; finished blocks are kept."
            ) from error


def mean_logits(predictors: Sequence[AnyPredictor], seen: Sequence[Seen], progress: Progress | None = None) -> torch.Tensor:
    """Logits of a box, (C, Z, Y, X), averaged over all networks of several models, each with its own plan.

    ``UNSEEN`` where one of the models sees nothing.
    """
    shares = [len(predictor.networks) / sum(len(p.networks) for p in predictors) for predictor in predictors]
    total_czyx = predictors[0].blend(seen[0], _part_of(progress, 0, shares[0]))
    if len(predictors) == 1:
        return total_czyx
    unseen_zyx, done = total_czyx[0] == UNSEEN, shares[0]
    total_czyx *= shares[0]
    for predictor, each, share in zip(predictors[1:], seen[1:], shares[1:], strict=True):
        logits_czyx = predictor.blend(each, _part_of(progress, done, share))
        unseen_zyx |= logits_czyx[0] == UNSEEN
        total_czyx.add_(logits_czyx, alpha=share)
        done += share
    return total_czyx.masked_fill_(unseen_zyx, UNSEEN)


def _part_of(progress: Progress | None, before: float, part: float) -> Progress | None:
    """The progress of a part as that of the whole."""
    return (lambda share: progress(before + share * part)) if progress else None
