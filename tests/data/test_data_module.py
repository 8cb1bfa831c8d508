import os
import signal

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from samples import region

from pytc_auto.data.folds import Division
from pytc_auto.data.module import ConnectomicsDataModule
from pytc_auto.data.volumes import LabelledVolume
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")]
SAMPLING = {"batch": 2, "accumulate": 2, "steps": 6, "validate_every": 2}


@pytest.fixture
def module(make_plan, all_effects):
    labels = np.random.default_rng(0).integers(0, 3, (6, 30, 40)).astype(np.uint8)
    volume = LabelledVolume("small", ArrayVolume(labels), ArrayVolume(labels))
    training = (region(Box((0, 0, 0), (6, 30, 25))),)
    validation = (region(Box((0, 0, 28), (6, 30, 34))), region(Box((0, 0, 34), (6, 30, 40))))

    def make(workers=0):
        plan = make_plan(sampling=SAMPLING, effects=all_effects)
        return ConnectomicsDataModule([volume], plan, Division(training, validation), workers=workers)

    return make


class Listener(pl.LightningModule):
    """Notes what it is given; its one weight does not matter."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.stop_after = stop_after
        self.seen = []
        self.regions = []

    def training_step(self, batch, _):
        self.seen.append(round(float(batch["image"].double().sum()), 6))
        if self.stop_after is not None and len(self.seen) == self.stop_after:
            self.trainer.should_stop = True
        return self.weight * batch["image"].mean()

    def validation_step(self, batch, _):
        self.regions.append(batch.tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder):
    return pl.Trainer(
        max_epochs=3,
        accumulate_grad_batches=SAMPLING["accumulate"],
        accelerator="cpu",
        logger=False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
    )


def test_an_epoch_is_as_long_as_the_time_between_validations(module):
    loader = module().train_dataloader()
    assert len(loader) == 4
    batch = next(iter(loader))
    assert batch["image"].shape == (2, 1, 4, 12, 16)
    assert [t["values"].shape for t in batch["targets"]] == [(2, 6, 4, 12, 16)]
    loader.sampler.set_epoch(2)
    assert len(list(loader)) == 4


def test_validation_gives_the_number_of_each_region(module):
    assert [b.tolist() for b in module().val_dataloader()] == [[0], [1]]


def test_workers_make_the_same_crops(module):
    alone = [b["image"] for b in module().train_dataloader()]
    loader = module(workers=2).train_dataloader()
    assert loader.persistent_workers
    together = [b["image"] for b in loader]
    assert len(alone) == 4
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_go_on_where_a_signal_is_sent_to_all_processes(module, number):
    batches = iter(module(workers=2).train_dataloader())
    made = [next(batches), next(batches)]
    for worker in batches._workers:
        os.kill(worker.pid, number)
    made += list(batches)
    assert len(made) == 4
    assert all(worker.is_alive() for worker in batches._workers)
    batches._shutdown_workers()
    assert not any(worker.is_alive() for worker in batches._workers)


@pytest.mark.parametrize("stop_after", [4, 8])
def test_a_resumed_run_sees_what_a_whole_run_sees(module, stop_after, tmp_path):
    whole = Listener()
    trainer(tmp_path).fit(whole, module())
    assert len(whole.seen) == len(set(whole.seen)) == 12
    first = Listener(stop_after)
    run = trainer(tmp_path)
    run.fit(first, module())
    run.save_checkpoint(tmp_path / "last.ckpt")
    second = Listener()
    trainer(tmp_path).fit(second, module(), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert first.seen + second.seen == whole.seen
    assert whole.regions[:2] == [[0], [1]]
