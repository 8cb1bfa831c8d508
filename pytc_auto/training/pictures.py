"""What a validation saw, kept for a person to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

from pytc_auto.files import whole


class KeepPictures(pl.Callback):
    """Writes the picture of each validation, ``step_000123.png``, and shows it in TensorBoard."""

    def __init__(self, folder: Path) -> None:
        """Take where they lie."""
        self._folder = folder

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_args: Any) -> None:  # noqa: ARG002
        """Keep the picture, if this batch has one."""
        picture: npt.NDArray[np.uint8] | None = (outputs or {}).get("picture")
        if picture is None or not trainer.is_global_zero:
            return
        from PIL import Image

        with whole(self._folder / f"step_{trainer.global_step:06d}.png") as partial:
            Image.fromarray(picture).save(partial, "PNG")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("validation", picture, trainer.global_step, dataformats="HWC")
