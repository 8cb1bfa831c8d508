"""The held-out scores of an exported model, once more from the command line."""

from __future__ import annotations

import json

import h5py
import pytest
from tests_pipeline import SIZE, write
from tests_skeletons import traced, write_swc

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.data.folds import divide
from pytc_auto.data.volumes import open_volumes, whole_regions
from pytc_auto.schema.model import ModelScores
from pytc_auto.schema.plan import Plan

SHAPE = (30, 42, 150)


def trained(folder, *, task="neurons", kind="neurons", skeletons=False):
    """A run that was not refitted, and what its fold holds out, as --box takes it."""
    write(folder / "data", "tissue", SHAPE, 4, kind=kind)
    if skeletons:
        with h5py.File(folder / "data/labels/tissue.h5") as file:
            write_swc(folder / "data/skeletons/tissue", traced(file["main"][:]), SIZE)
    made = pytc_auto.plan(folder / "data", name="n", runs=folder / "runs", task=task)
    plan = made.plan.replace(
        sampling=made.plan.sampling.replace(steps=30, validate_every=15, refit_steps=0),
        optimizer=made.plan.optimizer.replace(learning_rate=0.01, ema=0.0, warmup_steps=2),
    )
    plan.save(made.run.plan_file)
    pytc_auto.train("n", runs=folder / "runs")
    (region,) = divide(plan.folds, whole_regions(open_volumes(made.run.dataset(), plan, 1e9)), 0).validation
    box = ",".join(f"{a}:{b}" for a, b in zip(region.box.start, region.box.stop, strict=True))
    return made.run, box


def pytc(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["pytc", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0


def scored(monkeypatch, run, box, out, *more):
    data = run.folder.parent.parent / "data"
    pytc(monkeypatch, "predict", data / "images/tissue.h5", "--model", run.model, "--box", box, "-o", out)
    kept = out.with_suffix(".json")
    pytc(monkeypatch, "evaluate", out, data / "labels/tissue.h5", "--box", box, "--json", kept, *more)
    return json.loads(kept.read_text())["scores"]


def check_round_trip(tmp_path, monkeypatch, run, box, *more):
    """The command line gives the scores that the model tells, however the volume is cut into blocks."""
    wanted = json.loads((run.model / "scores.json").read_text())["folds"]["0"]
    for name, block in (("one block", (64, 64, 192)), ("blocks of 64", (64, 64, 64))):
        plan = Plan.load(run.model / "plan.yaml")
        plan.replace(inference=plan.inference.replace(block=block)).save(run.model / "plan.yaml")
        found = scored(monkeypatch, run, box, tmp_path / name, *more)
        assert {key: found[key] for key in wanted} == pytest.approx(wanted, abs=1e-9)
    assert len(wanted) > 5
    return wanted


@pytest.mark.parametrize(("kind", "task", "more"), [("neurons", "neurons", ["--components"]), ("classes", "classes", [])])
def test_predict_and_evaluate_give_the_scores_that_the_model_tells(tmp_path, monkeypatch, kind, task, more):
    run, box = trained(tmp_path, task=task, kind=kind)
    check_round_trip(tmp_path, monkeypatch, run, box, *more)


@pytest.mark.slow
def test_run_lengths_choose_and_are_the_same_from_the_command_line(tmp_path, monkeypatch):
    run, box = trained(tmp_path, skeletons=True)
    scores = ModelScores.load(run.model / "scores.json")
    assert (scores.metric, scores.merge_thresholds) == ("nerl", [0, 5, 20, 100])
    assert all(tried.merit == tried.scores["nerl"] for tried in scores.search)
    chosen = scores.search[scores.chosen]
    assert chosen.merit >= 0.95 * max(tried.merit for tried in scores.search) > 0
    facts = run.fingerprint().skeletons
    assert (facts.volumes, facts.labelled_fraction) == (1, 1)
    assert run.plan().why["decoder"].rule == "decoder.skeletons"
    wanted = check_round_trip(tmp_path, monkeypatch, run, box, "--components", "--skeletons", tmp_path / "data/skeletons/tissue")
    assert {"nerl", "nerl_5", "erl_nm", "voi"} <= wanted.keys()
    document = json.loads((tmp_path / "one block.json").read_text())["skeletons"]
    assert (document["clipped"], document["merge_thresholds"]) == (True, [0, 5, 20, 100])
    report = run.report_file.read_text()
    assert "by nerl" in report
    assert "0 (nerl), 5 (nerl_5)" in report
