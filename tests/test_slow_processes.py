"""Trainings of several processes, as a person starts them; run by make test-slow."""

from __future__ import annotations

import csv
import json
import math
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from pytorch_lightning import seed_everything
from safetensors.torch import load_file
from tests_pipeline import write

import pytc_auto
from pytc_auto.errors import OutputError, PlanError
from pytc_auto.models.build import build_network
from pytc_auto.pipeline.runs import Run
from pytc_auto.pipeline.side_by_side import train_side_by_side
from pytc_auto.schema.plan import Plan
from pytc_auto.training.flags import Flags

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Plans of the same few steps: ``double`` with a batch of two, the others with a batch of one."""
    folder = tmp_path_factory.mktemp("processes")
    write(folder / "train", "tissue", (26, 36, 48), 1)
    (folder / "pytc.py").write_text("from pytc_auto.cli import main\n\nmain()\n")
    few = ["patch=[16,16,16]", "network.features=[4,8]", "sampling.steps=8", "sampling.validate_every=4", "inference.window=1"]
    for name in ("double", "pair", "cut", "folds"):
        pytc_auto.plan(folder / "train", [*few, "heads.0.loss=focal", "optimizer.ema=0"], name=name, runs=folder, size="S")
        plan = Plan.load(folder / name / "plan.yaml")
        sampling = plan.sampling.replace(batch=2 if name == "double" else 1, accumulate=2, refit_steps=2)
        folds = plan.folds.replace(count=3 if name == "folds" else 1, guard=2)
        grid = {key: values[:1] for key, values in plan.decoder.grid.items() if key != "bias"}
        decoder = plan.decoder.replace(kinds=["agglomerate"], grid=grid)
        plan.replace(precision="fp32", sampling=sampling, folds=folds, decoder=decoder).save(folder / name / "plan.yaml")
    return folder


def start(folder, *arguments):
    command = [sys.executable, str(folder / "pytc.py"), "train", *arguments, "--runs", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def told(process, code=0):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output


def distance(one, two):
    """Between weights by name; the second may hold more."""
    assert one.keys() <= two.keys()
    return math.sqrt(sum(float(((one[key] - two[key]) ** 2).sum()) for key in one))


def loss_curve(fold):
    """The loss of the affinities by step."""
    with next(fold.rglob("metrics.csv")).open() as file:
        return {int(row["step"]): float(row["train/affinities"]) for row in csv.DictReader(file) if row["train/affinities"]}


def test_two_processes_learn_what_one_with_the_double_batch_learns(runs):
    """A pair's loss is the mean of two means over known voxels, a few more or less: nearly that of a batch of two."""
    told(start(runs, "double"))
    output = told(start(runs, "pair", "--devices", "2"))
    assert output.count("Training fold 0") == output.count("Exporting the model") == 1
    for weights in ("folds/0/weights.safetensors", "folds/0/refitted.safetensors", "model/fold_0.safetensors"):
        one, two = (load_file(runs / name / weights) for name in ("double", "pair"))
        plan = Plan.load(runs / "pair/plan.yaml")
        seed_everything(plan.sampling.seed, verbose=False)
        untrained = build_network(plan).state_dict()
        assert distance(one, two) < 0.05 * distance(one, untrained), (weights, distance(one, two), distance(one, untrained))
    curves = [loss_curve(runs / name / "folds/0") for name in ("double", "pair")]
    assert len(curves[0]) >= 2
    assert curves[0] == pytest.approx(curves[1], rel=0.02)
    scores = [json.loads((runs / name / "model/scores.json").read_text())["folds"]["0"]["voi"] for name in ("double", "pair")]
    assert scores[0] == pytest.approx(scores[1], rel=0.02)


def test_a_pair_that_is_terminated_goes_on(runs):
    process = start(runs, "cut", "--devices", "2")
    deadline = time.monotonic() + 200
    while not (runs / "cut/folds/0/checkpoints/last.ckpt").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "Stopped by SIGTERM at step" in output
    assert not (runs / "cut/model").exists()
    told(start(runs, "cut", "--devices", "2"))
    if not (runs / "pair/model").exists():
        told(start(runs, "pair", "--devices", "2"))
    one, two = (load_file(runs / name / "model/fold_0.safetensors") for name in ("pair", "cut"))
    assert distance(one, two) == 0


def test_folds_side_by_side_end_as_one_after_another(runs, monkeypatch):
    """On a CPU there is no device to choose, but the processes are the same; sums depend on the number of threads."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    run, said = Run(runs / "folds"), []
    assert train_side_by_side(run, [0, 1, 2], Flags(devices=2), max_seconds=None, say=said.append) is False
    assert said.index("Fold 2 on device 0; it writes to " + str(run.fold(2) / "train.log")) > 1 or "device 1" in said[3]
    assert sorted(line for line in said if "is trained" in line) == [f"Fold {n} is trained" for n in range(3)]
    side = [load_file(run.fold(n) / "weights.safetensors") for n in range(3)]
    shutil.rmtree(runs / "folds/folds")
    pytc_auto.train(run.folder, fold="all")
    for number, weights in enumerate(side):
        assert distance(weights, load_file(run.model / f"fold_{number}.safetensors")) == 0


def test_a_fold_that_fails_is_told_and_the_others_are_trained(runs):
    run = Run(runs / "folds")
    shutil.rmtree(run.folder / "folds", ignore_errors=True)
    run.fold(1).mkdir(parents=True)
    (run.fold(1) / "checkpoints").write_text("in the way")
    with pytest.raises(OutputError, match=r"^fold 1: "):
        train_side_by_side(run, [0, 1], Flags(devices=1), max_seconds=None, say=lambda _: None)
    assert (run.fold(0) / "scores.json").is_file()


def test_folds_side_by_side_need_a_gpu_each(runs):
    with pytest.raises(PlanError, match="a fold on each device of this machine, 2 on 1 node"):
        pytc_auto.train(runs / "folds", fold="all", flags=Flags(devices=2))
