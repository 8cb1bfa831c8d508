"""A whole volume, block by block into an array on disk, taken up again where it was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pytc_auto.errors import OutputError
from pytc_auto.files import write_whole
from pytc_auto.geometry import Box, blocks
from pytc_auto.inference.predict import AnyPredictor, stored
from pytc_auto.inference.window import Logits, Progress
from pytc_auto.io.predictions import UNSEEN
from pytc_auto.io.volume import Volume


class Writable(Protocol):
    """What predictions are written into: zarr, h5py, numpy."""

    def __setitem__(self, index: Any, values: Any, /) -> None:
        """Store values at an index of slices."""


class BlockLedger:
    """Which blocks of one job are written: a small file for each, which says whose it is.

    Args:
        folder: Where the files are; made if absent.
        job: Identifies weights, plan, input and blocks, such as a hash of them all.

    Raises:
        OutputError: The folder belongs to another job, or cannot be written.
    """

    def __init__(self, folder: Path | str, job: str) -> None:
        self.folder = Path(folder)
        self.job = job
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            owner = self.folder / "job"
            if not owner.exists():
                write_whole(owner, self.job)
            found = owner.read_text(encoding="utf-8")
        except OSError as error:
            raise self._failed(error) from error
        if found != job:
            raise OutputError(
                f"{self.folder}: was made by another job (other weights, plan, input or blocks). "
                "Choose another output, or delete this one."
            )

    def is_done(self, box: Box) -> bool:
        """Whether the block was marked by this job."""
        try:
            return self._marker(box).read_text(encoding="utf-8") == self.job
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError) as error:
            raise self._failed(error) from error

    def mark(self, box: Box) -> None:
        """Note that the block is written.

        Raises:
            OutputError: The folder cannot be written.
        """
        try:
            write_whole(self._marker(box), self.job)
        except OSError as error:
            raise self._failed(error) from error

    def _marker(self, box: Box) -> Path:
        """The file of a block."""
        return self.folder / "_".join(f"{a}-{b}" for a, b in zip(box.start, box.stop, strict=True))

    def _failed(self, error: Exception) -> OutputError:
        """What to say when the folder cannot be used."""
        return OutputError(f"{self.folder}: the list of finished blocks cannot be used ({error}). Check rights and free space.")


def predict_volume(  # noqa: PLR0913
    predictors: Sequence[AnyPredictor],
    image: Volume,
    array_czyx: Writable,
    *,
    ledger: BlockLedger,
    part: Box | None = None,
    mask: Volume | None = None,
    progress: Progress | None = None,
) -> None:
    """Predict a volume by the first plan's blocks; those that the ledger has are not computed again.

    Args:
        predictors: One for each model; the mean of all their networks' logits is stored.
        image: Gray values on the working grid, not normalized.
        array_czyx: Takes uint8 predictions of all heads, (C, Z, Y, X), of the part. Two blocks may share a chunk of it, so it
            has one writer. Where nothing is predicted it is not written to or filled with 0.
        ledger: Of this job and this array.
        part: What of the image to predict, the whole by default. The patches lie as they do for the whole.
        mask: Of the image's shape: only voxels that are not 0 are predicted.
        progress: Told the share of the voxels that is done.

    Raises:
        OutputError: The array or the ledger cannot be written. What is finished stays, the same call goes on from there.
        DataError: The image or the mask is damaged.
        ModelError: The network gave values that are not finite.
    """
    part, plan, finished = part or image.box, predictors[0].plan, 0
    for box in blocks(part, plan.inference.block):
        if not ledger.is_done(box):
            inside_zyx = mask.read(box) != 0 if mask else np.ones(box.shape, np.bool_)
            if inside_zyx.any():
                logits_czyx = mean_logits(predictors, image, box, _part_of(progress, finished, box.size, part.size))
                logits_czyx[:, ~inside_zyx] = UNSEEN
                if (logits_czyx[0] != UNSEEN).any():
                    _store(array_czyx, box.relative_to(part.start), stored(logits_czyx, plan), ledger.folder)
            ledger.mark(box)
        finished += box.size
        if progress:
            progress(finished / part.size)


def mean_logits(predictors: Sequence[AnyPredictor], image: Volume, box: Box, progress: Progress | None = None) -> Logits:
    """Logits of a box, (C, Z, Y, X), averaged over all networks of several models, each with its own plan.

    ``UNSEEN`` where one of the models sees nothing.
    """
    shares = [len(predictor.networks) / sum(len(p.networks) for p in predictors) for predictor in predictors]
    total_czyx = predictors[0].predict(image, box, _part_of(progress, 0, shares[0], 1))
    unseen_zyx, done = total_czyx[0] == UNSEEN, shares[0]
    total_czyx *= np.float32(shares[0])
    for predictor, share in zip(predictors[1:], shares[1:], strict=True):
        logits_czyx = predictor.predict(image, box, _part_of(progress, done, share, 1))
        unseen_zyx |= logits_czyx[0] == UNSEEN
        total_czyx += logits_czyx * np.float32(share)
        done += share
    total_czyx[:, unseen_zyx] = UNSEEN
    return total_czyx


def _part_of(progress: Progress | None, before: float, part: float, whole: float) -> Progress | None:
    """The progress of a part as that of the whole."""
    return (lambda share: progress((before + share * part) / whole)) if progress else None


def _store(array_czyx: Writable, box: Box, values_czyx: Any, where: Path) -> None:
    """Write one block."""
    try:
        array_czyx[(slice(None), *box.slices)] = values_czyx
    except OSError as error:
        raise OutputError(
            f"{where}: block {box} of the predictions cannot be written ({error}). "
            "Make room or check the rights, and run the same command again; finished blocks are kept."
        ) from error
