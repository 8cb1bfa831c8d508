from __future__ import annotations

import errno
import resource
import signal
from contextlib import contextmanager

import pytest
import torch

from pytc_auto.errors import OutputError
from pytc_auto.training.checkpoints import WholeCheckpoints, room_wanted
from pytc_auto.training.fit import best_weights, fit

SAMPLING = {"batch": 1, "steps": 6, "validate_every": 2}


@contextmanager
def room_of(size):
    """No file may grow beyond so many bytes: the system says so as it says that a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_checkpoint_that_has_no_room_leaves_the_one_before(tmp_path):
    path, writer = tmp_path / "last.ckpt", WholeCheckpoints()
    writer.save_checkpoint({"weights": torch.arange(3.0)}, path)
    with room_of(10_000), pytest.raises(OutputError) as caught:
        writer.save_checkpoint({"weights": torch.zeros(100_000)}, path)
    told = f"{path}: the checkpoint cannot be written (File too large). The last good checkpoint, {path}, is as it was. Make room"
    assert told in str(caught.value)
    assert torch.load(path, weights_only=True)["weights"].tolist() == [0, 1, 2]
    assert list(tmp_path.iterdir()) == [path]
    with room_of(10_000), pytest.raises(OutputError, match=r"\(File too large\)\. Make room"):
        writer.save_checkpoint({"weights": torch.zeros(100_000)}, tmp_path / "first.ckpt")


def test_a_training_goes_on_from_the_last_checkpoint_that_had_room(plan, network, data, watched, tmp_path, monkeypatch):
    made = plan(sampling=SAMPLING, optimizer={"ema": 0.5})
    fit(made, network(made), data(made), tmp_path / "whole", validate=watched([0.1, 0.2, 0.3]))
    save, saved = torch.save, []

    def full(*arguments, **more):
        saved.append(1)
        if len(saved) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(OutputError, match=r"No space left on device\)\. The last good checkpoint"):
            fit(made, network(made), data(made), tmp_path / "cut", validate=watched([0.1, 0.2]))
    assert torch.load(tmp_path / "cut/checkpoints/last.ckpt", weights_only=True)["global_step"] == 2
    fit(made, network(made), data(made), tmp_path / "cut", validate=watched([0.2, 0.3]))
    whole, cut = (best_weights(tmp_path / name / "checkpoints/best.ckpt") for name in ("whole", "cut"))
    assert all(torch.equal(whole[key], cut[key]) for key in whole)


def test_a_log_that_has_no_room_is_told_in_the_same_way(tmp_path):
    with (
        pytest.raises(OutputError, match=r"metrics\.csv: cannot be written \(No space left on device\)\. Make room"),
        room_wanted(tmp_path),
    ):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "metrics.csv"))
    with pytest.raises(OSError, match="Is a directory"), room_wanted(tmp_path):
        tmp_path.open()


def test_what_is_no_fault_of_the_disk_is_not_hidden(tmp_path):
    with pytest.raises(Exception, match="pickle"):
        WholeCheckpoints().save_checkpoint({"not": lambda: None}, tmp_path / "last.ckpt")
