from __future__ import annotations

import os
import signal

import pytest
import torch

from pytc_auto.training import stopping
from pytc_auto.training.fit import best_weights, fit
from pytc_auto.training.module import ConnectomicsModule

SAMPLING = {"batch": 1, "accumulate": 2, "steps": 9, "validate_every": 3}


def signalled(monkeypatch, number, batch):
    """The process gets a signal while it computes this batch, once."""
    step, seen = ConnectomicsModule.training_step, []

    def training_step(self, given, index):
        seen.append(1)
        if len(seen) == batch + 1:
            os.kill(os.getpid(), number)
        return step(self, given, index)

    monkeypatch.setattr(ConnectomicsModule, "training_step", training_step)


def test_ctrl_c_saves_and_ends(plan, network, data, watched, tmp_path, monkeypatch):
    made, before = plan(sampling=SAMPLING), signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        signalled(patch, signal.SIGINT, 3)
        with pytest.raises(SystemExit, match=r"Stopped by SIGINT at step 2. The same command goes on"):
            fit(made, network(made), data(made), tmp_path, validate=watched([0.1]))
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 2
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("batch", "step"), [(0, 1), (3, 2), (4, 4), (8, 5), (9, 5), (17, 9)])
def test_a_training_that_is_terminated_saves_ends_and_goes_on_as_if_undisturbed(
    plan, network, data, watched, tmp_path, monkeypatch, batch, step
):
    """Batches 0 and 1 are step 0; after the last step of an interval it is validated first and one more step is made."""
    made = plan(sampling=SAMPLING, optimizer={"ema": 0.6, "weighting": "uncertainty"})
    scores = [0.1, 0.2, 0.3]
    fit(made, network(made), data(made), tmp_path / "whole", validate=watched(scores))
    validated = (step - (step < 9)) // 3
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        signalled(patch, signal.SIGTERM, batch)
        with pytest.raises(SystemExit) as ended:
            fit(made, network(made), data(made), tmp_path / "cut", validate=watched(scores))
    assert ended.value.code == f"Stopped by SIGTERM at step {step}. The same command goes on from there."
    assert signal.getsignal(signal.SIGTERM) == before
    assert torch.load(tmp_path / "cut/checkpoints/last.ckpt", weights_only=True)["global_step"] == step
    fit(made, network(made), data(made), tmp_path / "cut", validate=watched(scores[validated:]))
    for name in ("last", "best"):
        whole, cut = (torch.load(tmp_path / run / f"checkpoints/{name}.ckpt", weights_only=True) for run in ("whole", "cut"))
        assert whole["global_step"] == cut["global_step"]
        for state in ("state_dict", "current_model_state"):
            assert "log_variances" in whole[state]
            assert all(torch.equal(tensor, cut[state][key]) for key, tensor in whole[state].items())
        assert "log_variances" not in best_weights(tmp_path / f"cut/checkpoints/{name}.ckpt")


def test_a_second_ctrl_c_ends_at_once(plan, network, data, tmp_path, monkeypatch):
    def twice(*_):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    made, before = plan(sampling=SAMPLING), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(ConnectomicsModule, "training_step", twice)
    with pytest.raises(KeyboardInterrupt):
        fit(made, network(made), data(made), tmp_path, validate=None)
    assert signal.getsignal(signal.SIGINT) is before


def test_slurm_is_asked_to_start_the_job_again(plan, network, data, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    environment = {"SLURM_JOB_ID": "77", "SLURM_NTASKS": "1", "SLURM_JOB_NAME": "pytc", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    environment |= {"SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "here", "SLURM_ARRAY_JOB_ID": "70", "SLURM_ARRAY_TASK_ID": "4"}
    environment["PATH"] = f"{scontrol.parent}:{os.environ['PATH']}"
    made = plan(sampling=SAMPLING)
    with monkeypatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        signalled(patch, stopping.REQUEUE, 3)
        with pytest.raises(SystemExit, match="Stopped by SIGUSR1 at step 2"):
            fit(made, network(made), data(made), tmp_path / "run", validate=None)
    assert (tmp_path / "asked").read_text() == "requeue 70_4\n"
    assert not list(tmp_path.rglob("hpc_ckpt*"))
    assert fit(made, network(made), data(made), tmp_path / "run", validate=None).steps == 9
