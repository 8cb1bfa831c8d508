from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests_pipeline import write

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.errors import OutputError, PlanError
from pytc_auto.io.predictions import mean_stored
from pytc_auto.pipeline.held_out import kept_prediction, open_held_out
from pytc_auto.pipeline.model_folder import open_models
from pytc_auto.pipeline.runs import Run
from pytc_auto.pipeline.validation import best_of
from pytc_auto.schema.plan import Plan
from pytc_auto.schema.selection import Selection


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def runs(trained, quick, tmp_path):
    """Three runs of one data folder; those of b and c have other weights than the trained one, and no predictions of them."""
    if not (trained / "runs").exists():
        write(trained / "data", "tissue", (28, 36, 60), 1)
        pytc_auto.plan(trained / "data", name="a", runs=trained / "runs")
        pytc_auto.train("a", runs=trained / "runs")
    folder = tmp_path / "runs"
    for seed, name in enumerate("abc"):
        shutil.copytree(trained / "runs/a", folder / name)
        if seed:
            shake(folder / name, seed)
    return folder


def shake(run, seed):
    """Other weights, as if they had been trained."""
    rng = np.random.default_rng(seed)
    weights = load_file(run / "folds/0/weights.safetensors")
    shaken = {k: v + (0.2 * rng.standard_normal(v.shape)).astype(v.dtype) for k, v in weights.items()}
    save_file(shaken, run / "folds/0/weights.safetensors")
    save_file(shaken, run / "model/fold_0.safetensors")


def edit(run, **fields):
    """The plan of a run and of its model, edited."""
    for path in (run / "plan.yaml", run / "model/plan.yaml"):
        Plan.load(path).replace(**fields).save(path)


def stored(run):
    plan = Plan.load(run / "plan.yaml")
    held_out = open_held_out(Run(run), plan, 0)
    return held_out, kept_prediction(held_out, 0, run / "folds/0")


def test_all_models_pairs_and_the_whole_are_scored_on_the_same_voxels(runs, tmp_path):
    said = []
    found = pytc_auto.select(["a", "b", "c"], runs=runs, say=said.append)
    assert found.folder == runs / "selected"
    rows = {frozenset(row.members): row for row in found.selection.contenders}
    assert sorted(len(members) for members in rows) == [1, 1, 1, 2, 2, 2, 3]
    assert [row.merit for row in found.selection.contenders] == sorted((row.merit for row in rows.values()), reverse=True)
    again = [text for text in said if "predicting it again" in text]
    assert [text[:1] for text in again] == ["b", "c"]
    held_out, _ = stored(runs / "a")
    plan = held_out.plan
    for members, row in rows.items():
        together = mean_stored([stored(runs / name)[1] for name in sorted(members)], plan.heads)
        best = best_of(held_out.trials(together, 0, plan))
        assert (row.decoder, row.scores) == (best.choice, pytest.approx(dict(best.scores)))
    own = json.loads((runs / "a/model/scores.json").read_text())
    assert rows[frozenset("a")].scores == pytest.approx(own["folds"]["0"])
    assert Selection.load(found.folder / "selection.json") == found.selection


def test_judged_are_the_weights_from_before_the_refit_and_refitted_ones_are_exported(runs):
    before = stored(runs / "a")[1]
    shutil.rmtree(runs / "a/folds/0/held_out")
    said = []
    found = pytc_auto.select(["a", "b"], runs=runs, say=said.append)
    np.testing.assert_array_equal(stored(runs / "a")[1], before)
    assert found.selection.refit
    alone = next(row for row in found.selection.contenders if row.members == ["a"])
    assert alone.scores == pytest.approx(json.loads((runs / "a/model/scores.json").read_text())["folds"]["0"])
    (model,) = open_models([runs / "a/model"])
    refitted = load_file(runs / "a/folds/0/refitted.safetensors")
    exported = load_file(model.weights[0])
    assert all(np.array_equal(exported[key], value) for key, value in refitted.items())


def test_a_model_twice_is_no_better_than_alone_and_the_smaller_one_is_taken(runs):
    shutil.copytree(runs / "a", runs / "again")
    found = pytc_auto.select(["a", "again"], runs=runs)
    assert [row.scores for row in found.selection.contenders] == [found.selection.contenders[0].scores] * 3
    assert [member.folder for member in found.selection.members] == ["."]
    (model,) = open_models([found.folder])
    assert model.decoder == found.selection.decoder


def test_the_folder_predicts_with_all_members_and_the_decoder_that_was_tuned_for_them(runs, trained, tmp_path, monkeypatch):
    from pytc_auto.pipeline import selection

    monkeypatch.setattr(selection._Candidate, "rank", property(lambda self: -len(self.members)))
    found = pytc_auto.select(["a", "b", "c"], runs=runs, out=tmp_path / "moved")
    assert {member.folder for member in found.selection.members} == {"members/a", "members/b", "members/c"}
    shutil.rmtree(runs)
    models = open_models([found.folder])
    assert [model.decoder for model in models] == [found.selection.decoder] * 3
    volume = trained / "data/images/tissue.h5"
    (out,) = pytc_auto.predict([volume], model=found.folder, out=tmp_path / "o")
    told = json.loads((out / "zarr.json").read_text())["attributes"]["pytc"]
    assert len(told["models"]) == 3
    assert told["decoder"] == found.selection.decoder.model_dump()
    pytc_auto.predict([volume], model=found.folder, out=tmp_path / "o")
    changed = found.selection.decoder.replace(parameters={**found.selection.decoder.parameters, "min_size": 7})
    found.selection.replace(decoder=changed).save(found.folder / "selection.json")
    with pytest.raises(OutputError, match="not the same: models"):
        pytc_auto.predict([volume], model=found.folder, out=tmp_path / "o")


def other_labels(run, tmp_path):
    """The run's labels, one voxel of the held-out part changed."""
    dataset = Run(run).dataset()
    (entry,) = dataset.volumes
    copied = tmp_path / "labels.h5"
    shutil.copyfile(entry.labels.partition(":")[0], copied)
    with h5py.File(copied, "r+") as file:
        file["main"][3, 4, 58] = 9999
    dataset.replace(volumes=[entry.replace(labels=f"{copied}:main")]).save(run / "dataset.yaml")


def test_what_was_not_judged_alike_is_refused(runs, tmp_path):
    plan = Plan.load(runs / "b/plan.yaml")
    cases = {
        r"a is tuned by voi, b is tuned by ap\.": {"decoder": plan.decoder.replace(metric="ap")},
        r"a holds out \[0:28, 0:36, 45:60\] \(z, y, x\) of tissue, b holds out \[0:28, 0:36, 36:60\]": {
            "folds": plan.folds.replace(train=0.6)
        },
        r"with voxels, in nm, of \(12\.0, 12\.0, 12\.0\), b .* of \(12\.0, 24\.0, 24\.0\)": {"working_scale": (1, 2, 2)},
    }
    for told, fields in cases.items():
        edit(runs / "b", **fields)
        with pytest.raises(PlanError, match=f"cannot be compared:\n.*{told}"):
            pytc_auto.select(["a", "b"], runs=runs)
        plan.save(runs / "b/plan.yaml")
        plan.save(runs / "b/model/plan.yaml")
    other_labels(runs / "b", tmp_path)
    with pytest.raises(PlanError, match=r"a and b hold out .* but with other gray values, labels or skeletons"):
        pytc_auto.select(["a", "b"], runs=runs)
    assert not (runs / "selected").exists()


def test_models_with_other_targets_are_compared_but_not_averaged(runs):
    plan = Plan.load(runs / "b/plan.yaml")
    (head,) = plan.heads
    for path in (runs / "b/plan.yaml", runs / "b/model/plan.yaml"):
        plan.replace(heads=[head.replace(offsets=[head.offsets[i] for i in (0, 2, 1)])]).save(path)
    said = []
    found = pytc_auto.select(["a", "b"], runs=runs, say=said.append)
    assert {len(row.members) for row in found.selection.contenders} == {1}
    assert any(text.startswith("Not averaged, their targets differ: ") for text in said)


def test_groups_of_runs_and_what_cannot_be_chosen_from(runs, trained, tmp_path):
    with pytest.raises(PlanError, match="nothing to choose from: only a is given"):
        pytc_auto.select(["a", runs / "a/model"], runs=runs)
    pytc_auto.select(["a", "b"], runs=runs)
    with pytest.raises(PlanError, match=r"neither a plan file, a data folder nor a run .*\(runs there: a, b, c\)"):
        pytc_auto.select(["a", "x"], runs=runs)
    shutil.copytree(runs / "a/model", tmp_path / "moved")
    with pytest.raises(PlanError, match="moved: is a model without its run"):
        pytc_auto.select(["a", tmp_path / "moved"], runs=runs)
    shutil.rmtree(runs / "c/model")
    with pytest.raises(PlanError, match=r"c: is not trained to its end\. Run 'pytc train c' first"):
        pytc_auto.select(["a", "c"], runs=runs)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="mine: exists already and is no selection"):
        pytc_auto.select(["a", "b"], runs=runs, out=tmp_path / "mine")
    said = []
    found = pytc_auto.select([trained / "data"], runs=runs, say=said.append)
    assert "Left out, not trained to their end: c" in said
    assert len(found.selection.contenders) == 3
    (runs / "sweep.json").write_text("{}")
    assert len(pytc_auto.select([runs], runs=tmp_path / "elsewhere", out=tmp_path / "s").selection.contenders) == 3


def test_runs_of_one_name_are_told_apart(runs, tmp_path):
    shutil.copytree(runs / "b", tmp_path / "more/a")
    found = pytc_auto.select([runs / "a/plan.yaml", tmp_path / "more/a/plan.yaml"], runs=runs)
    assert {name for row in found.selection.contenders for name in row.members} == {"runs-a", "more-a"}


def test_the_command_line_prints_a_table_and_the_next_command(runs, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["pytc", "select", "a", "b", "--runs", str(runs), "--out", str(tmp_path / "best")])
    with pytest.raises(SystemExit) as stop:
        main()
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert "the best first (by voi)" in text
    assert any(name in text for name in ("a + b", "b + a"))
    assert f"Next: pytc predict VOLUME --model {tmp_path / 'best'} -o OUT" in text.replace("\n", "")
    monkeypatch.setattr("sys.argv", ["pytc", "select", "a", "--runs", str(runs)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert "Traceback" not in capsys.readouterr().err
