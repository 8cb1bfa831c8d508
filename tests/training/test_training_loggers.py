from __future__ import annotations

import pytest

from pytc_auto.errors import OutputError
from pytc_auto.training import loggers as module
from pytc_auto.training.fit import fit
from pytc_auto.training.flags import Flags
from pytc_auto.training.loggers import MORE, loggers

SAMPLING = {"batch": 1, "steps": 25, "validate_every": 25}


@pytest.mark.parametrize("name", list(MORE))
def test_a_package_that_is_missing_is_named_with_what_to_install(monkeypatch, tmp_path, name):
    monkeypatch.setattr(module, "find_spec", lambda asked: None if asked == name else 1)
    with pytest.raises(OutputError) as caught:
        loggers([name], tmp_path, "fib25")
    assert str(caught.value) == f"--logger {name} needs {name}. Run: pip install 'pytc-auto[{name}]'"


def test_a_logger_that_is_not_known_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"--logger comet: is not known\. Known: wandb, mlflow"):
        loggers(["comet"], tmp_path, "fib25")


def test_tensorboard_and_csv_are_always_there(plan, network, data, tmp_path):
    made = plan(sampling=SAMPLING)
    fit(made, network(made), data(made), tmp_path, validate=None)
    assert (tmp_path / "metrics.csv").read_text().startswith("epoch,lr-")
    assert list((tmp_path / "events").glob("events.out.*"))


def test_wandb_keeps_what_it_is_told_in_the_folder_without_a_login(plan, network, data, watched, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    made = plan(sampling=SAMPLING)
    finish, summary = wandb.finish, {}

    def finish_and_tell():
        summary.update(dict(wandb.run.summary))
        finish()

    monkeypatch.setattr(wandb, "finish", finish_and_tell)
    fit(made, network(made), data(made), tmp_path / "0", validate=watched([0.25]), flags=Flags(loggers=("wandb",)))
    assert wandb.run is None
    assert len(list((tmp_path / "0" / "wandb").glob("offline-run-*/run-*.wandb"))) == 1
    assert summary["validation/score"] == 0.25
    assert summary["train/affinities"] > 0


def test_mlflow_keeps_what_it_is_told_in_the_folder(plan, network, data, watched, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    made = plan(sampling=SAMPLING)
    fit(made, network(made), data(made), tmp_path / "0", validate=watched([0.25]), flags=Flags(loggers=("mlflow", "mlflow")))
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / '0' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name(made.name).experiment_id])
    assert run.info.run_name == f"{tmp_path.name}/0"
    assert run.info.status == "FINISHED"
    assert run.data.metrics["validation/score"] == 0.25
    assert run.data.metrics["train/affinities"] > 0
