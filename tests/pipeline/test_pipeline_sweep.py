from __future__ import annotations

import csv
import json

import pytest
import zarr
from tests_pipeline import write

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.errors import OutputError, PlanError
from pytc_auto.pipeline import jobs
from pytc_auto.pipeline import sweep as module
from pytc_auto.schema.plan import Plan

RATES = ["optimizer.learning_rate=choice(1e-3,3e-4)", "sampling.foreground_share=0.25"]


@pytest.fixture
def data(tmp_path):
    write(tmp_path / "tissue" / "train", "a", (30, 40, 60), 1)
    return tmp_path / "tissue" / "train"


@pytest.fixture
def trained(monkeypatch):
    """Counts trainings."""
    names = []

    def train(name, **more):
        names.append(name)
        return pytc_auto.train(name, **more)

    monkeypatch.setattr(module, "train", train)
    return names


def test_a_run_for_each_combination_and_one_table_the_best_first(data, tmp_path, trained):
    rows = pytc_auto.sweep(data, RATES, runs=tmp_path)
    folder = tmp_path / "tissue-sweep"
    assert trained == ["learning_rate_0.001", "learning_rate_0.0003"]
    assert {row.run.name for row in rows} == set(trained)
    assert rows[0].scores["voi"] <= rows[1].scores["voi"]
    assert all(row.error is None for row in rows)
    for name, rate in zip(trained, (1e-3, 3e-4), strict=True):
        plan = Plan.load(folder / name / "plan.yaml")
        assert (plan.name, plan.optimizer.learning_rate, plan.sampling.foreground_share) == (name, rate, 0.25)
        assert plan.why["optimizer.learning_rate"].rule == plan.why["sampling.foreground_share"].rule == "by hand"
        assert (folder / name / "model" / "fold_0.safetensors").is_file()
        assert (folder / name / "report.html").is_file()
    table = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert [row["run"] for row in table] == [row.run.name for row in rows]
    assert [float(row["voi"]) for row in table] == [row.scores["voi"] for row in rows]
    assert [row["optimizer.learning_rate"] for row in table] == [row.values["optimizer.learning_rate"] for row in rows]


def test_the_same_command_goes_on_and_another_is_refused(data, tmp_path, trained):
    first = pytc_auto.sweep(data, RATES, runs=tmp_path)
    folder = tmp_path / "tissue-sweep"
    (folder / "learning_rate_0.0003" / "model" / "scores.json").unlink()
    again = pytc_auto.sweep(data, RATES, runs=tmp_path)
    assert trained == ["learning_rate_0.001", "learning_rate_0.0003", "learning_rate_0.0003"]
    assert [row.scores for row in again] == [row.scores for row in first]
    with pytest.raises(OutputError, match=r"holds another sweep \(overrides .*Choose another --name"):
        pytc_auto.sweep(data, ["optimizer.learning_rate=1e-3,1e-2"], runs=tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is not empty and holds no sweep"):
        pytc_auto.sweep(data, RATES, runs=tmp_path, name="mine")


def test_a_combination_without_a_plan_stops_the_sweep_before_anything_is_trained(data, tmp_path, trained):
    with pytest.raises(PlanError) as caught:
        pytc_auto.sweep(data, ["network.kind=unet,mednext", "optimizer.ema=0.9,1.5"], runs=tmp_path)
    lines = [line.split(":")[0] for line in str(caught.value).splitlines()]
    assert lines == ["kind_unet-ema_1.5", "kind_mednext-ema_1.5"]
    assert trained == []
    pytc_auto.sweep(data, ["network.kind=unet", "optimizer.ema=0.9"], runs=tmp_path)
    assert trained == ["only"]
    with pytest.raises(PlanError, match=r"more than once: optimizer\.learning_rate=0\.001\. Give each"):
        pytc_auto.sweep(data, ["optimizer.learning_rate=1e-3,0.001"], runs=tmp_path, name="twice")


def test_a_run_that_fails_stands_in_the_table_and_the_others_go_on(data, tmp_path, monkeypatch, capsys):
    def train(name, **more):
        if name.endswith("0.001"):
            raise PlanError("this one fails")
        return pytc_auto.train(name, **more)

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr("sys.argv", ["pytc", "sweep", str(data), *RATES, "--runs", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "Failed: learning_rate_0.001: this one fails" in said
    assert "0.0003" in said
    assert "Best: " in said
    header = said[said.index("optimizer.learning_rate") :]
    assert header.index("voi") < header.index("adapted rand")


@pytest.mark.slow
def test_jobs_train_wait_and_tell_how_they_ended(data, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "CLUSTER", "local")
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.2)
    told = []
    rows = pytc_auto.sweep(data, RATES, runs=tmp_path, slurm=["partition=gpu", "mem_gb=4"], say=told.append)
    assert [row.error for row in rows] == [None, None]
    assert (rows[0].run.model / "fold_0.safetensors").is_file()
    ids = json.loads((tmp_path / "tissue-sweep" / "jobs" / "ids.json").read_text())
    assert set(ids) == {row.run.name for row in rows}
    assert sum(line.endswith(": done") for line in told) == 2
    (rows[1].run.folder / "dataset.yaml").unlink()
    (rows[1].run.model / "scores.json").unlink()
    worse = pytc_auto.sweep(data, RATES, runs=tmp_path, slurm=[], say=told.append)[-1]
    assert "dataset.yaml is missing beside the plan" in worse.error
    assert told[-1].startswith(f"{worse.run.name}: failed: ")


def test_a_parameter_of_a_job_that_is_none_is_refused(data, tmp_path):
    with pytest.raises(PlanError, match=r"--slurm gpu: is no parameter of a job\. Write key=value"):
        pytc_auto.sweep(data, RATES, runs=tmp_path, slurm=["gpu"])


def test_runs_of_a_sweep_score_the_same_box(data, tmp_path, trained, monkeypatch):
    """The planner gives each the box that its time allows; all score the smallest."""
    boxes = iter([None, (12, 24, 16), (14, 20, 16)])
    decide = module.decide

    def decided(looked, run, make, **more):
        box = next(boxes)

        def boxed(*given):
            plan = make(*given)
            return plan.replace(folds=plan.folds.replace(scored=box))

        return decide(looked, run, boxed, **more)

    monkeypatch.setattr(module, "decide", decided)
    rates = ["optimizer.learning_rate=choice(1e-3,3e-4,1e-4)", "sampling.steps=2", "sampling.validate_every=1"]
    pytc_auto.sweep(data, rates, runs=tmp_path)
    plans = {name: Plan.load(tmp_path / "tissue-sweep" / name / "plan.yaml") for name in trained}
    assert [plan.folds.scored for plan in plans.values()] == [(12, 20, 16)] * 3
    whole, first, _ = (plan.why["folds.scored"] for plan in plans.values())
    assert (whole.rule, whole.numbers) == ("sweep.same_box", {"planned": None})
    assert first.numbers == {"planned": [12, 24, 16]}
    for name in trained:
        found = zarr.open_array(tmp_path / "tissue-sweep" / name / "folds/0/held_out/0/0", mode="r")
        assert found.shape[1:] == (12, 20, 15)
        assert "12" in (tmp_path / "tissue-sweep" / name / "report.html").read_text()
    pytc_auto.select(sorted(tmp_path / "tissue-sweep" / name for name in trained), out=tmp_path / "best")
