from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from safetensors.numpy import load_file
from tests_pipeline import SIZE, write

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.errors import DataError, ModelError, OutputError, PlanError
from pytc_auto.io.open import open_segmentation
from pytc_auto.pipeline.runs import find_run
from pytc_auto.schema.plan import Plan


@pytest.fixture(scope="module")
def neurons(tmp_path_factory):
    folder = tmp_path_factory.mktemp("neurons")
    write(folder / "train", "tissue", (30, 40, 60), 1)
    write(folder / "test", "unseen", (24, 28, 36), 2)
    return folder


@pytest.fixture
def model(neurons, quick):
    runs = neurons / "runs"
    if not (runs / "n" / "model").exists():
        pytc_auto.plan(neurons / "train", name="n", runs=runs)
        pytc_auto.train("n", runs=runs)
    return runs / "n" / "model"


def test_the_model_folder_is_portable_and_holds_no_pickle(model):
    assert sorted(p.name for p in model.iterdir()) == ["decoder.json", "fold_0.safetensors", "plan.yaml", "scores.json"]
    scores = json.loads((model / "scores.json").read_text())
    assert scores["metric"] == "voi"
    assert scores["folds"]["0"]["voi"] >= 0
    assert {row["kind"] for row in scores["search"]} == {"agglomerate", "mutex"}


def test_a_run_leaves_what_the_readme_says(model):
    run = model.parent
    for name in ("plan.yaml", "dataset.yaml", "fingerprint.json", "folds/0/metrics.csv", "folds/0/validation.png"):
        assert (run / name).is_file(), name
    assert (run / "folds/0/decoder.png").is_file()
    assert zarr.open_array(run / "folds/0/held_out/0/0", mode="r").shape[1:] == (30, 40, 15)
    report = (run / "report.html").read_text()
    assert report.index("Training and decoder") < report.index("held-out score while training") < report.index("The data")
    assert str(run) not in (run / "fingerprint.json").read_text() + (run / "plan.yaml").read_text()


def test_prediction_covers_the_volume_and_has_its_voxel_size(model, neurons, tmp_path):
    (out,) = pytc_auto.predict([neurons / "test/images/unseen.h5"], model=model, out=tmp_path / "seg", keep_predictions=True)
    found = open_segmentation(out)
    assert found.shape == (24, 28, 36)
    assert found.voxel_size_nm == SIZE
    assert zarr.open_array(out / "0", mode="r").shape[1:] == (24, 28, 36)
    assert (out / ".pytc" / "preview.png").is_file()
    scores = pytc_auto.evaluate(out, neurons / "test/labels/unseen.h5", json_file=tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text())["scores"] == scores


def test_predictions_are_dropped_unless_asked_for(model, neurons, tmp_path):
    (out,) = pytc_auto.predict([neurons / "test/images/unseen.h5"], model=model, out=tmp_path / "seg")
    assert not (out / "0").exists()
    assert open_segmentation(out).shape == (24, 28, 36)


def test_the_same_job_resumes_and_another_is_refused(model, neurons, tmp_path):
    volume, out = neurons / "test/images/unseen.h5", tmp_path / "seg"
    pytc_auto.predict([volume], model=model, out=out)
    before = (out / "labels" / "segmentation" / "zarr.json").stat().st_mtime_ns
    pytc_auto.predict([volume], model=model, out=out)
    assert (out / "labels" / "segmentation" / "zarr.json").stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="was made from another volume, model or setting"):
        pytc_auto.predict([neurons / "train/images/tissue.h5"], model=model, out=out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="exists already and is not an output of pytc predict"):
        pytc_auto.predict([volume], model=model, out=tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_an_interrupted_prediction_ends_as_an_undisturbed_one(model, neurons, tmp_path, monkeypatch):
    from pytc_auto.pipeline import segment

    volume = neurons / "test/images/unseen.h5"
    pytc_auto.predict([volume], model=model, out=tmp_path / "whole")

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(segment, "decode_step", fail)
        with pytest.raises(KeyboardInterrupt):
            pytc_auto.predict([volume], model=model, out=tmp_path / "cut")
    pytc_auto.predict([volume], model=model, out=tmp_path / "cut")
    one, two = (open_segmentation(tmp_path / name) for name in ("whole", "cut"))
    np.testing.assert_array_equal(one.read(one.box), two.read(two.box))


def test_several_volumes_go_into_a_folder_by_name(model, neurons, tmp_path):
    volumes = [neurons / "test/images/unseen.h5", neurons / "train/images/tissue.h5"]
    made = pytc_auto.predict(volumes, model=model, out=tmp_path / "many")
    assert [p.name for p in made] == ["unseen", "tissue"]
    with pytest.raises(OutputError, match=r"unseen: would be the result of both .*unseen\.h5 and .*unseen\.h5"):
        pytc_auto.predict([volumes[0], volumes[0]], model=model, out=tmp_path / "twice")


def test_another_voxel_size_goes_on_only_with_force(model, neurons, tmp_path):
    volume = neurons / "test/images/unseen.h5"
    with pytest.raises(DataError, match=r"voxel size is 30 × 8 × 8 nm.*trained on 12 × 12 × 12 nm.*--force"):
        pytc_auto.predict([volume], model=model, out=tmp_path / "a", voxel_size_nm=(30, 8, 8))
    assert not (tmp_path / "a").exists()
    pytc_auto.predict([volume], model=model, out=tmp_path / "a", voxel_size_nm=(30, 8, 8), force=True)


def test_a_volume_without_voxel_size_names_the_three_ways(model, tmp_path):
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["main"] = np.zeros((20, 20, 20), np.uint8)
    with pytest.raises(DataError, match=r"Store it in the file, declare voxel_size_nm in dataset.yaml.*--voxel-size"):
        pytc_auto.predict([tmp_path / "bare.h5"], model=model, out=tmp_path / "out")
    (tmp_path / "dataset.yaml").write_text("voxel_size_nm: [12, 12, 12]\n")
    pytc_auto.predict([tmp_path / "bare.h5"], model=model, out=tmp_path / "out")


def test_a_model_folder_that_lacks_a_file_is_named(model, tmp_path):
    with pytest.raises(ModelError, match=r"lacks plan.yaml, decoder.json, fold_0.safetensors"):
        pytc_auto.predict(["x.h5"], model=tmp_path, out=tmp_path / "out")


def test_training_resumes_and_a_trained_fold_is_not_trained_again(neurons, model, tmp_path):
    said = []
    done = pytc_auto.train(neurons / "train", runs=model.parent.parent, say=said.append)
    assert "Fold 0 is trained already" in said
    assert done.scores[0]["voi"] == json.loads((model / "scores.json").read_text())["folds"]["0"]["voi"]


def test_all_folds_are_exported(tmp_path, neurons):
    pytc_auto.plan(neurons / "train", name="all", runs=tmp_path)
    plan = Plan.load(tmp_path / "all/plan.yaml")
    plan.replace(folds={"kind": "slab", "axis": "x", "count": 2, "train": 0.5, "guard": 2}).save(tmp_path / "all/plan.yaml")
    done = pytc_auto.train("all", runs=tmp_path, fold="all")
    assert sorted(done.scores) == [0, 1]
    assert (tmp_path / "all/model/fold_1.safetensors").is_file()
    assert not done.refit
    assert not (tmp_path / "all/folds/0/refitted.safetensors").exists()


def test_early_stop_leaves_a_model(tmp_path, neurons):
    pytc_auto.plan(neurons / "train", name="early", runs=tmp_path)
    plan = Plan.load(tmp_path / "early/plan.yaml")
    plan.replace(sampling=plan.sampling.replace(steps=100_000, validate_every=50_000)).save(tmp_path / "early/plan.yaml")
    done = pytc_auto.train("early", runs=tmp_path, max_seconds=2.0)
    assert done.stopped_early
    assert (done.run.model / "fold_0.safetensors").is_file()


def test_classes_keep_their_raw_values(tmp_path):
    write(tmp_path / "train", "tissue", (20, 32, 48), 3, kind="classes")
    pytc_auto.plan(tmp_path / "train", name="c", runs=tmp_path / "runs", task="classes")
    done = pytc_auto.train("c", runs=tmp_path / "runs")
    (out,) = pytc_auto.predict([tmp_path / "train/images/tissue.h5"], model=done.run.model, out=tmp_path / "out")
    found = open_segmentation(out)
    assert set(np.unique(found.read(found.box))) <= {0, 1, 2}
    assert "mean_dice" in pytc_auto.evaluate(out, tmp_path / "train/labels/tissue.h5")


def test_a_name_that_is_no_run_lists_the_runs(model, tmp_path):
    with pytest.raises(PlanError, match=r"neither a plan file, a data folder nor a run.*runs there: n"):
        pytc_auto.train("nonsense", runs=model.parent.parent)
    with pytest.raises(PlanError, match=r"no run in .* was planned from it. Run 'pytc plan"):
        pytc_auto.train(tmp_path, runs=tmp_path / "runs")
    with pytest.raises(PlanError, match="there is no fold 7"):
        pytc_auto.train("n", runs=model.parent.parent, fold=7)


def test_a_folder_of_the_runs_name_does_not_hide_the_run(neurons, tmp_path, monkeypatch):
    pytc_auto.plan(neurons / "train", name="demo", runs=tmp_path / "runs")
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_run("demo", Path("runs")).name == "demo"
    assert find_run("runs/demo/plan.yaml", Path("elsewhere")).name == "demo"
    assert find_run("runs/demo", Path("elsewhere")).name == "demo"


def test_several_runs_of_one_data_folder_are_listed(tmp_path, neurons):
    for name in ("one", "two"):
        pytc_auto.plan(neurons / "train", name=name, runs=tmp_path)
    with pytest.raises(PlanError, match=r"several runs .*: one, two. Name the one to train"):
        pytc_auto.train(neurons / "train", runs=tmp_path)


def test_a_trained_run_is_not_planned_over(model, neurons):
    with pytest.raises(OutputError, match="was trained already"):
        pytc_auto.plan(neurons / "train", name="n", runs=model.parent.parent)


def test_shapes_that_differ_are_refused_by_evaluate(neurons):
    with pytest.raises(DataError, match=r"has shape .* but .* has"):
        pytc_auto.evaluate(neurons / "test/labels/unseen.h5", neurons / "train/labels/tissue.h5")


def run_cli(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["pytc", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    return stop.value.code, captured.out + captured.err


@pytest.mark.drawn
def test_the_command_line_prints_plans_scores_and_errors(monkeypatch, capsys, neurons, model, tmp_path):
    planning = ("plan", neurons / "train", "sampling.seed=3", "--name", "cli", "--runs", tmp_path, "--max-time", "30m")
    code, text = run_cli(monkeypatch, capsys, *planning)
    assert code == 0
    assert "working_scale" in text
    assert "patch.field_of_view" not in text
    code, text = run_cli(monkeypatch, capsys, *planning, "--explain")
    assert code == 0
    assert "patch.field_of_view" in text
    assert "by hand" in text
    code, text = run_cli(monkeypatch, capsys, "plan", neurons / "train", "pach=[8,8,8]")
    assert code == 1
    assert "Did you mean patch?" in text
    code, text = run_cli(monkeypatch, capsys, "evaluate", neurons / "test/labels/unseen.h5", neurons / "test/labels/unseen.h5")
    assert code == 0
    assert "adapted rand" in text
    code, text = run_cli(monkeypatch, capsys, "train", "cli", "--runs", tmp_path)
    assert code == 0
    assert "Validation, fold 0" in text
    volume = neurons / "test/images/unseen.h5"
    code, text = run_cli(monkeypatch, capsys, "predict", volume, "--model", tmp_path / "cli/model", "-o", tmp_path / "o")
    assert code == 0
    assert Path(tmp_path / "o/labels/segmentation").is_dir()
    code, text = run_cli(monkeypatch, capsys, "plan", tmp_path / "nowhere")
    assert code == 1
    assert "Error:" in text
    assert "Traceback" not in text
    assert run_cli(monkeypatch, capsys, "plan", neurons, "--voxel-size", "1,2")[0] == 2
    assert run_cli(monkeypatch, capsys, "train", "cli", "--max-time", "soon")[0] == 2
    assert run_cli(monkeypatch, capsys, "train", "cli", "--fold", "x")[0] == 2


@pytest.mark.parametrize("kind", ["resenc", "mednext", "segresnet"])
def test_every_kind_of_network_goes_the_whole_way(neurons, tmp_path, quick, kind):
    planned = pytc_auto.plan(neurons / "train", [f"network.kind={kind}"], name=kind, runs=tmp_path)
    assert planned.plan.network.kind == kind
    trained = pytc_auto.train(kind, runs=tmp_path)
    assert trained.scores[0]["voi"] >= 0
    (out,) = pytc_auto.predict([neurons / "test/images/unseen.h5"], model=trained.run.model, out=tmp_path / "seg")
    assert open_segmentation(out).shape == (24, 28, 36)


def test_a_deeply_supervised_network_goes_the_whole_way_and_keeps_its_coarse_heads(neurons, tmp_path, quick):
    strides = "network.strides=[[1,1,1],[2,2,2],[2,2,2]]"
    pytc_auto.plan(
        neurons / "train", ["network.kind=dynunet", strides, "network.deep_supervision=true"], name="deep", runs=tmp_path
    )
    model = pytc_auto.train("deep", runs=tmp_path).run.model
    assert {name for name in load_file(model / "fold_0.safetensors") if "coarse" in name} == {
        "coarse_heads.0.weight",
        "coarse_heads.0.bias",
    }
    (out,) = pytc_auto.predict([neurons / "test/images/unseen.h5"], model=model, out=tmp_path / "seg")
    assert open_segmentation(out).shape == (24, 28, 36)


def test_what_is_learned_beside_the_heads_is_not_predicted(neurons, tmp_path, quick):
    shape = "auxiliary=[{kind:lsd,sigma_nm:60,loss:mse,weight:0.5}]"
    plan = pytc_auto.plan(neurons / "train", [shape], name="lsd", runs=tmp_path).plan
    assert plan.outputs == plan.channels + 10
    model = pytc_auto.train("lsd", runs=tmp_path).run.model
    assert any(tensor.shape[0] == plan.outputs for tensor in load_file(model / "fold_0.safetensors").values())
    (out,) = pytc_auto.predict([neurons / "test/images/unseen.h5"], model=model, out=tmp_path / "seg", keep_predictions=True)
    assert zarr.open_array(out / "0", mode="r").shape == (plan.channels, 24, 28, 36)


BINARY = "{kind:foreground,width_nm:0.0,loss:dice_bce,weight:1.0},{kind:boundary,width_nm:40.0,loss:dice_bce,weight:1.0}"
DISTANCES = "{kind:signed_distance,scale_nm:60.0,loss:smooth_l1,weight:1.0},{kind:flow,loss:mse,weight:1.0}"
SKELETON = "{kind:skeleton_distance,scale_nm:20.0,loss:mse,weight:1.0}"


@pytest.mark.parametrize(
    ("name", "heads", "kinds"),
    [
        ("distances", f"{BINARY},{DISTANCES}", ["seeded", "components"]),
        ("skeleton", f"{SKELETON},{BINARY}", ["seeded", "components"]),
        ("sides", "{kind:polarity,loss:dice_bce,weight:1.0}", ["polarity"]),
    ],
)
def test_heads_by_hand_go_the_whole_way(neurons, tmp_path, quick, name, heads, kinds):
    plan = pytc_auto.plan(
        neurons / "train", [f"heads=[{heads}]", "inference.symmetries=2"], name=name, runs=tmp_path, task="objects"
    ).plan
    assert plan.decoder.kinds == kinds
    trained = pytc_auto.train(name, runs=tmp_path)
    assert 0 <= trained.scores[0]["ap"] <= 1
    assert ("synapse_sided_f1" in trained.scores[0]) == (kinds == ["polarity"])
    parameters = json.loads((trained.run.model / "decoder.json").read_text())["parameters"]
    assert parameters.get("distance_threshold", 0.2) in {0.2, 0.5}
    (out,) = pytc_auto.predict([neurons / "test/images/unseen.h5"], model=trained.run.model, out=tmp_path / "seg")
    assert open_segmentation(out).shape == (24, 28, 36)
    assert (out / ".pytc" / "preview.png").is_file()
