from __future__ import annotations

import json
import os

import h5py
import numpy as np
import pytest

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.errors import DataError
from pytc_auto.evaluation.scores import score
from pytc_auto.geometry import Box
from pytc_auto.schema.scores import Evaluation

SIZE = (40.0, 8.0, 6.0)
SHAPE = (6, 9, 11)


def store(path, array, *, start=None, size=SIZE):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("main", data=array)
        if size:
            data.attrs["resolution"] = size
        if start:
            data.attrs["offset"] = [a * s for a, s in zip(start, SIZE, strict=True)]
    return path


def neurons(seed):
    return np.random.default_rng(seed).integers(0, 40, SHAPE).astype(np.uint16)


def masks():
    truth = np.zeros(SHAPE, np.uint8)
    truth[2:5, :, 3:8] = 255
    return np.roll(truth, 2, axis=1) | np.roll(truth, 1, axis=2), truth


def test_the_document_holds_all_that_changes_a_number(tmp_path):
    found = store(tmp_path / "found.h5", neurons(0))
    truth = store(tmp_path / "truth.h5", neurons(1)[1:, 2:, 3:], start=(1, 2, 3))
    mask = store(tmp_path / "mask.h5", (neurons(2) < 9).astype(np.uint8), start=(0, 0, 0))
    os.utime(truth, (0, 1e9))
    kept = tmp_path / "scores.json"
    scores = pytc_auto.evaluate(
        found, truth, box=Box((0, 0, 1), (5, 7, 8)), ignore=mask, border=(1, 0, 2), boundary_nm=9.0, json_file=kept
    )
    told = Evaluation.load(kept)
    assert told.scores == scores == json.loads(kept.read_text())["scores"]
    assert (told.kind, told.border, told.voxel_size_nm, told.boundary_nm) == ("instances", (1, 0, 2), SIZE, None)
    assert (told.box.start, told.box.stop) == ((1, 0, 3), (4, 7, 6))
    assert told.labels.model_dump() == {
        "source": f"{truth}:main",
        "shape": (5, 7, 8),
        "dtype": "uint16",
        "voxel_size_nm": SIZE,
        "offset_nm": (40.0, 16.0, 18.0),
        "start": (0, 0, 0),
        "bytes": truth.stat().st_size,
        "modified": "2001-09-09T01:46:40+00:00",
    }
    assert (told.segmentation.start, told.segmentation.offset_nm, told.segmentation.shape) == ((-1, -2, -3), None, SHAPE)
    assert (told.ignore.source, told.ignore.start) == (f"{mask}:main", (-1, -2, -3))
    at = Box((2, 2, 6), (5, 9, 9)).slices
    ignored = neurons(2)[at] < 9
    assert told.voxels == np.count_nonzero(~ignored)
    assert scores == pytest.approx(score(neurons(0)[at], neurons(1)[at], ignore_zyx=ignored, kind="instances"))


def test_components_and_the_sides_of_synapses_are_asked_for_by_name(tmp_path, monkeypatch, capsys):
    truth = np.zeros(SHAPE, np.uint16)
    truth[1:5, 1:4, 1:10], truth[1:5, 5:8, 1:10] = 3, 3
    found = truth.copy()
    found[:, 5:] //= 3
    files = store(tmp_path / "found.h5", found), store(tmp_path / "truth.h5", truth)
    kept = tmp_path / "s.json"
    assert pytc_auto.evaluate(*files, components=True, json_file=kept)["voi"] == 0
    assert (Evaluation.load(kept).components, Evaluation.load(kept).kind) == (True, "instances")
    assert pytc_auto.evaluate(*files, kind="instances", json_file=kept)["voi_split"] == 1
    assert not Evaluation.load(kept).components
    monkeypatch.setattr("sys.argv", ["pytc", "evaluate", *map(str, files), "--kind", "synapses", "--json", str(kept)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert "synapse side accuracy" in capsys.readouterr().out
    assert Evaluation.load(kept).background.endswith("synapse scores: as ap")
    with pytest.raises(DataError, match="components are counted of instances, not of synapses"):
        pytc_auto.evaluate(*files, components=True, kind="synapses")
    with pytest.raises(DataError, match="components are of labels"):
        pytc_auto.evaluate(files[0], components=True, skeletons=tmp_path / "a.swc")


@pytest.mark.parametrize(("asked", "used", "right"), [(None, 12.0, False), (16.0, 16.0, True)])
def test_the_boundary_of_classes_has_a_tolerance(tmp_path, asked, used, right):
    """The found box is two voxels of y, 16 nm, off; the default is two voxels of x, 12 nm."""
    truth = np.zeros(SHAPE, np.uint8)
    truth[:, :4] = 1
    found = truth.copy()
    found[:, 4:6] = 1
    files = store(tmp_path / "found.h5", found), store(tmp_path / "truth.h5", truth)
    scores = pytc_auto.evaluate(*files, boundary_nm=asked, json_file=tmp_path / "s.json")
    assert Evaluation.load(tmp_path / "s.json").boundary_nm == used
    assert scores["boundary_f1/1"] == scores["mean_boundary_f1"] == float(right)


def test_without_a_voxel_size_boundaries_are_not_scored_and_no_length_is_taken(tmp_path):
    found, truth = (store(tmp_path / f"{name}.h5", a, size=None) for name, a in zip("ab", masks(), strict=True))
    scores = pytc_auto.evaluate(found, truth, json_file=tmp_path / "s.json")
    assert "dice/255" in scores
    assert "mean_boundary_f1" not in scores
    told = Evaluation.load(tmp_path / "s.json")
    assert (told.voxel_size_nm, told.boundary_nm, told.labels.voxel_size_nm) == (None, None, None)
    with pytest.raises(DataError, match=r"b\.h5:main: tells no voxel size, so 20 nm cannot be measured. Give --voxel-size"):
        pytc_auto.evaluate(found, truth, boundary_nm=20)
    near, far = (pytc_auto.evaluate(found, truth, boundary_nm=nm, voxel_size_nm=SIZE)["mean_boundary_f1"] for nm in (5, 20))
    assert near < far == 1


def run_cli(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["pytc", "evaluate", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    return stop.value.code, captured.out + captured.err


def test_the_command_line_passes_every_option_on(tmp_path, monkeypatch, capsys):
    found, truth = (store(tmp_path / f"{name}.h5", a) for name, a in zip("ab", masks(), strict=True))
    mask = store(tmp_path / "mask.h5", (neurons(2) < 9).astype(np.uint8))
    options = ("--box", "0:6,1:9,2:11", "--ignore", mask, "--border", "1,0,2", "--boundary-nm", "30", "--voxel-size", "50,9,7")
    code, text = run_cli(monkeypatch, capsys, found, truth, *options, "--json", tmp_path / "s.json")
    assert code == 0
    assert "boundary f1/255" in text
    told = Evaluation.load(tmp_path / "s.json")
    assert (told.box.start, told.box.stop, told.border) == ((1, 1, 4), (5, 9, 9), (1, 0, 2))
    assert (told.boundary_nm, told.voxel_size_nm, told.ignore.source) == (30, (50, 9, 7), f"{mask}:main")
    direct = pytc_auto.evaluate(
        found, truth, box=Box((0, 1, 2), (6, 9, 11)), ignore=mask, border=(1, 0, 2), boundary_nm=30, voxel_size_nm=(50, 9, 7)
    )
    assert told.scores == direct


def test_the_kind_may_be_told(tmp_path, monkeypatch, capsys):
    files = [store(tmp_path / f"{name}.h5", a) for name, a in zip("ab", masks(), strict=True)]
    for kind, name in (("instances", "voi"), ("classes", "dice/255")):
        assert run_cli(monkeypatch, capsys, *files, "--kind", kind, "--json", tmp_path / "s.json")[0] == 0
        told = Evaluation.load(tmp_path / "s.json")
        assert told.kind == kind
        assert name in told.scores
        assert pytc_auto.evaluate(*files, kind=kind) == told.scores


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--box", "0:6,1:9"), 2, "is not a box"),
        (("--box", "0:6,9:9,2:11"), 2, "is not a box"),
        (("--box", "0:7,1:9,2:11"), 1, r"is not a part of [0:6, 0:9, 0:11]"),
        (("--border", "1,2"), 2, "is not a border"),
        (("--border", "3"), 1, "leave nothing"),
        (("--boundary-nm", "-1"), 2, "boundary-nm"),
        (("--ignore", "nowhere.h5"), 1, "nowhere.h5: is not there"),
        (("--json", "/dev/null/scores.json"), 1, "the scores cannot be written"),
    ],
)
def test_wrong_options_are_told(tmp_path, monkeypatch, capsys, options, code, said):
    found, truth = (store(tmp_path / f"{name}.h5", a) for name, a in zip("ab", masks(), strict=True))
    found_code, text = run_cli(monkeypatch, capsys, found, truth, *options)
    assert found_code == code
    assert said in " ".join(text.split())
    assert "Traceback" not in text


@pytest.mark.parametrize(("shape", "start"), [((6, 30, 40), (0, 0, 0)), ((3, 64, 50), (1, 2, 3)), ((9, 41, 32), (4, 0, 7))])
def test_an_image_in_place_of_labels_is_told(tmp_path, shape, start):
    index = [i * n // s for i, n, s in zip(np.indices(shape), (2, 5, 6), shape, strict=True)]
    labels = (1 + np.ravel_multi_index(index, (2, 5, 6))).astype(np.uint16)
    image = np.random.default_rng(0).integers(60, 200, shape).astype(np.uint8)
    right = store(tmp_path / "labels.h5", labels, start=start)
    gray = store(tmp_path / "image.h5", image, start=start)
    told = []
    pytc_auto.evaluate(right, right, say=told.append)
    assert told == []
    for files, name in (((right, gray), gray), ((gray, right), gray)):
        told.clear()
        pytc_auto.evaluate(*files, say=told.append)
        (remark,) = told
        assert remark.startswith(f"{name}:main: only 1% of neighboring voxels have the same value, as in an image.")


def test_masks_of_other_values_and_voxels_of_other_sizes_are_told(tmp_path):
    found, truth = masks()
    told = []
    files = store(tmp_path / "one.h5", found > 0), store(tmp_path / "two.h5", truth)
    scores = pytc_auto.evaluate(*files, say=told.append)
    assert scores["dice/1"] == 0
    assert all(name.partition("/")[2] in ("", "0", "1", "255") for name in scores)
    assert told == [
        f"{files[1]}:main holds the classes 255, {files[0]}:main 1 (and 0 each): none is in both, and so none agrees. "
        "Store both with the same values."
    ]
    told.clear()
    coarse = store(tmp_path / "three.h5", truth, size=[2 * s for s in SIZE])
    assert pytc_auto.evaluate(coarse, files[1], say=told.append)["dice/255"] == 1
    assert len(told) == 1
    assert "They are compared voxel by voxel; if these are not the same voxels" in told[0]
