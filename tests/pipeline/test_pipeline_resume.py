from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from tests_pipeline import write

import pytc_auto
from pytc_auto.pipeline.validation import HeldOut
from pytc_auto.schema.plan import Plan
from pytc_auto.training.module import ConnectomicsModule


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the runs are made, once."""
    return tmp_path_factory.mktemp("resume")


@pytest.fixture
def runs(folder, quick, tmp_path):
    """Two runs of the same plan, of five steps and a refit of five, whose loss has a learned weight; the first is trained."""
    if not (folder / "whole" / "model").exists():
        write(folder / "train", "tissue", (26, 36, 48), 1)
        for name in ("whole", "cut"):
            pytc_auto.plan(folder / "train", name=name, runs=folder)
            plan = Plan.load(folder / name / "plan.yaml")
            sampling = plan.sampling.replace(steps=5, validate_every=2, refit_steps=5)
            optimizer = plan.optimizer.replace(weighting="uncertainty")
            plan.replace(sampling=sampling, optimizer=optimizer).save(folder / name / "plan.yaml")
        pytc_auto.train("whole", runs=folder)
    for name in ("whole", "cut"):
        shutil.copytree(folder / name, tmp_path / name)
    return tmp_path


def same_weights(runs, name):
    one, two = (load_file(runs / run / name) for run in ("whole", "cut"))
    return one.keys() == two.keys() and all((one[key] == two[key]).all() for key in one)


def test_a_training_interrupted_in_its_fold_ends_as_an_undisturbed_one(runs, monkeypatch):
    seen = []
    score = HeldOut.quick_score

    def killed(self, network, number):
        seen.append(number)
        if len(seen) == 2:
            raise RuntimeError("power cut")
        return score(self, network, number)

    with monkeypatch.context() as patch:
        patch.setattr(HeldOut, "quick_score", killed)
        with pytest.raises(RuntimeError, match="power cut"):
            pytc_auto.train("cut", runs=runs)
    assert not (runs / "cut" / "model").exists()
    pytc_auto.train("cut", runs=runs)
    assert same_weights(runs, "folds/0/weights.safetensors")
    assert same_weights(runs, "model/fold_0.safetensors")


def test_a_training_interrupted_in_its_refit_ends_as_an_undisturbed_one(runs, monkeypatch):
    step = ConnectomicsModule.training_step

    def killed(self, batch, index):
        if self.trainer.default_root_dir.endswith("refit") and self.trainer.global_step == 3:
            raise RuntimeError("power cut")
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(ConnectomicsModule, "training_step", killed)
        with pytest.raises(RuntimeError, match="power cut"):
            pytc_auto.train("cut", runs=runs)
    assert (runs / "cut/folds/0/refit/checkpoints/last.ckpt").is_file()
    said = []
    pytc_auto.train("cut", runs=runs, say=said.append)
    assert "Fold 0 is trained already" in said
    assert same_weights(runs, "folds/0/refitted.safetensors")


def test_the_refitted_weights_are_exported_and_the_scores_say_so(runs):
    run = runs / "whole"
    fold, refitted, exported = (
        load_file(run / name)
        for name in ("folds/0/weights.safetensors", "folds/0/refitted.safetensors", "model/fold_0.safetensors")
    )
    assert any((fold[key] != refitted[key]).any() for key in fold)
    assert all((exported[key] == refitted[key]).all() for key in exported)
    assert json.loads((run / "model/scores.json").read_text())["refit"] is True
    assert not any("log_variances" in key for key in exported)


def test_every_validation_leaves_a_picture_of_four_panels(runs):
    files = sorted((runs / "whole/folds/0/validation").iterdir())
    assert [file.name for file in files] == ["step_000002.png", "step_000004.png", "step_000005.png"]
    height, width = np.asarray(Image.open(files[0])).shape[:2]
    assert height > 100
    assert width == 800


def test_a_refit_that_time_ends_leaves_the_folds_weights(runs, monkeypatch):
    (runs / "whole/folds/0/refitted.safetensors").unlink()
    plan = Plan.load(runs / "whole/plan.yaml")
    plan.replace(sampling=plan.sampling.replace(refit_steps=100_000)).save(runs / "whole/plan.yaml")
    done = pytc_auto.train("whole", runs=runs, max_seconds=2.0)
    assert done.stopped_early
    assert not done.refit
    fold, exported = (load_file(runs / "whole" / name) for name in ("folds/0/weights.safetensors", "model/fold_0.safetensors"))
    assert all((exported[key] == fold[key]).all() for key in exported)
