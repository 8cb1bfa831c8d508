from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import zarr
from tests_models import SHAPE, VOXEL_SIZE, write_model, write_volume

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.decoding.decode import decode
from pytc_auto.errors import DataError, ModelError, OutputError, PlanError
from pytc_auto.geometry import Box
from pytc_auto.inference.blocks import BlockPrediction
from pytc_auto.io.open import open_segmentation
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Plan

BOX = Box((3, 5, 8), (17, 24, 33))


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model", (0, 1, 2))


@pytest.fixture
def volume(tmp_path):
    return write_volume(tmp_path / "cell.h5")


@pytest.fixture
def mask(tmp_path):
    inside = np.zeros(SHAPE, np.uint8)
    inside[2:9, 4:20, 7:15] = 5
    with h5py.File(tmp_path / "mask.h5", "w") as file:
        file["main"] = inside
    return tmp_path / "mask.h5"


def stored(out):
    return zarr.open_array(out / "0", mode="r")[:]


def segmented(out):
    return zarr.open_array(out / "labels/segmentation/0", mode="r")[:]


@pytest.mark.parametrize("scale", [(1, 1, 1), (1, 2, 3)])
def test_a_box_is_what_the_whole_gives_there_and_tells_where_it_lies(tmp_path, volume, scale):
    model = write_model(tmp_path / "m", working_scale=scale)
    (whole,) = pytc_auto.predict([volume], model=model, out=tmp_path / "whole", keep_predictions=True)
    (part,) = pytc_auto.predict([volume], model=model, out=tmp_path / "part", box=BOX, keep_predictions=True)
    first = [a // s for a, s in zip(BOX.start, scale, strict=True)]
    last = [-(-b // s) for b, s in zip(BOX.stop, scale, strict=True)]
    wanted = stored(whole)[:, first[0] : last[0], first[1] : last[1], first[2] : last[2]]
    assert wanted.std() > 1
    assert np.abs(stored(part).astype(int) - wanted).max() <= 1
    found = open_segmentation(part)
    assert (found.shape, found.voxel_size_nm) == (BOX.shape, VOXEL_SIZE)
    assert found.offset_nm == tuple(a * s for a, s in zip(BOX.start, VOXEL_SIZE, strict=True))
    decoded = decode(stored(part), Plan.load(model / "plan.yaml"), DecoderChoice.load(model / "decoder.json"))
    fine = decoded.repeat(scale[0], 0).repeat(scale[1], 1).repeat(scale[2], 2)
    offset = [a % s for a, s in zip(BOX.start, scale, strict=True)]
    np.testing.assert_array_equal(segmented(part), fine[tuple(slice(o, o + n) for o, n in zip(offset, BOX.shape, strict=True))])
    assert len(np.unique(segmented(part))) > 1
    steps = zarr.open_group(part, mode="r").attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert steps[0]["scale"][1:] == [s * f for s, f in zip(VOXEL_SIZE, scale, strict=True)]
    center = [s * (a * f + (f - 1) / 2) for s, a, f in zip(VOXEL_SIZE, first, scale, strict=True)]
    assert steps[1]["translation"] == [0.0, *center]
    assert (part / ".pytc" / "preview.png").is_file()
    assert open_segmentation(whole).offset_nm is None


def test_a_box_outside_the_volume_is_refused(tmp_path, model, volume):
    with pytest.raises(DataError, match=r"cell\.h5.*the box \[0:5, 0:5, 30:35\] is not inside \[0:18, 0:26, 0:34\]"):
        pytc_auto.predict([volume], model=model, out=tmp_path / "o", box=Box((0, 0, 30), (5, 5, 35)))
    assert not (tmp_path / "o").exists()


def test_outside_the_mask_is_background(tmp_path, model, volume, mask):
    (whole,) = pytc_auto.predict([volume], model=model, out=tmp_path / "whole", keep_predictions=True)
    (out,) = pytc_auto.predict([volume], model=model, out=tmp_path / "o", mask=mask, keep_predictions=True)
    with h5py.File(mask) as file:
        inside = file["main"][:] > 0
    assert np.abs(stored(out).astype(int) - stored(whole) * inside).max() <= 1
    assert segmented(out)[inside].any()
    assert not segmented(out)[~inside].any()
    with pytest.raises(DataError, match=r"the mask has shape \(18, 26, 34\), but .* has \(9, 11, 13\)"):
        pytc_auto.predict([write_volume(tmp_path / "b.h5", (9, 11, 13))], model=model, out=tmp_path / "b", mask=mask)


@pytest.mark.parametrize("scale", [(1, 1, 1), (1, 2, 3)])
def test_where_a_volume_is_nan_is_background_and_the_rest_as_if_the_mean_were_there(tmp_path, volume, mask, scale):
    model = write_model(tmp_path / "m", working_scale=scale)
    plan = Plan.load(model / "plan.yaml")
    with h5py.File(volume) as file, h5py.File(mask) as known:
        gray, inside = file["main"][:].astype(np.float32), known["main"][:] > 0
    gray[~inside] = np.nan
    others = {"nan": gray, "mean": np.where(inside, gray, np.float32(plan.intensity.scale[0]))}
    outs = []
    for name, array in others.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=array).attrs["resolution"] = VOXEL_SIZE
        given = mask if name == "mean" else None
        outs += pytc_auto.predict([tmp_path / f"{name}.h5"], model=model, out=tmp_path / name, mask=given, keep_predictions=True)
    assert 0 < (stored(outs[0]) > 0).any(0).sum() < inside.sum() + 1
    np.testing.assert_array_equal(*map(stored, outs))
    np.testing.assert_array_equal(*map(segmented, outs))
    assert segmented(outs[0])[inside].any()


def test_members_are_those_that_are_named(tmp_path, volume, model):
    alone = write_model(tmp_path / "alone", (0, 2))
    results = [
        stored(pytc_auto.predict([volume], model=m, out=tmp_path / str(n), members=k, keep_predictions=True)[0]).astype(int)
        for n, (m, k) in enumerate([(model, [2, 0]), (alone, None), (model, None)])
    ]
    np.testing.assert_array_equal(results[0], results[1])
    assert np.abs(results[0] - results[2]).max() > 1
    with pytest.raises(ModelError, match=r"has no member 3, 7\. Its members are 0, 1, 2\."):
        pytc_auto.predict([volume], model=model, out=tmp_path / "o", members=[0, 3, 7])


def test_symmetries_replace_the_plan_s(tmp_path):
    volume = write_volume(tmp_path / "cell.h5", (16, 18, 20))
    model, eight = (write_model(tmp_path / f"of {n}", symmetries=n, block=(16, 24, 32)) for n in (1, 8))
    results = {
        name: stored(pytc_auto.predict([volume], model=m, out=tmp_path / name, symmetries=n, keep_predictions=True)[0])
        for name, m, n in (("plan", eight, None), ("all", model, "all"), ("8", model, 8), ("1", eight, 1))
    }
    np.testing.assert_array_equal(results["plan"], results["all"])
    np.testing.assert_array_equal(results["plan"], results["8"])
    assert np.abs(results["plan"].astype(int) - results["1"]).max() > 1
    with pytest.raises(
        PlanError, match=r"16 symmetries are asked for, but a cube has 48, a voxel size of 12 × 9 × 8 nm leaves 8"
    ):
        pytc_auto.predict([volume], model=model, out=tmp_path / "o", symmetries=16)


def test_several_models_are_averaged_each_with_its_own_patch_and_gray_values(tmp_path, volume):
    fields = {"patch": [8, 8, 8], "intensity": {"clip": [50, 200], "scale": [100.0, 30.0]}}
    one, two = write_model(tmp_path / "one"), write_model(tmp_path / "two", (1, 2), **fields)
    outs = [
        pytc_auto.predict([volume], model=m, out=tmp_path / n, keep_predictions=True)[0]
        for n, m in (("a", one), ("b", two), ("both", [one, two]))
    ]
    logits = [np.log((v := stored(out).clip(1, 254) / 255) / (1 - v)) for out in outs]
    sure = np.all([(stored(out) > 25) & (stored(out) < 230) for out in outs], axis=0)
    assert sure.mean() > 0.1
    wanted = (logits[0] + 2 * logits[1]) / 3
    wanted_byte = 255 / (1 + np.exp(-wanted))
    assert np.abs(wanted_byte - stored(outs[2]))[sure].max() < 2
    assert np.abs(stored(outs[0]).astype(int) - stored(outs[1]))[sure].max() > 20
    told = zarr.open_group(outs[2], mode="r").attrs["pytc"]["models"]
    assert [model["members"] for model in told] == [["fold_0"], ["fold_0", "fold_1"]]


@pytest.mark.parametrize("kind", ["killed", "full"])
def test_an_interruption_between_blocks_is_gone_on_from(tmp_path, model, volume, monkeypatch, kind):
    (whole,) = pytc_auto.predict([volume], model=model, out=tmp_path / "whole", keep_predictions=True)
    write, written = BlockPrediction.write, []

    def stop(self, box, made):
        if len(written) == 3:
            raise KeyboardInterrupt if kind == "killed" else OutputError("disk full")
        written.append(box)
        write(self, box, made)

    with monkeypatch.context() as patch:
        patch.setattr(BlockPrediction, "write", stop)
        with pytest.raises(KeyboardInterrupt if kind == "killed" else OutputError):
            pytc_auto.predict([volume], model=model, out=tmp_path / "cut", keep_predictions=True)
    with monkeypatch.context() as patch:
        patch.setattr(BlockPrediction, "write", lambda *given: (written.append(given[1]), write(*given)))
        pytc_auto.predict([volume], model=model, out=tmp_path / "cut", keep_predictions=True)
    assert len(written) == len(set(written)) == 2 * 2 * 3
    np.testing.assert_array_equal(stored(tmp_path / "cut"), stored(whole))
    np.testing.assert_array_equal(segmented(tmp_path / "cut"), segmented(whole))


def test_another_job_on_the_same_output_is_refused_and_told_what_differs(tmp_path, model, volume, mask):
    out, other = tmp_path / "o", write_model(tmp_path / "other", (0, 5))
    given = {"model": model, "out": out, "box": BOX, "mask": mask, "members": [0, 1], "symmetries": 2}
    pytc_auto.predict([volume], **given)
    before = (out / "labels/segmentation/zarr.json").stat().st_mtime_ns
    changes = {
        "models": [{"model": [model, other]}, {"members": [0]}],
        "symmetries": [{"symmetries": 1}, {"symmetries": "all"}],
        "box": [{"box": Box((3, 5, 8), (17, 24, 32))}],
        "mask": [{"mask": None}],
        "kept predictions": [{"keep_predictions": True}],
    }
    for name, cases in changes.items():
        for change in cases:
            told = rf"o: was made from another volume, model or setting \(not the same: {name}"
            with pytest.raises(OutputError, match=told):
                pytc_auto.predict([volume], **{**given, **change})
    outcomes = []
    pytc_auto.predict([volume], **given, told=outcomes.append)
    assert [outcome.state for outcome in outcomes] == ["done before"]
    with h5py.File(mask, "r+") as file:
        file["main"][5, 5, 5] = 9
    with pytest.raises(OutputError, match=r"not the same: mask\)"):
        pytc_auto.predict([volume], **given)
    write_volume(volume, seed=8)
    with pytest.raises(OutputError, match=r"not the same: input, mask\)"):
        pytc_auto.predict([volume], **given)
    assert (out / "labels/segmentation/zarr.json").stat().st_mtime_ns == before


@pytest.fixture
def three(tmp_path):
    """Volumes the second of which is damaged."""
    paths = [write_volume(tmp_path / "in" / f"{name}.h5", shape, seed) for seed, (name, shape) in enumerate(SHAPES.items())]
    paths[1].write_bytes(paths[1].read_bytes()[:900])
    return paths


SHAPES = {"a": (16, 18, 20), "b": (17, 18, 19), "c": (18, 20, 22)}


def test_one_that_fails_does_not_stop_the_others(tmp_path, three, model):
    outcomes = []
    with pytest.raises(OutputError, match=r"1 of 3 volumes failed:\n.*b\.h5: is truncated or damaged") as caught:
        pytc_auto.predict([tmp_path / "in"], model=model, out=tmp_path / "many", told=outcomes.append)
    assert isinstance(caught.value.__cause__, DataError)
    assert [o.state for o in outcomes] == ["done", "failed", "done"]
    assert [o.voxels for o in outcomes] == [16 * 18 * 20, 0, 18 * 20 * 22]
    assert all(o.seconds > 0 for o in outcomes)
    assert [open_segmentation(o.target).shape for o in outcomes[::2]] == [SHAPES["a"], SHAPES["c"]]
    assert not (tmp_path / "many" / "b").exists()

    write_volume(three[1], SHAPES["b"])
    outcomes.clear()
    made = pytc_auto.predict([tmp_path / "in"], model=model, out=tmp_path / "many", told=outcomes.append)
    assert [o.state for o in outcomes] == ["done before", "done", "done before"]
    assert [open_segmentation(path).shape for path in made] == list(SHAPES.values())


def test_what_nobody_foresaw_does_not_stop_the_others_either(tmp_path, three, model, monkeypatch):
    write = BlockPrediction.write

    def run_out(self, box, made):
        if self.where.endswith("c"):
            raise MemoryError("no room for a block")
        write(self, box, made)

    monkeypatch.setattr(BlockPrediction, "write", run_out)
    told = r"2 of 3 volumes failed:\n.*b\.h5: is .*\n8 of 8 blocks failed twice:\nblock .*: MemoryError: no room for a block"
    with pytest.raises(OutputError, match=told):
        pytc_auto.predict(three, model=model, out=tmp_path / "many")
    with pytest.raises(
        OutputError, match=r"^8 of 8 blocks failed twice:\n.*\n(.*\n)*and 3 more\nFinished blocks are kept\. Read"
    ):
        pytc_auto.predict([three[2]], model=model, out=tmp_path / "c")


def test_an_output_that_cannot_be_written_is_one_error(tmp_path, volume, model):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"file/o: cannot be written \(.*\)\. Make room or check the rights"):
        pytc_auto.predict([volume], model=model, out=tmp_path / "file" / "o")
    with pytest.raises(OutputError, match="exists already and is not an output of pytc predict"):
        pytc_auto.predict([volume], model=model, out=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def run_cli(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["pytc", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


def test_the_command_line_ends_with_a_table(monkeypatch, capsys, tmp_path, three, model):
    monkeypatch.chdir(tmp_path)
    given = ("predict", "in/*.h5", "--model", model, "-o", "many", "--members", "0,2", "--symmetries", "2")
    code, out, err = run_cli(monkeypatch, capsys, *given, "--box", "0:16,2:18,3:19")
    assert code == 1
    rows = [line.split("│")[1:-1] for line in out.splitlines() if "in/" in line]
    rows = [[cell.strip() for cell in row] for row in rows]
    assert [(r[0], r[1], r[3], r[4]) for r in rows] == [
        ("in/a.h5", "done", "4,096", "many/a"),
        ("in/b.h5", "failed", "0", "many/b"),
        ("in/c.h5", "done", "4,096", "many/c"),
    ]
    assert all(float(row[2]) >= 0 for row in rows)
    assert "1 of 3 volumes failed" in err
    assert "Traceback" not in err
    job = json.loads((tmp_path / "many/a/.pytc/job.json").read_text())["job"]
    assert (job["symmetries"], job["box"]) == ([2], "[0:16, 2:18, 3:19]")
    assert open_segmentation(tmp_path / "many/c").shape == (16, 16, 16)

    code, out, err = run_cli(monkeypatch, capsys, "predict", "in/a.h5", "--model", model, "--model", model, "-o", "x")
    assert (code, out) == (1, "")
    assert "is given more than once" in err
    for option, value in (("--box", "1:2,3:4"), ("--members", "all"), ("--symmetries", "0")):
        code, _, err = run_cli(monkeypatch, capsys, "predict", "in/a.h5", "--model", model, "-o", "x", option, value)
        assert code == 2
        assert f"'{option}'" in err
        assert "Write " in err
    code, out, _ = run_cli(monkeypatch, capsys, "predict", "in/a.h5", "--model", model, "-o", "x")
    assert code == 0
    assert "in/a.h5" in out


@pytest.mark.parametrize("name", ["cell.h5", "cell.npz"])
def test_other_gray_values_than_the_trainings_are_refused_before_anything_is_predicted(tmp_path, model, volume, name):
    with h5py.File(volume) as file:
        gray = file["main"][:] / np.float32(255)
    if name == "cell.h5":
        with h5py.File(volume, "w") as file:
            file["main"] = gray
    else:
        np.savez_compressed(tmp_path / name, gray)
    wanted = {"model": model, "out": tmp_path / "out", "voxel_size_nm": VOXEL_SIZE}
    with pytest.raises(DataError, match=r"cell.*: its gray values are 0\.5.* on average .* trained on 1.* Convert .* --force"):
        pytc_auto.predict([tmp_path / name], **wanted)
    assert not (tmp_path / "out/0").exists()
    (out,) = pytc_auto.predict([tmp_path / name], **wanted, force=True)
    assert segmented(out).shape == SHAPE


def test_of_a_container_with_image_and_labels_the_image_is_predicted(tmp_path, model, volume):
    with h5py.File(volume, "a") as file:
        file["volumes/labels/neuron_ids"] = np.zeros(SHAPE, np.uint64)
        file["volumes/raw"] = file["main"]
        del file["main"]
    (out,) = pytc_auto.predict([volume], model=model, out=tmp_path / "out")
    assert zarr.open_group(out, mode="r").attrs["pytc"]["input"].endswith("cell.h5:volumes/raw")
