"""A whole volume, block by block into an array on disk, taken up again where it was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from pytc_auto.errors import OutputError
from pytc_auto.files import write_whole
from pytc_auto.geometry import Box, blocks
from pytc_auto.inference.window import Predictor, Progress
from pytc_auto.io.predictions import to_uint8
from pytc_auto.io.volume import Volume
from pytc_auto.schema.plan import Plan


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
    networks: Sequence[nn.Module],
    image: Volume,
    plan: Plan,
    array_czyx: Writable,
    *,
    ledger: BlockLedger,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Predict a volume by the plan's blocks; those that the ledger has are not computed again.

    Args:
        networks: Members of an ensemble, moved to ``device``.
        image: Gray values on the working grid, not normalized.
        plan: All that is decided, the block among it.
        array_czyx: Takes uint8 predictions of all heads, (C, Z, Y, X). Two blocks may share a chunk of it, so it has one writer.
        ledger: Of this job and this array.
        device: As torch names it.
        progress: Told the share of the voxels that is done.

    Raises:
        OutputError: The array or the ledger cannot be written. What is finished stays, the same call goes on from there.
        DataError: The image is damaged.
        ModelError: The network gave values that are not finite.
    """
    predictor = Predictor(networks, plan, device=device)
    finished = 0
    for box in blocks(image.box, plan.inference.block):
        if not ledger.is_done(box):
            part = _part_of(progress, finished, box.size, image.box.size)
            logits_czyx = predictor.predict(image, box, part)
            _store(array_czyx, box, to_uint8(logits_czyx, plan.heads), ledger.folder)
            ledger.mark(box)
        finished += box.size
        if progress:
            progress(finished / image.box.size)


def _part_of(progress: Progress | None, before: int, part: int, whole: int) -> Progress | None:
    """A block's own progress as part of the volume's."""
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
