"""Crops for Lightning."""

from __future__ import annotations

import importlib
import signal
from collections.abc import Sequence

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from pytc_auto.data.crops import CropDataset, CropTensors, collate_crops
from pytc_auto.data.folds import Division
from pytc_auto.data.sampler import Share, StepSampler
from pytc_auto.data.volumes import LabelledVolume
from pytc_auto.schema.plan import Plan

PREFETCH = 4
"""Batches that each worker makes ahead."""


class ConnectomicsDataModule(pl.LightningDataModule):
    """Training: batches of crops, an epoch from one validation to the next. Validation: the numbers of the regions."""

    def __init__(self, volumes: Sequence[LabelledVolume], plan: Plan, division: Division, *, workers: int) -> None:
        """Take what to read from.

        Args:
            volumes: Opened; they are read in the workers.
            plan: For patch, augmentation, sampling and heads.
            division: Training and validation regions.
            workers: Processes that make crops; 0 makes them in this one.
        """
        super().__init__()
        self.volumes = volumes
        self.plan = plan
        self.division = division
        self.workers = workers

    def train_dataloader(self) -> DataLoader[CropTensors]:
        """Give the crops, from where the trainer stands. The trainer needs max_epochs, not max_steps, to resume."""
        sampling = self.plan.sampling
        share = self._share()
        per_step = sampling.batch * sampling.accumulate * share.processes
        dataset = CropDataset(self.volumes, self.plan, self.division.training)
        every, total, done = (n * per_step for n in (sampling.validate_every, sampling.steps, self._steps_done()))
        sampler = StepSampler(every, total, first=done, share=share)
        importlib.import_module("monai.transforms")  # once, before the workers are forked
        return DataLoader(
            dataset,
            batch_size=sampling.batch,
            sampler=sampler,
            collate_fn=collate_crops,
            num_workers=self.workers,
            worker_init_fn=_as_worker,
            persistent_workers=self.workers > 0,
            prefetch_factor=PREFETCH if self.workers else None,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> DataLoader[torch.Tensor]:
        """Give the number of each validation region as a tensor of one integer."""
        return DataLoader(torch.arange(len(self.division.validation)), batch_size=1)  # type: ignore[arg-type]

    def _share(self) -> Share:
        """Of this process among those that train together."""
        if self.trainer is None:
            return Share(batch=self.plan.sampling.batch)
        return Share(self.trainer.global_rank, self.trainer.world_size, self.plan.sampling.batch)

    def _steps_done(self) -> int:
        """Optimizer steps of the run that is resumed."""
        return int(self.trainer.global_step) if self.trainer is not None else 0


def _as_worker(_: int) -> None:
    """Share the cores with the network, and leave Ctrl-C and SIGTERM to who trains: it still needs its workers for its step.

    A terminal and ``timeout`` send a signal to all processes of a command. Workers end when who trains says so, or has ended.
    """
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
