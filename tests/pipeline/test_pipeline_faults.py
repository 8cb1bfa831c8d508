"""What goes wrong ends with one clear error, and an output that is untouched or gone on with."""

from __future__ import annotations

import errno
import os
import shutil

import numpy as np
import pytest
import torch
import zarr
from safetensors.torch import load_file, save_file
from tests_models import SHAPE, VOXEL_SIZE, write_model, write_volume

import pytc_auto
from pytc_auto.cli.program import main
from pytc_auto.errors import BudgetError, DataError, ModelError, OutputError, PlanError
from pytc_auto.executors import ledger
from pytc_auto.inference.blocks import BlockPrediction
from pytc_auto.io import ome_zarr, pyramid
from pytc_auto.pipeline import demo as demo_module
from pytc_auto.pipeline.demo import demo


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model")


@pytest.fixture
def volume(tmp_path):
    return write_volume(tmp_path / "cell.h5")


def not_finite(model):
    weights = load_file(model / "fold_0.safetensors")
    first = next(iter(weights))
    weights[first].view(-1)[3] = float("nan")
    save_file(weights, model / "fold_0.safetensors")


def cut(name):
    def damage(model):
        content = (model / name).read_bytes()
        (model / name).write_bytes(content[: len(content) // 2])

    return damage


def of_another_network(model):
    weights = load_file(model / "fold_0.safetensors")
    first = next(iter(weights))
    weights[first] = torch.zeros(2, 2)
    save_file(weights, model / "fold_0.safetensors")


DAMAGES = {
    "NaN weights": (not_finite, ModelError, r"fold_0\.safetensors: NaN or infinite values in .*\. Train again"),
    "weights of another network": (of_another_network, ModelError, r"the weights do not fit the network\. Of another shape"),
    "cut weights": (cut("fold_0.safetensors"), ModelError, r"is not a whole safetensors file .*Copy the model again"),
    "cut plan": (cut("plan.yaml"), PlanError, r"plan\.yaml"),
    "cut decoder": (cut("decoder.json"), PlanError, r"decoder\.json"),
    "no weights": (lambda m: (m / "fold_0.safetensors").unlink(), ModelError, r"lacks fold_0\.safetensors"),
    "no plan": (lambda m: (m / "plan.yaml").unlink(), ModelError, r"lacks plan\.yaml"),
    "no decoder": (lambda m: (m / "decoder.json").unlink(), ModelError, r"lacks decoder\.json"),
    "no model": (shutil.rmtree, ModelError, r"there is no such model, nor a run of that name"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_model_leaves_the_output_as_it_was(tmp_path, model, volume, name):
    damage, kind, message = DAMAGES[name]
    damage(model)
    with pytest.raises(kind, match=message):
        pytc_auto.predict([volume], model=model, out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_wrong_voxel_size_leaves_the_output_as_it_was(tmp_path, model):
    volume = write_volume(tmp_path / "other.h5", size=(12.0, 9.0, 9.0))
    with pytest.raises(DataError, match=r"its voxel size is 12 × 9 × 9 nm .*, but the model was trained on 12 × 9 × 8 nm"):
        pytc_auto.predict([volume], model=model, out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_network_that_gives_nan_is_told_by_block(tmp_path, model, volume, monkeypatch):
    forward = torch.nn.Module.__call__

    def astray(self, *given, **more):
        made = forward(self, *given, **more)
        return made * float("nan") if isinstance(self, torch.nn.Conv3d) else made

    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Module, "__call__", astray)
        told = r"^8 of 12 blocks failed twice:\nblock .*: ModelError: .*the network gave NaN"
        with pytest.raises(OutputError, match=told) as caught:
            pytc_auto.predict([volume], model=model, out=tmp_path / "o")
    assert "mend the cause, and run the same command again" in str(caught.value)
    pytc_auto.predict([volume], model=model, out=tmp_path / "o")
    assert zarr.open_array(tmp_path / "o/labels/segmentation/0", mode="r")[:].any()


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("place", ["job", "array", "block", "labels", "pyramid"])
def test_a_full_disk_is_gone_on_from(tmp_path, model, volume, monkeypatch, place):
    from pytc_auto.pipeline import segmentation_job

    (whole,) = pytc_auto.predict([volume], model=model, out=tmp_path / "whole")

    def full(*_, **__):
        raise FULL

    places = {
        "job": (segmentation_job, "create_whole"),
        "array": (ome_zarr, "create_image"),
        "block": (BlockPrediction, "write"),
        "labels": (ome_zarr, "create_labels"),
        "pyramid": (pyramid, "add_pyramid"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*places[place], full)
        with pytest.raises(OutputError, match=r"o: cannot be written \(.*No space left on device\)\. Make room"):
            pytc_auto.predict([volume], model=model, out=tmp_path / "o")
    pytc_auto.predict([volume], model=model, out=tmp_path / "o")
    one, two = (zarr.open_array(out / "labels/segmentation/0", mode="r")[:] for out in (whole, tmp_path / "o"))
    assert one.any()
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_an_output_that_is_taken_away_is_gone_on_with(tmp_path, model, volume, monkeypatch, number):
    (whole,) = pytc_auto.predict([volume], model=model, out=tmp_path / "whole", keep_predictions=True)
    written, write = [], BlockPrediction.write

    def taken_away(self, box, made):
        if len(written) == 3:
            raise OSError(number, os.strerror(number))
        written.append(box)
        write(self, box, made)

    with monkeypatch.context() as patch:
        patch.setattr(BlockPrediction, "write", taken_away)
        with pytest.raises((OutputError, DataError), match=os.strerror(number)) as caught:
            pytc_auto.predict([volume], model=model, out=tmp_path / "o", keep_predictions=True)
    assert "run the same command again" in str(caught.value)
    pytc_auto.predict([volume], model=model, out=tmp_path / "o", keep_predictions=True)
    np.testing.assert_array_equal(*(zarr.open_array(out / "0", mode="r")[:] for out in (whole, tmp_path / "o")))


def test_a_disk_that_is_full_when_a_block_is_marked_is_gone_on_from(tmp_path, model, volume, monkeypatch):
    (whole,) = pytc_auto.predict([volume], model=model, out=tmp_path / "whole", keep_predictions=True)

    def full(path, text):
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "write_whole", full)
        with pytest.raises(OutputError, match=r"list of finished blocks cannot be used \(.*No space left on device\)\. Check"):
            pytc_auto.predict([volume], model=model, out=tmp_path / "o", keep_predictions=True)
    pytc_auto.predict([volume], model=model, out=tmp_path / "o", keep_predictions=True)
    np.testing.assert_array_equal(*(zarr.open_array(out / "0", mode="r")[:] for out in (whole, tmp_path / "o")))


@pytest.mark.parametrize("name", [*DAMAGES, "another voxel size", "an output below a file"])
def test_on_the_command_line_it_is_one_message(tmp_path, model, volume, monkeypatch, capsys, name):
    out = tmp_path / "o"
    if name in DAMAGES:
        DAMAGES[name][0](model)
    elif name == "another voxel size":
        volume = write_volume(tmp_path / "other.h5", size=(12.0, 9.0, 9.0))
    else:
        out = volume / "o"
    monkeypatch.setattr("sys.argv", ["pytc", "predict", str(volume), "--model", str(model), "-o", str(out)])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr()
    assert stop.value.code == 1
    assert "Traceback" not in told.out + told.err
    assert told.err.startswith("Error: ")
    assert not out.exists()


def test_an_array_that_was_made_by_halves_is_made_again(tmp_path, model, volume, monkeypatch):
    (whole,) = pytc_auto.predict([volume], model=model, out=tmp_path / "whole", keep_predictions=True)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ome_zarr, "multiscale", stop)
        with pytest.raises(KeyboardInterrupt):
            pytc_auto.predict([volume], model=model, out=tmp_path / "o", keep_predictions=True)
    assert (tmp_path / "o/0/zarr.json").is_file()
    pytc_auto.predict([volume], model=model, out=tmp_path / "o", keep_predictions=True)
    np.testing.assert_array_equal(*(zarr.open_array(out / "0", mode="r")[:] for out in (whole, tmp_path / "o")))
    assert zarr.open_group(tmp_path / "o", mode="r").attrs["ome"]["multiscales"]


def test_a_volume_that_changed_its_shape_is_refused(tmp_path, model, monkeypatch):
    path = tmp_path / "cell.zarr"

    def write(shape, chunks=(8, 8, 8)):
        array = zarr.create_array(path, shape=shape, chunks=chunks, dtype="uint8", overwrite=True)
        array[:] = np.random.default_rng(0).integers(0, 256, shape)
        os.utime(path, (1e9, 1e9))

    def stop(*_):
        raise KeyboardInterrupt

    write(SHAPE)
    given = {"model": model, "out": tmp_path / "o", "voxel_size_nm": VOXEL_SIZE}
    with monkeypatch.context() as patch:
        patch.setattr(BlockPrediction, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            pytc_auto.predict([path], **given)
    before = {file: file.read_bytes() for file in (tmp_path / "o").rglob("*") if file.is_file()}
    for shape, chunks in (((18, 26, 35), (8, 8, 8)), (SHAPE, (9, 9, 9))):
        write(shape, chunks)
        with pytest.raises(OutputError, match=r"o: was made from another volume.*\(not the same: input.*\)\. Choose another"):
            pytc_auto.predict([path], **given)
    assert {file: file.read_bytes() for file in (tmp_path / "o").rglob("*") if file.is_file()} == before
    write(SHAPE)
    pytc_auto.predict([path], **given)


@pytest.mark.parametrize("place", ["file", "file/demo", "folder"])
def test_the_demo_leaves_what_is_there_alone(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=f"{place}: (exists already|cannot be written).*(place|delete it)"):
        demo(tmp_path / place)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "notes.txt"]


def test_a_demo_on_a_slow_machine_gets_the_time_that_suffices(tmp_path, monkeypatch):
    given, said = [], []

    def plan(data, *, max_seconds, **_):
        given.append(max_seconds)
        if len(given) == 1:
            raise BudgetError("too little", enough_seconds=400.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_module, "plan", plan)
    monkeypatch.setattr(demo_module, "TRAIN_SHAPE", (16, 24, 24))
    monkeypatch.setattr(demo_module, "TEST_SHAPE", (16, 24, 24))
    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path / "demo", say=said.append)
    assert given == [300.0, 600.0]
    assert said[-1] == "5 minutes are too little on this machine, it gets 10"


def test_a_demo_trains_no_longer_than_planned(tmp_path, monkeypatch):
    given = []

    def train(_, *, max_seconds, **__):
        given.append(max_seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_module, "train", train)
    monkeypatch.setattr(demo_module, "TRAIN_SHAPE", (32, 64, 64))
    monkeypatch.setattr(demo_module, "TEST_SHAPE", (16, 24, 24))
    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path / "demo", seconds=700.0)
    assert given == [700.0]
