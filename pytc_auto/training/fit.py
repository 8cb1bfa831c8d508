"""One fold: train, keep the best and the last, go on where a killed run stopped."""

from __future__ import annotations

import logging
import math
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch import nn

from pytc_auto.errors import ModelError
from pytc_auto.schema.plan import Plan
from pytc_auto.training.module import ConnectomicsModule, Validate
from pytc_auto.training.progress import StepProgress

PRECISION = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}
BEST, LAST = "best", "last"
SAVING: dict[str, Any] = {"save_top_k": 1, "save_on_train_epoch_end": True, "enable_version_counter": False}


@dataclass(frozen=True)
class Fitted:
    """How a fold ended."""

    checkpoint: Path
    steps: int
    stopped_early: bool
    seconds: float


class StopAt(pl.Callback):
    """Ends the training cleanly at a time; Lightning validates once more before it stops."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.stopped = False

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_args: Any) -> None:  # noqa: ARG002
        """Ask the trainer to stop once the time is over."""
        if time.monotonic() >= self.deadline and not self.stopped:
            self.stopped = True
            trainer.should_stop = True


def fit(
    plan: Plan,
    network: nn.Module,
    data: pl.LightningDataModule,
    folder: Path,
    *,
    validate: Validate | None,
    deadline: float | None = None,
) -> Fitted:
    """Train one fold; the same call again resumes after the last interval.

    Args:
        plan: What to do.
        network: Fresh; resumed weights are loaded into it.
        data: Gives batches and the numbers of the held-out regions.
        folder: The fold's, for checkpoints and logs.
        validate: Scores a held-out region; None where nothing is held out.
        deadline: time.monotonic() at which to stop early.

    Returns:
        The best checkpoint, without validation the last one, and how far the training came.
    """
    started = time.monotonic()
    module = ConnectomicsModule(network, plan, validate)
    checkpoints = folder / "checkpoints"
    last = ModelCheckpoint(checkpoints, filename=LAST, **SAVING)
    best = ModelCheckpoint(checkpoints, filename=BEST, monitor="validation/score", mode="max", **SAVING)
    stop = StopAt(deadline if deadline is not None else float("inf"))
    resume = checkpoints / f"{LAST}.ckpt"
    with warnings.catch_warnings():
        _quiet()
        saved = [last] if validate is None else [best, last]
        trainer = _trainer(plan, folder, [*saved, stop], validated=validate is not None)
        trainer.fit(module, datamodule=data, ckpt_path=str(resume) if resume.exists() else None, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    chosen = checkpoints / f"{LAST if validate is None else BEST}.ckpt"
    return Fitted(chosen, trainer.global_step, stop.stopped, time.monotonic() - started)


def _trainer(plan: Plan, folder: Path, callbacks: list[pl.Callback], *, validated: bool) -> pl.Trainer:
    average = EMAWeightAveraging(decay=plan.optimizer.ema) if plan.optimizer.ema > 0 else None
    return pl.Trainer(
        default_root_dir=folder,
        accelerator="gpu" if plan.machine.device == "cuda" and torch.cuda.is_available() else "cpu",
        devices=1,
        precision=PRECISION[plan.precision],
        max_epochs=math.ceil(plan.sampling.steps / plan.sampling.validate_every),
        accumulate_grad_batches=plan.sampling.accumulate,
        gradient_clip_val=plan.optimizer.clip_norm,
        num_sanity_val_steps=0,
        limit_val_batches=None if validated else 0,
        check_val_every_n_epoch=1,
        log_every_n_steps=20,
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=[CSVLogger(folder, name="", version=""), TensorBoardLogger(folder, name="", version="events")],
        callbacks=[*([average] if average else []), *callbacks, LearningRateMonitor("step"), StepProgress(plan.sampling.steps)],
    )


def _quiet() -> None:
    """Advice of the libraries that is not for this program's users."""
    warnings.filterwarnings("ignore", category=UserWarning, module=r"pytorch_lightning|lightning_fabric|torch")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


def best_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The averaged weights of the network in a checkpoint of ``fit``.

    Raises:
        ModelError: The checkpoint is missing or damaged.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    except (OSError, RuntimeError, KeyError, EOFError) as error:
        raise ModelError(f"{checkpoint}: is not a checkpoint that can be read ({error}). Train this fold again.") from error
    prefix = "network."
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
