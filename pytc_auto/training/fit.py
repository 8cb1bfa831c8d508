"""One fold: train, keep the best and the last, go on where a killed run stopped."""

from __future__ import annotations

import logging
import math
import time
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from pytc_auto.errors import ModelError
from pytc_auto.models.convolution import laid_out
from pytc_auto.models.precision import computed_in
from pytc_auto.schema.plan import Plan
from pytc_auto.training.averaging import averaging
from pytc_auto.training.checkpoints import WholeCheckpoints, room_wanted
from pytc_auto.training.finite import SkipNonFinite
from pytc_auto.training.flags import Flags
from pytc_auto.training.last_interval import ValidateLastInterval
from pytc_auto.training.loggers import close, loggers
from pytc_auto.training.module import ConnectomicsModule, Validate
from pytc_auto.training.pictures import KeepPictures
from pytc_auto.training.progress import StepProgress
from pytc_auto.training.stopping import StopAt, StopOnSignal, StopWithParent

LIGHTNINGS_NAME = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}
BEST, LAST = "best", "last"
ONE_DEVICE = Flags()
LIGHTNINGS_INTERRUPT = 1
"""Exit code that Lightning makes of Ctrl-C."""
LOG_EVERY = 20
"""Steps, at most: each interval between two validations has a point on the curve of the loss."""
PATIENCE = timedelta(days=2)
"""The other processes wait while the first one validates and tunes."""
SAVING: dict[str, Any] = {"save_top_k": 1, "save_on_train_epoch_end": True, "enable_version_counter": False}


@dataclass(frozen=True)
class Fitted:
    """How a fold ended."""

    checkpoint: Path
    steps: int
    stopped_early: bool
    seconds: float


def fit(  # noqa: PLR0913
    plan: Plan,
    network: nn.Module,
    data: pl.LightningDataModule,
    folder: Path,
    *,
    validate: Validate | None,
    deadline: float | None = None,
    flags: Flags = ONE_DEVICE,
) -> Fitted:
    """Train one fold; the same call again resumes after the last interval.

    Args:
        plan: What to do.
        network: Fresh; resumed weights are loaded into it.
        data: Gives batches and the numbers of the held-out regions.
        folder: The fold's, for checkpoints and logs.
        validate: Scores a held-out region; None where nothing is held out.
        deadline: time.monotonic() at which to stop early.
        flags: Devices, nodes and loggers.

    Returns:
        The best checkpoint, without validation the last one, and how far the training came.

    Raises:
        ModelError: The loss was not finite for many steps in a row.
        OutputError: A checkpoint or log cannot be written, or a logger is not installed.
        SystemExit: A signal ended it; a checkpoint is saved.
    """
    started = time.monotonic()
    module = ConnectomicsModule(laid_out(network, plan.precision, device_for(plan)), plan, validate)
    checkpoints = folder / "checkpoints"
    resume = checkpoints / f"{LAST}.ckpt"
    stop = StopAt(deadline if deadline is not None else float("inf"))
    with warnings.catch_warnings(), room_wanted(folder):
        _quiet()
        callbacks = [*_callbacks(plan, folder, resume, validated=validate is not None), stop]
        trainer = _trainer(plan, folder, callbacks, flags, validated=validate is not None)
        try:
            trainer.fit(module, datamodule=data, ckpt_path=str(resume) if resume.exists() else None, weights_only=True)
        except SystemExit as ended:
            if ended.code == LIGHTNINGS_INTERRUPT:
                raise KeyboardInterrupt from None
            raise
        finally:
            close(trainer.loggers)
    chosen = checkpoints / f"{LAST if validate is None else BEST}.ckpt"
    return Fitted(chosen, trainer.global_step, stop.stopped, time.monotonic() - started)


def _callbacks(plan: Plan, folder: Path, last: Path, *, validated: bool) -> list[pl.Callback]:
    """In the order in which they act: an average is up to date before it is saved; the last checkpoint knows the best one."""
    finite = SkipNonFinite(folder, last)
    average = averaging(plan, lambda: finite.in_a_row > 0)
    callbacks = [finite, *([average] if average else []), StopOnSignal(last), StopWithParent(), LearningRateMonitor("step")]
    callbacks.append(StepProgress(plan.sampling.steps))
    if validated:
        callbacks.append(ValidateLastInterval(plan))
        watched: dict[str, Any] = {"monitor": "validation/score", "mode": "max"}
        if plan.sampling.patience is not None:
            callbacks.append(EarlyStopping(**watched, patience=plan.sampling.patience, check_finite=False))
        callbacks.append(KeepPictures(folder / "validation"))
        callbacks.append(ModelCheckpoint(last.parent, filename=BEST, **watched, **SAVING))
    return [*callbacks, ModelCheckpoint(last.parent, filename=LAST, **SAVING)]


def _trainer(plan: Plan, folder: Path, callbacks: list[pl.Callback], flags: Flags, *, validated: bool) -> pl.Trainer:
    plugins: list[Any] = [WholeCheckpoints()]
    if SLURMEnvironment.detect():
        plugins.append(SLURMEnvironment(auto_requeue=False))
    return pl.Trainer(
        default_root_dir=folder,
        accelerator=device_for(plan),
        devices=flags.devices,
        num_nodes=flags.nodes,
        strategy=DDPStrategy(timeout=PATIENCE) if flags.processes > 1 else "auto",
        use_distributed_sampler=False,
        plugins=plugins,
        precision=LIGHTNINGS_NAME[computed_in(plan.precision, device_for(plan))],
        benchmark=True,
        max_epochs=math.ceil(plan.sampling.steps / plan.sampling.validate_every),
        accumulate_grad_batches=plan.sampling.accumulate,
        gradient_clip_val=plan.optimizer.clip_norm,
        num_sanity_val_steps=0,
        limit_val_batches=None if validated else 0,
        check_val_every_n_epoch=1,
        log_every_n_steps=min(LOG_EVERY, plan.sampling.validate_every),
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=loggers(flags.loggers, folder, plan.name),
        callbacks=callbacks,
    )


def device_for(plan: Plan) -> Literal["cpu", "cuda"]:
    """What a plan is trained on here: a GPU where it was made for one and there is one."""
    return "cuda" if plan.machine.device == "cuda" and torch.cuda.is_available() else "cpu"


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
