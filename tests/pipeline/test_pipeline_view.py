from __future__ import annotations

import gc
import shutil
import socket
import sys
import urllib.request

import h5py
import numpy as np
import pytest
from tests_models import SHAPE, VOXEL_SIZE, write_model, write_volume
from tests_pipeline import SIZE, write

import pytc_auto
from pytc_auto.errors import DataError, OutputError, PlanError
from pytc_auto.geometry import Box
from pytc_auto.io.ome_zarr import create_image
from pytc_auto.pipeline import view as viewing
from pytc_auto.pipeline.view_layers import View

BOX = Box((3, 5, 8), (17, 24, 33))


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A volume, a model, and an output of a box with its predictions, on a coarser grid."""
    folder = tmp_path_factory.mktemp("given")
    volume, model = write_volume(folder / "cell.h5"), write_model(folder / "model", working_scale=(1, 2, 2))
    pytc_auto.predict([volume], model=model, out=folder / "out", box=BOX, keep_predictions=True)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view") / "data"
    for seed, name in enumerate(("a", "b")):
        write(folder, name, (20, 24, 28), seed)
    pytc_auto.plan(folder, name="planned", runs=folder.parent / "runs", size="S")
    return folder


@pytest.fixture
def look(tmp_path):
    """The layers of an argument, and what was told."""

    def layers(what, runs="none", **more):
        told = []
        found = viewing._layers(
            what, tmp_path / runs if runs == "none" else runs, View(tmp_path / "copies", say=told.append, **more)
        )
        return {layer.name: layer for layer in found}, told

    return layers


def test_an_output_is_shown_on_its_input(given, look):
    layers, told = look(given / "out")
    assert list(layers) == ["raw", "prediction", "segmentation"]
    assert told == []
    raw, prediction, segmentation = layers.values()
    assert (raw.pyramid.finest.shape, raw.voxel_size_nm, raw.start) == (SHAPE, VOXEL_SIZE, (0, 0, 0))
    assert (segmentation.pyramid.finest.shape, segmentation.start) == (BOX.shape, BOX.start)
    assert (prediction.voxel_size_nm, prediction.start) == ((12.0, 18.0, 16.0), (3, 2, 4))
    assert [layer.visible for layer in layers.values()] == [True, False, True]
    assert len(prediction.pyramid.levels[0]) <= 3
    low, high = raw.contrast
    assert 0 <= low < high <= 255


def test_an_input_that_has_moved_is_told(given, tmp_path, look):
    shutil.copytree(given, tmp_path / "moved")
    text = (tmp_path / "moved/out/zarr.json").read_text()
    (tmp_path / "moved/out/zarr.json").write_text(text.replace(str(given / "cell.h5"), str(tmp_path / "gone.h5")))
    layers, told = look(tmp_path / "moved/out")
    assert list(layers) == ["prediction", "segmentation"]
    assert layers["segmentation"].start == (0, 0, 0)
    assert layers["prediction"].start == (0, 0, 0)
    assert len(told) == 1
    assert told[0].startswith("The input is not shown, it has moved or changed: ")
    assert "gone.h5" in told[0]


def test_an_unfinished_output_shows_what_is_predicted(given, tmp_path, look):
    shutil.copytree(given / "out", tmp_path / "out")
    shutil.rmtree(tmp_path / "out/labels")
    layers, told = look(tmp_path / "out")
    assert {name: layer.visible for name, layer in layers.items()} == {"raw": True, "prediction": True}
    assert "is not finished" in told[0]
    shutil.rmtree(tmp_path / "out/0")
    (tmp_path / "out/zarr.json").unlink()
    with pytest.raises(OutputError, match=r"out: there is nothing to see yet\. Run the same pytc predict again"):
        look(tmp_path / "out")


def test_a_folder_of_outputs_is_not_one(given, tmp_path, look):
    for name in ("a", "c"):
        shutil.copytree(given / "out/.pytc", tmp_path / "many" / name / ".pytc")
    with pytest.raises(OutputError, match=r"many: holds several outputs\. Name one: .*many/a, .*many/c\."):
        look(tmp_path / "many")


def test_a_folder_with_one_output_shows_it(given, tmp_path, look):
    shutil.copytree(given / "out", tmp_path / "one" / "a")
    assert list(look(tmp_path / "one")[0]) == list(look(given / "out")[0])


def test_a_run_that_holds_an_output_is_a_run(given, data, look):
    runs = data.parent / "runs"
    shutil.copytree(given / "out/.pytc", runs / "planned" / "out" / ".pytc")
    assert "raw a" in look(runs / "planned", runs)[0]
    shutil.rmtree(runs / "planned" / "out")


def test_a_run_shows_what_it_learns_from_and_what_it_predicted(data, look):
    runs = data.parent / "runs"
    size = tuple(SIZE)
    held_out = runs / "planned/folds/0/held_out/0"
    attributes = {"volume": "b"}
    start = tuple(s * a for s, a in zip(size, (1, 2, 3), strict=True))
    create_image(
        held_out, shape_czyx=(2, 5, 6, 7), chunks=(1, 5, 6, 7), dtype="uint8", voxel_size_nm=size, translation_nm=start,
        attributes=attributes,
    )  # fmt: skip
    plan = runs / "planned" / "plan.yaml"
    for what in ("planned", runs / "planned", plan):
        layers, _ = look(what, runs)
        assert list(layers) == ["raw a", "labels a", "raw b", "labels b", "prediction b, fold 0"]
        assert [layer.visible for layer in layers.values()] == [True, True, False, False, False]
        assert layers["prediction b, fold 0"].start == (1, 2, 3)
        assert layers["raw a"].contrast == layers["raw b"].contrast
    shutil.rmtree(runs / "planned/folds")


def test_data_are_shown_planned_or_not(data, look, tmp_path):
    layers, _ = look(data, data.parent / "runs")
    assert list(layers) == ["raw a", "labels a", "raw b", "labels b"]
    assert layers["labels b"].pyramid.finest.shape == (20, 24, 28)
    assert layers["labels b"].look == "labels"


def test_labels_of_a_part_and_of_coarser_voxels_lie_where_they_are(tmp_path, look):
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file.create_dataset("raw", data=np.zeros((20, 24, 28), np.uint8)).attrs["resolution"] = (40, 8, 8)
        labels = file.create_dataset("labels", data=np.ones((6, 5, 4), np.uint32))
        labels.attrs["resolution"], labels.attrs["offset"] = (40, 16, 16), (80, 32, 48)
    layers, _ = look(tmp_path / "one.h5")
    raw, labels = layers.values()
    assert (raw.voxel_size_nm, labels.voxel_size_nm, labels.start) == ((40, 8, 8), (40, 16, 16), (2, 2, 3))


def test_a_single_volume_is_shown_by_what_it_holds(tmp_path, look):
    np.save(tmp_path / "gray.npy", np.zeros((4, 5, 6), np.uint8))
    np.save(tmp_path / "ids.npy", np.zeros((4, 5, 6), np.uint32))
    layers, told = look(tmp_path / "gray.npy")
    assert [(layer.name, layer.look) for layer in layers.values()] == [("raw", "image")]
    assert "the voxel size is not known" in told[0]
    layers, told = look(tmp_path / "ids.npy", voxel_size_nm=(4.0, 3.0, 2.0))
    assert [(layer.name, layer.look, layer.voxel_size_nm) for layer in layers.values()] == [("labels", "labels", (4.0, 3.0, 2.0))]
    assert told == []


def test_what_is_not_there_is_told(tmp_path, look):
    with pytest.raises(PlanError, match="nothing: is neither a plan file, a data folder nor a run in"):
        look("nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"images: is missing"):
        look(tmp_path / "empty")


def test_the_page_is_served_until_it_is_closed(given):
    with pytc_auto.view(given / "out") as shown:
        assert shown.layers == ("raw", "prediction", "segmentation")
        gc.collect()
        url = shown.url
        with urllib.request.urlopen(url) as page:
            assert b"neuroglancer" in page.read().lower()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_a_port_that_is_taken_and_a_library_that_is_missing_are_told(given, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match=rf"port {port} cannot be used \(.*in use\)\. Give another --port"):
            pytc_auto.view(given / "out", port=port)
    monkeypatch.delitem(sys.modules, "pytc_auto.viewer.scene")
    monkeypatch.setitem(sys.modules, "neuroglancer", None)
    with pytest.raises(OutputError, match=r"needs neuroglancer\. Run: pip install 'pytc-auto\[view\]'"):
        pytc_auto.view(given / "out")
