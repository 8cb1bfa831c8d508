"""Checkpoints that appear whole or not at all: a full disk leaves the last good one."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from pytc_auto.errors import OutputError
from pytc_auto.files import whole

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the old checkpoint and takes its place; Lightning's own way copies onto it from another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write a checkpoint.

        Raises:
            OutputError: It cannot be written; an older one of the same name is kept.
        """
        path = Path(path)
        kept = f"The last good checkpoint, {path}, is as it was. " if path.is_file() else ""
        try:
            with whole(path) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            told = f"{path}: the checkpoint cannot be written ({cause.strerror})"
            raise OutputError(f"{told}. {kept}Make room; the same command goes on from there.") from error


@contextmanager
def room_wanted(folder: Path) -> Iterator[None]:
    """Logs and pictures fill a disk, too.

    Raises:
        OutputError: The disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        told = f"{error.filename or folder}: cannot be written ({error.strerror})"
        raise OutputError(f"{told}. Make room; the same command goes on from the last checkpoint.") from error
