"""Which blocks of one job are written, at work or failed: a small file for each, on the disk of the result.

FOLDER/job             whose the blocks are
FOLDER/blocks          how many there are in all
FOLDER/BLOCK           the block is written; the content says by which job
FOLDER/running/BLOCK   a process is at it
FOLDER/failed/BLOCK    it failed twice: the error, and where it came from
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pytc_auto.errors import OutputError
from pytc_auto.executors.presence import Presence
from pytc_auto.files import create_whole, write_whole
from pytc_auto.geometry import Box

OWNER, TOTAL, RUNNING, FAILED = "job", "blocks", "running", "failed"


class BlockLedger:
    """The files of one job's blocks. It may be pickled.

    Args:
        folder: Where the files are; made if absent.
        job: Identifies weights, plan, input and settings, such as a hash of them all.

    Raises:
        OutputError: The folder belongs to another job, or cannot be written.
    """

    def __init__(self, folder: Path | str, job: str) -> None:
        self.folder = Path(folder)
        self.job = job
        try:
            create_whole(self.folder / OWNER, self.job)
            found = (self.folder / OWNER).read_text(encoding="utf-8")
        except OSError as error:
            raise self._unusable(error) from error
        if found != job:
            raise OutputError(
                f"{self.folder}: was made by another job (other weights, plan, input or blocks). "
                "Choose another output, or delete this one."
            )

    def is_done(self, box: Box) -> bool:
        """Whether the block was marked by this job."""
        try:
            return (self.folder / block_name(box)).read_text(encoding="utf-8") == self._mark(box)
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(error) from error

    def left(self, boxes: Sequence[Box]) -> list[Box]:
        """Those that are not marked, in their order."""
        return [box for box in boxes if not self.is_done(box)]

    def mark(self, box: Box) -> None:
        """Note that the block is written.

        Raises:
            OutputError: The folder cannot be written.
        """
        try:
            write_whole(self.folder / block_name(box), self._mark(box))
            (self.folder / FAILED / block_name(box)).unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def expect(self, blocks: int) -> None:
        """Note how many blocks there are in all."""
        try:
            write_whole(self.folder / TOTAL, str(blocks))
        except OSError as error:
            raise self._unusable(error) from error

    def running(self, box: Box) -> Presence:
        """The file that says this process is at the block."""
        return Presence(self.folder / RUNNING / block_name(box))

    def quarantine(self, box: Box, told: str) -> Path:
        """Note that a block failed.

        Args:
            box: The block.
            told: The error in the first line, then what a programmer wants to know.

        Returns:
            The file that tells.
        """
        try:
            write_whole(self.folder / FAILED / block_name(box), told)
            (self.folder / RUNNING / block_name(box)).unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        return self.folder / FAILED / block_name(box)

    def _mark(self, box: Box) -> str:
        """What a block's file holds."""
        return hashlib.sha256(f"{self.job} {block_name(box)}".encode()).hexdigest()

    def _unusable(self, error: Exception) -> OutputError:
        """What to say when the folder cannot be used."""
        return OutputError(f"{self.folder}: the list of finished blocks cannot be used ({error}). Check rights and free space.")


def block_name(box: Box) -> str:
    """A block as the name of a file.

    >>> block_name(Box((0, 64, 0), (64, 128, 50)))
    '0-64_64-128_0-50'
    """
    return "_".join(f"{a}-{b}" for a, b in zip(box.start, box.stop, strict=True))
