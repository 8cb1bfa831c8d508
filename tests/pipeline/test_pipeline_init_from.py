from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests_pipeline import write

import pytc_auto
from pytc_auto.errors import ModelError
from pytc_auto.models.upkern import grow_kernel
from pytc_auto.pipeline import training
from pytc_auto.schema.model import StartedFrom
from pytc_auto.schema.plan import Plan
from pytc_auto.training.flags import Flags


def planned(folder, name, *overrides, **sampling):
    """A run of so few steps at so low a rate that its weights stay what they start as, nearly."""
    pytc_auto.plan(folder / "train", [*overrides], name=name, runs=folder)
    plan = Plan.load(folder / name / "plan.yaml")
    changes = {"sampling": plan.sampling.replace(steps=2, validate_every=2, refit_steps=0, **sampling)}
    changes["optimizer"] = plan.optimizer.replace(learning_rate=1e-9, warmup_steps=0)
    plan.replace(**changes).save(folder / name / "plan.yaml")


KERNELS = "network.kernels=[[3,3,3],[3,3,3]]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("init_from")
    write(made / "train", "tissue", (26, 36, 48), 1)
    return made


@pytest.fixture
def runs(folder, quick):
    """A folder with data and a trained mednext named first."""
    if not (folder / "first" / "model").exists():
        planned(folder, "first", "network.kind=mednext", KERNELS)
        pytc_auto.train("first", runs=folder)
    return folder


def started(runs, name, model, **more):
    said = []
    pytc_auto.train(name, runs=runs, flags=Flags(init_from=model), say=said.append, **more)
    return load_file(runs / name / "model/fold_0.safetensors"), said


def test_a_larger_kernel_starts_from_a_smaller_one(runs):
    planned(runs, "larger", "network.kind=mednext", "network.kernels=[[5,5,5],[5,5,5]]", seed=5)
    given = load_file(runs / "first/model/fold_0.safetensors")
    made, said = started(runs, "larger", runs / "first")  # a run stands for its model
    assert made.keys() == given.keys()
    for name, value in given.items():
        same = value.shape == made[name].shape
        torch.testing.assert_close(made[name], value if same else grow_kernel(value, made[name].shape[2:]), rtol=0, atol=1e-6)
    grown = sum(value.shape != made[name].shape for name, value in given.items())
    assert f"{len(given) - grown} tensors are copied, {grown} kernels are grown" in said[0]
    assert grown > 3
    assert not any("Not taken over" in line for line in said)


def test_a_changed_head_is_said_and_starts_afresh(runs):
    heads = "heads=[{kind:affinities,offsets:[[-1,0,0],[0,-1,0],[0,0,-1],[-1,-1,0]],loss:balanced_bce,weight:1.0}]"
    planned(runs, "head", "network.kind=mednext", KERNELS, heads, seed=5)
    given = load_file(runs / "first/model/fold_0.safetensors")
    made, said = started(runs, "head", Path("first"))  # so does its name
    fresh = {name for name, value in given.items() if value.shape != made[name].shape}
    assert fresh == {"out_0.conv_out.weight", "out_0.conv_out.bias"}
    (told,) = [line for line in said if line.startswith("Not taken over, these start afresh")]
    assert all(name in told for name in fresh)
    for name in given.keys() - fresh:
        torch.testing.assert_close(made[name], given[name], rtol=0, atol=1e-6)


def test_a_run_that_goes_on_ignores_it_and_says_so(runs, monkeypatch):
    planned(runs, "again", "network.kind=mednext", KERNELS)
    with monkeypatch.context() as patch:
        patch.setattr(training, "tune", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pytc_auto.train("again", runs=runs)
    given = {name: torch.full_like(value, 3.0) for name, value in load_file(runs / "first/model/fold_0.safetensors").items()}
    shutil.copytree(runs / "first/model", runs / "threes")
    save_file(given, runs / "threes/fold_0.safetensors")
    made, said = started(runs, "again", runs / "threes")
    assert "Fold 0 goes on from its own checkpoint; --init-from is ignored" in said
    assert not any(line.startswith("Starting from") for line in said)
    assert not any(torch.equal(value, given[name]) for name, value in made.items())


def test_a_model_of_which_nothing_fits_is_refused(runs):
    planned(runs, "unet", "network.kind=unet")
    with pytest.raises(ModelError, match=r"nothing fits. It is a mednext with features .*, the plan has a unet with"):
        pytc_auto.train("unet", runs=runs, flags=Flags(init_from=runs / "first/model"))
    with pytest.raises(ModelError, match=r"unet: is no model folder .* Give a trained run, its name or its model"):
        pytc_auto.train("unet", runs=runs, flags=Flags(init_from=runs / "unet"))
    assert not (runs / "unet" / "model").exists()


def test_validation_data_that_the_start_has_seen_is_told(runs):
    shutil.copytree(runs / "first/model", runs / "refitted")
    scores = runs / "refitted/scores.json"
    scores.write_text(scores.read_text().replace('"refit": false', '"refit": true'))
    planned(runs, "seen", "network.kind=mednext", KERNELS)
    _, said = started(runs, "seen", runs / "refitted")
    assert any("It has learned from this fold's held-out part: validation scores will be too good" in line for line in said)
    noted = StartedFrom.load(runs / "seen/folds/0/started_from.json")
    assert (noted.model, noted.member, noted.seen) == (str((runs / "refitted").resolve()), 0, True)
    planned(runs, "afresh", "network.kind=mednext", KERNELS)
    shutil.copytree(runs / "seen/folds", runs / "afresh/folds", ignore=lambda *_: ["checkpoints", "scores.json"])
    pytc_auto.train("afresh", runs=runs)
    assert not (runs / "afresh/folds/0/started_from.json").exists()


def test_a_fold_that_is_trained_ignores_it_and_says_so(runs):
    _, said = started(runs, "first", runs / "first/model")
    assert "Fold 0 is trained already; --init-from is ignored" in said
    _, said = started(runs, "first", runs / "nowhere")
    (told,) = [line for line in said if line.startswith("Fold 0 is trained already")]
    assert told.endswith("is no model folder with plan.yaml and fold_K.safetensors. Give a trained run, its name or its model.")
    assert f"could not be used: {runs / 'nowhere'}" in told
