from __future__ import annotations

from pathlib import Path

import pytest
from samples import AFFINITIES, FOREGROUND
from tests_models import VOXEL_SIZE, write_model
from tests_v1 import WAY

from pytc_auto.errors import ModelError
from pytc_auto.pipeline.model_folder import Model, open_models
from pytc_auto.pipeline.runs import find_model, model_of

OFFSETS = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [-2, 0, 0], [0, -3, 0], [0, 0, -3]]


def test_members_are_kept_in_order_and_tell_models_apart(tmp_path):
    folder = write_model(tmp_path / "m", (0, 1, 2))
    model = Model.open(folder, [2, 0, 2])
    assert [path.name for path in model.weights] == ["fold_0.safetensors", "fold_2.safetensors"]
    assert len(model.networks()) == 2
    hashes = [Model.open(folder, members).hash for members in ([0], [1], [0, 1], [0, 2], None)]
    assert len(set(hashes)) == 5
    assert Model.open(folder, [0, 1, 2]).hash == hashes[-1]
    with pytest.raises(ModelError, match=r"m: has no member 5\. Its members are 0, 1, 2\."):
        Model.open(folder, [0, 5])


def test_a_trained_run_stands_for_its_model(tmp_path):
    folder = write_model(tmp_path / "run" / "model")
    assert Model.open(tmp_path / "run").folder == folder
    assert [model.folder for model in open_models([tmp_path / "run"])] == [folder]
    (tmp_path / "planned").mkdir()
    (tmp_path / "planned" / "plan.yaml").write_bytes((folder / "plan.yaml").read_bytes())
    with pytest.raises(ModelError, match=r"planned: .* lacks decoder\.json, fold_0\.safetensors\. Give a trained run"):
        Model.open(tmp_path / "planned")


def test_a_model_is_found_by_the_name_of_its_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, runs = write_model(tmp_path / "runs" / "a" / "model"), Path("runs")
    write_model(tmp_path / "runs" / "selected").joinpath("selection.json").touch()
    (folder.parent / "plan.yaml").touch()
    (tmp_path / "a").mkdir()  # a data folder, say
    assert find_model("a", runs).resolve() == folder.parent
    assert find_model("runs/a", Path("elsewhere")) == Path("runs/a")
    assert find_model(folder, runs) == folder
    assert find_model("selected", runs) == Path("runs/selected")
    (tmp_path / "runs" / "b").mkdir()
    for name in ("plan.yaml", "dataset.yaml"):
        (tmp_path / "runs" / "b" / name).touch()
    with pytest.raises(ModelError, match=r"^runs/b: this run has no model yet\. Run 'pytc train runs/b' first\.$"):
        find_model("b", runs)
    with pytest.raises(ModelError, match=r"^c: there is no such model, nor a run of that name \(trained runs in runs: a\)\.$"):
        find_model("c", runs)


def test_a_model_folder_goes_before_a_run_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = Path("runs")
    write_model(tmp_path / "runs" / "a" / "model")
    write_model(tmp_path / "runs" / "selected")
    data = tmp_path / "a"
    data.mkdir()
    assert [model_of(each, runs) for each in ("a", "selected", "none")] == [runs / "a" / "model", runs / "selected", Path("none")]
    assert model_of("a") == Path("a")
    data.rmdir()
    write_model(tmp_path / "a")
    assert model_of("a", runs) == Path("a")


def test_models_that_agree_go_together(tmp_path):
    one = write_model(tmp_path / "one")
    heads = [{**AFFINITIES, "loss": "focal", "weight": 0.5}, FOREGROUND]
    other = write_model(tmp_path / "two", patch=[8, 16, 24], heads=heads, voxel_size_nm=[s * 1.03 for s in VOXEL_SIZE])
    assert [model.folder for model in open_models([one, other])] == [one, other]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"heads": [{**AFFINITIES, "offsets": OFFSETS}, FOREGROUND]}, [r"heads: .*one has .*two has .*\(-2, 0, 0\)"]),
        ({"heads": [FOREGROUND, AFFINITIES], "decoder": {"kinds": ["agglomerate"], "grid": {}, "metric": "voi"}}, ["heads: "]),
        ({"working_scale": [1, 2, 2]}, [r"working_scale: .*one has \(1, 1, 1\), .*two has \(1, 2, 2\)\."]),
        (
            {"voxel_size_nm": [12.0, 12.0, 8.0], "working_scale": [2, 1, 1]},
            [r"voxel_size_nm: .*one has \(12\.0, 9\.0, 8\.0\), .*two has \(12\.0, 12\.0, 8\.0\)\.", "working_scale: "],
        ),
        (
            {
                "inference": {**WAY, "activations": ["sigmoid"] * 2},
                "intensity": {"clip": [0, 255], "scale": [128, 50], "range": "volume"},
            },
            [r"inference: .*one has logits, .*two has v1's sigmoid, sigmoid\.", r"intensity\.range: .*stored, .*volume"],
        ),
    ],
)
def test_models_that_differ_are_refused_and_all_differences_told(tmp_path, fields, told):
    folders = [write_model(tmp_path / "one"), write_model(tmp_path / "two", **fields)]
    with pytest.raises(ModelError, match=r"cannot predict together:\n" + r"\n".join(f"{text}.*" for text in told) + r"\nPredict"):
        open_models(folders)


def test_no_model_and_one_twice_are_refused(tmp_path):
    folder = write_model(tmp_path / "m")
    with pytest.raises(ModelError, match="no model to predict with"):
        open_models([])
    with pytest.raises(ModelError, match="is given more than once"):
        open_models([folder, folder / ".." / "m"])
