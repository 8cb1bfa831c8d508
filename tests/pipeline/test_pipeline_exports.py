from __future__ import annotations

import errno
import json
import shutil

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import Image, ImageLabel, Labels
from tests_models import SHAPE, VOXEL_SIZE, write_model, write_volume

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.errors import OutputError
from pytc_auto.geometry import Box
from pytc_auto.io.open import open_segmentation, open_volume
from pytc_auto.pipeline import exports, prediction

FILES = {"tif": "segmentation.tif", "h5": "segmentation.h5", "nii.gz": "segmentation.nii.gz", "precomputed": "precomputed"}
BOX = Box((3, 5, 8), (17, 24, 33))


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    return write_volume(folder / "cell.h5"), write_model(folder / "model")


@pytest.fixture(scope="module")
def finished(given, tmp_path_factory):
    volume, model = given
    (out,) = pytc_auto.predict([volume], model=model, out=tmp_path_factory.mktemp("finished") / "out")
    return out


@pytest.fixture
def out(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def nothing_is_predicted(monkeypatch):
    monkeypatch.setattr(prediction, "segment", lambda *_: pytest.fail("it was predicted again"))


def attributes(path):
    return json.loads((path / "zarr.json").read_text())["attributes"]


def test_formats_are_added_to_a_finished_output(given, out, monkeypatch):
    volume, model = given
    wanted = open_segmentation(out)
    nothing_is_predicted(monkeypatch)
    told = []
    pytc_auto.predict([volume], model=model, out=out, formats=["zarr", *FILES], told=told.append)
    assert told[0].state == "done before"
    for name in FILES.values():
        read = open_volume(out / name)
        assert (read.shape, read.voxel_size_nm) == (SHAPE, VOXEL_SIZE)
        np.testing.assert_array_equal(read.read(read.box), wanted.read(wanted.box))
    assert not (out / ".pytc" / "export").exists()
    assert open_segmentation(out).source == wanted.source
    before = {name: (out / name).stat().st_mtime_ns for name in FILES.values()}
    pytc_auto.predict([volume], model=model, out=out, formats=list(FILES))
    assert {name: (out / name).stat().st_mtime_ns for name in FILES.values()} == before


def test_a_box_is_written_where_it_lies(given, tmp_path):
    volume, model = given
    (out,) = pytc_auto.predict([volume], model=model, out=tmp_path / "part", box=BOX, formats=["h5", "precomputed"])
    for name in ("segmentation.h5", "precomputed"):
        assert open_volume(out / name).offset_nm == tuple(a * s for a, s in zip(BOX.start, VOXEL_SIZE, strict=True))


def test_what_a_format_cannot_hold_is_told_before_anything_is_predicted(given, tmp_path, monkeypatch):
    volume, model = given
    nothing_is_predicted(monkeypatch)
    monkeypatch.setattr("pytc_auto.io.export.formats._MOST_EXTENT", {"nii.gz": 30})
    with pytest.raises(OutputError, match=r"out/segmentation\.nii\.gz: \.nii\.gz holds at most 30 voxels on an axis"):
        pytc_auto.predict([volume], model=model, out=tmp_path / "out", formats=["tif", "nii.gz"])
    with pytest.raises(OutputError, match="png: no such format"):
        pytc_auto.predict([volume], model=model, out=tmp_path / "out", formats=["png"])
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_the_segmentation_and_no_file(given, out, monkeypatch):
    volume, model = given
    export = exports.export

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports, "export", full)
    with pytest.raises(OutputError, match=r"segmentation\.tif: cannot be written \(.*No space left.*\)\. Make room"):
        pytc_auto.predict([volume], model=model, out=out, formats=["tif"])
    assert not (out / "segmentation.tif").exists()
    monkeypatch.setattr(exports, "export", export)
    nothing_is_predicted(monkeypatch)
    pytc_auto.predict([volume], model=model, out=out, formats=["tif"])
    assert open_volume(out / "segmentation.tif").shape == SHAPE


def test_a_finished_output_that_may_not_be_written_is_told(given, out, monkeypatch):
    def refused(*_, **more):
        raise PermissionError(errno.EACCES, "Permission denied")

    volume, model = given
    monkeypatch.setattr(exports, "claimed", refused)
    with pytest.raises(OutputError, match=r"cannot be written \(.*Permission denied\)\. Make room or check the rights"):
        pytc_auto.predict([volume], model=model, out=out, formats=["tif"])


@pytest.mark.parametrize(
    ("name", "told"),
    [("seg.tif", "tif writes segmentation.tif"), ("seg.HDF5", "h5 writes segmentation.h5"), ("a.nii.gz", "nii.gz writes")],
)
def test_an_output_called_like_a_file_is_refused(given, tmp_path, name, told):
    volume, model = given
    with pytest.raises(OutputError, match=rf"{name}: is to be a folder\. Give a name without .*; --format {told}"):
        pytc_auto.predict([volume], model=model, out=tmp_path / name)
    assert not (tmp_path / name).exists()


def test_another_segmentation_takes_the_old_files_away(given, out):
    volume, model = given
    pytc_auto.predict([volume], model=model, out=out, formats=list(FILES))
    state = out / ".pytc" / "job.json"
    state.write_text(state.read_text().replace('"finished": true', '"finished": false'))
    pytc_auto.predict([volume], model=model, out=out)
    assert not [name for name in FILES.values() if (out / name).exists()]


def test_what_is_not_needed_goes_in_the_next_call_if_the_first_was_broken_off(given, tmp_path, monkeypatch):
    volume, model = given
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("pytc_auto.io.ome_zarr.remove_image", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pytc_auto.predict([volume], model=model, out=out)
    assert (out / "0").is_dir()
    nothing_is_predicted(monkeypatch)
    pytc_auto.predict([volume], model=model, out=out)
    assert sorted(p.name for p in out.iterdir()) == [".pytc", "labels", "zarr.json"]
    assert "done" not in [p.name for p in (out / ".pytc").iterdir()]


def test_outputs_are_ome_zarr_and_tell_where_they_come_from(given, tmp_path, monkeypatch):
    volume, model = given
    monkeypatch.chdir(volume.parent)
    (out,) = pytc_auto.predict(["cell.h5"], model=model, out=tmp_path / "out", keep_predictions=True, command="pytc predict x")
    image = Image.from_zarr(zarr.open_group(out, mode="r"))
    assert image.labels.label_paths == ["segmentation"]
    Labels.from_zarr(zarr.open_group(out / "labels", mode="r"))
    ImageLabel.from_zarr(zarr.open_group(out / "labels/segmentation", mode="r"))
    for place in (out, out / "labels/segmentation"):
        told = attributes(place)["pytc"]
        assert told["command"] == "pytc predict x"
        assert told["input"] == f"{volume}:main"
        assert told["versions"].keys() == {"pytc_auto", "torch", "numpy", "zarr"}
        assert told["versions"]["zarr"] == zarr.__version__
        assert told["date"].startswith("20")
        assert [(m["plan"], len(m["hash"])) for m in told["models"]] == [("small", 64)]


def test_the_command_line(given, tmp_path, monkeypatch, capsys):
    volume, model = given
    given = ["predict", str(volume), "--model", str(model), "-o", str(tmp_path / "a b")]
    monkeypatch.setattr("sys.argv", ["/x/pytc", *given, "--format", "tif", "--format", "nii.gz"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert open_volume(tmp_path / "a b" / "segmentation.tif").shape == SHAPE
    assert open_volume(tmp_path / "a b" / "segmentation.nii.gz").shape == SHAPE
    command = attributes(tmp_path / "a b" / "labels/segmentation")["pytc"]["command"]
    assert command.startswith("pytc predict ")
    assert f"'{tmp_path / 'a b'}' --format tif" in command
    monkeypatch.setattr("sys.argv", ["pytc", "predict", str(volume), "--model", str(model), "-o", "x", "--format", "png"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "png" in capsys.readouterr().err
