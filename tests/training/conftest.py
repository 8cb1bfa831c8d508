"""A tiny training on data that are made here, without a data set."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from samples import small_plan
from torch import nn
from torch.utils.data import DataLoader

from pytc_auto.data.crops import collate_crops
from pytc_auto.data.sampler import StepSampler
from pytc_auto.training.module import Validated

SHAPE = (6, 8, 10)


class Crops:
    """Crop i depends on i alone; ``spoiled`` crops hold NaN voxels."""

    def __init__(self, channels, spoiled=()):
        self.channels = channels
        self.spoiled = spoiled

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        image = torch.randn(1, *SHAPE, generator=generator)
        inside = (image + 0.3 * torch.randn(1, *SHAPE, generator=generator)) > 0
        if index in self.spoiled:
            image[0, 2, 3:5, 4] = float("nan")
        values = [inside.to(torch.uint8).repeat(channels, 1, 1, 1) for channels in self.channels]
        targets = ({"values": v, "mask": torch.ones_like(v, dtype=torch.bool)} for v in values)
        return {"image": image, "targets": tuple(targets)}


class Data(pl.LightningDataModule):
    """The crops of a plan, and one region to validate."""

    def __init__(self, plan, spoiled=()):
        super().__init__()
        self.plan = plan
        self.crops = Crops([head.channels for head in plan.learned], spoiled)

    def train_dataloader(self):
        s = self.plan.sampling
        per_step = s.batch * s.accumulate
        sampler = StepSampler(s.validate_every * per_step, s.steps * per_step, first=self.trainer.global_step * per_step)
        return DataLoader(self.crops, batch_size=s.batch, sampler=sampler, collate_fn=collate_crops)

    def val_dataloader(self):
        return DataLoader(torch.arange(1), batch_size=1)


@pytest.fixture
def plan():
    """Changes by record: ``plan(sampling={"steps": 4})``."""

    def make(**records):
        made = small_plan()
        fields = {name: getattr(made, name).replace(**values) for name, values in records.items()}
        return made.replace(**fields)

    return make


@pytest.fixture
def network():
    """Fresh, always with the same weights."""

    def make(plan):
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, plan.outputs, 1))

    return make


@pytest.fixture
def data():
    """Data modules, by plan and the numbers of the spoiled crops."""
    return Data


@pytest.fixture
def watched():
    """A validation that keeps the weights it was given, and gives the scores it is told to; then it fails."""

    class Watched:
        def __init__(self, scores):
            self.scores = iter(scores)
            self.weights = []

        def __call__(self, network, _region):
            self.weights.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
            picture = np.full((4, 6, 3), len(self.weights), np.uint8)
            score = next(self.scores, None)
            if score is None:
                raise RuntimeError("power cut")
            return Validated({"score": score}, picture)

    return Watched
