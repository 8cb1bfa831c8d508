"""Whether a fold's start knows what the fold holds out. Of 60 voxels the run a learned from the first 41, and holds out 15."""

from __future__ import annotations

import shutil

import pytest
from tests_pipeline import write

import pytc_auto
from pytc_auto.pipeline.held_out import open_held_out
from pytc_auto.pipeline.lineage import note_start, told_of_start
from pytc_auto.pipeline.runs import Run
from pytc_auto.schema.model import ModelScores, StartedFrom

HALF = 0.5
"""Share for training: the second half is held out, which a has partly learned from."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("lineage")


@pytest.fixture
def runs(made, quick, tmp_path):
    """A trained run a, and another one b that is as good as trained."""
    if not (made / "runs").exists():
        write(made / "data", "tissue", (24, 30, 60), 1)
        pytc_auto.plan(made / "data", name="a", runs=made / "runs")
        plan = Run(made / "runs/a").plan()
        plan.replace(sampling=plan.sampling.replace(steps=1, validate_every=1, refit_steps=0)).save(made / "runs/a/plan.yaml")
        pytc_auto.train("a", runs=made / "runs")
    for name in "ab":
        shutil.copytree(made / "runs/a", tmp_path / "runs" / name)
    return tmp_path / "runs"


def other(runs, name, train, image=None):
    """A copy of the run a that holds out another part, or is of another file."""
    shutil.copytree(runs / "a", runs / name)
    run = Run(runs / name)
    plan = run.plan()
    for path in (run.plan_file, run.model / "plan.yaml"):
        plan.replace(folds=plan.folds.replace(train=train)).save(path)
    if image is not None:
        dataset = run.dataset()
        (entry,) = dataset.volumes
        shutil.copyfile(entry.image.partition(":")[0], image)
        dataset.replace(volumes=[entry.replace(image=f"{image}:main")]).save(run.dataset_file)
    return run


def noted(run, model):
    """What is written down of a start from a model, and what is said."""
    said = []
    held_out = open_held_out(run, run.plan(), 0)
    note_start(run.dataset(), held_out, model / "fold_0.safetensors", run.fold(0), said.append)
    return StartedFrom.load(run.fold(0) / "started_from.json"), said


def test_the_same_division_is_no_leak_and_another_one_is(runs):
    found, said = noted(Run(runs / "b"), runs / "a/model")
    assert (found.model, found.member, found.seen, said) == (str((runs / "a/model").resolve()), 0, False, [])
    assert told_of_start(Run(runs / "b"), 0) is None
    half = other(runs, "half", HALF)
    found, said = noted(half, runs / "a/model")
    assert (found.seen, said) == (True, ["It has learned from this fold's held-out part: validation scores will be too good"])
    assert told_of_start(half, 0).startswith(f"was started from {(runs / 'a/model').resolve()}, which has learned from what is")


def test_a_refitted_model_has_learned_from_all(runs):
    scores = runs / "a/model/scores.json"
    ModelScores.load(scores).replace(refit=True).save(scores)
    assert noted(Run(runs / "b"), runs / "a/model")[0].seen is True


def test_data_of_another_file_are_others(runs, tmp_path):
    assert noted(other(runs, "half", HALF, image=tmp_path / "copy.h5"), runs / "a/model")[0].seen is False


def test_what_a_model_was_started_from_itself_counts(runs, tmp_path):
    """Half is started from between, which is of another file, but was itself started from a."""
    between, half = other(runs, "between", 0.75, image=tmp_path / "copy.h5"), other(runs, "half", HALF)
    assert noted(half, between.model)[0].seen is False
    assert noted(between, runs / "a/model")[0].seen is False
    assert noted(half, between.model)[0].seen is True
    noted(Run(runs / "a"), between.model)
    assert noted(Run(runs / "b"), between.model)[0].seen is False
    shutil.rmtree(runs / "a")
    found, said = noted(half, between.model)
    assert found.seen is None
    assert "seems to be of the same data and may have learned from this fold's held-out part" in said[0]


def test_a_model_without_its_run_is_known_by_what_was_measured_of_its_data(runs):
    moved = runs / "moved/m"
    shutil.copytree(runs / "a/model", moved)
    assert noted(Run(runs / "b"), moved)[0].seen is None
    scores = ModelScores.load(moved / "scores.json")
    scores.replace(refit=True).save(moved / "scores.json")
    assert noted(Run(runs / "b"), moved)[0].seen is True
    plan = Run(runs / "a").plan()
    plan.replace(intensity=plan.intensity.replace(scale=(1.0, 2.0))).save(moved / "plan.yaml")
    assert noted(Run(runs / "b"), moved)[0].seen is False


def test_the_data_of_its_run_have_gone(runs, tmp_path):
    gone = other(runs, "gone", 0.75, image=tmp_path / "copy.h5")
    (tmp_path / "copy.h5").unlink()
    assert noted(Run(runs / "b"), gone.model)[0].seen is None


def test_select_tells_of_it(runs):
    told = []
    pytc_auto.select(["a", "b"], runs=runs, say=told.append)
    assert not any(line.startswith("Careful") for line in told)
    StartedFrom(model="x/model", member=0, weights="", seen=True).save(runs / "b/folds/0/started_from.json")
    pytc_auto.select(["a", "b"], runs=runs, say=told.append)
    (careful,) = [line for line in told if line.startswith("Careful")]
    assert careful.startswith("Careful: b, fold 0, was started from x/model, which has learned from what is held out: its scores")
