from __future__ import annotations

import json
import os
import pickle

import h5py
import networkx as nx
import numpy as np
import pytest
import tifffile

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.errors import DataError
from pytc_auto.geometry import Box

SIZE = (20.0, 9.0, 8.0)
SHAPE = (12, 14, 20)
PERFECT = (152**2 + 117**2) / (152 + 117)


def run_cli(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["pytc", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    return stop.value.code, captured.out + captured.err


@pytest.fixture
def tubes(tmp_path):
    """A tube along x and one along y; the first is cut in two after 11 voxels. Skeletons run in the middle."""
    ids = np.zeros(SHAPE, np.uint32)
    ids[1:4, 1:4, :11], ids[1:4, 1:4, 11:], ids[6:9, :, 4:7] = 7, 8, 9
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file.create_dataset("main", data=ids).attrs["resolution"] = SIZE
    tifffile.imwrite(tmp_path / "bare.tif", ids)
    folder = tmp_path / "swc"
    folder.mkdir()
    places = [(2, 2, x) for x in range(20)], [(7, y, 5) for y in range(14)]
    graph = nx.Graph()
    for number, path in enumerate(places):
        lines = [f"{n} 0 {x * 8} {y * 9} {z * 20} 1 {n - 1 or -1}" for n, (z, y, x) in enumerate(path, 1)]
        (folder / f"{number}.swc").write_text("\n".join(lines))
        for node, place in enumerate(path):
            graph.add_node((number, node), id=number, index_position=place[::-1], nm_position=(np.array(place) * SIZE)[::-1])
        nx.add_path(graph, [(number, node) for node in range(len(path))])
    (tmp_path / "skeleton.pkl").write_bytes(pickle.dumps(graph))
    return tmp_path


@pytest.mark.parametrize("skeletons", ["swc", "skeleton.pkl"])
def test_run_lengths_without_labels(tubes, skeletons):
    scores = pytc_auto.evaluate(tubes / "seg.h5", skeletons=tubes / skeletons, json_file=tubes / "s.json")
    expected = (80**2 + 64**2 + 117**2) / (152 + 117)
    assert scores["erl_nm"] == pytest.approx(expected)
    assert scores["nerl"] == pytest.approx(expected / PERFECT)
    assert scores["erl_perfect_nm"] == pytest.approx(PERFECT)
    assert (scores["skeleton_splits"], scores["skeleton_mergers"]) == (1, 0)
    assert "voi" not in scores
    document = json.loads((tubes / "s.json").read_text())
    assert document["scores"] == scores
    assert document["labels"] is None
    assert document["skeletons"] == {
        "source": str(tubes / skeletons),
        "units": "nm",
        "voxel_size_nm": list(SIZE),
        "merge_thresholds": [0, 5, 20, 100],
        "clipped": False,
        "skeletons": 2,
        "nodes": 34,
        "nodes_outside": 0,
        "length_nm": 269,
    }


def test_labels_and_skeletons_together(tubes):
    scores = pytc_auto.evaluate(tubes / "seg.h5", tubes / "seg.h5", skeletons=tubes / "swc")
    assert scores["voi"] == 0
    assert scores["nerl"] < 1


def test_faults_are_said(tubes):
    with pytest.raises(DataError, match="nothing to score it by"):
        pytc_auto.evaluate(tubes / "seg.h5")
    with pytest.raises(DataError, match=r"bare.tif: has no voxel size.*--voxel-size"):
        pytc_auto.evaluate(tubes / "bare.tif", skeletons=tubes / "swc")
    with pytest.raises(DataError, match="lie outside the segmentation"):
        pytc_auto.evaluate(tubes / "seg.h5", skeletons=tubes / "swc", skeleton_units="um")


def test_command_line(tubes, monkeypatch, capsys):
    arguments = ["evaluate", tubes / "bare.tif", "--skeletons", tubes / "swc"]
    code, text = run_cli(monkeypatch, capsys, *arguments, "--voxel-size", "20,9,8", "--skeleton-units", "nm")
    assert code == 0
    assert "nerl" in text
    assert "voi merge" in text
    code, text = run_cli(monkeypatch, capsys, *arguments)
    assert (code, "Error:" in text, "Traceback" in text) == (1, True, False)
    assert run_cli(monkeypatch, capsys, *arguments, "--skeleton-units", "mm")[0] == 2


def test_a_hostile_file_is_one_error(tubes, monkeypatch, capsys):
    (tubes / "evil.pkl").write_bytes(b"cos\nmkdir\n(V" + os.fsencode(tubes / "ran") + b"\ntR.")
    code, text = run_cli(monkeypatch, capsys, "evaluate", tubes / "seg.h5", "--skeletons", tubes / "evil.pkl")
    assert code == 1
    assert "asks for os.mkdir" in " ".join(text.split())
    assert not (tubes / "ran").exists()
    pickle.loads((tubes / "evil.pkl").read_bytes())
    assert (tubes / "ran").exists()


def test_of_a_box_skeletons_are_cut_at_its_faces(tubes):
    """Voxels 4 to 15 of x: 7 voxels of the one piece, 5 of the other; the tube along y is whole."""
    box = Box((0, 0, 4), (12, 14, 16))
    scores = pytc_auto.evaluate(tubes / "seg.h5", skeletons=tubes / "swc", box=box, json_file=tubes / "s.json")
    assert scores["erl_nm"] == pytest.approx((48**2 + 32**2 + 117**2) / (88 + 117))
    assert scores["nerl"] == pytest.approx((48**2 + 32**2 + 117**2) / (88**2 + 117**2))
    document = json.loads((tubes / "s.json").read_text())
    assert document["box"] == {"start": [0, 0, 4], "stop": [12, 14, 16]}
    facts = document["skeletons"]
    assert (facts["clipped"], facts["nodes"], facts["nodes_outside"], facts["length_nm"]) == (True, 26, 8, 88 + 117)
    both = pytc_auto.evaluate(tubes / "seg.h5", tubes / "seg.h5", skeletons=tubes / "swc", box=box)
    assert {name: both[name] for name in scores} == scores


@pytest.mark.parametrize("skeletons", ["swc", "skeleton.pkl"])
def test_a_part_that_was_segmented_lies_by_its_offset(tubes, skeletons):
    with h5py.File(tubes / "seg.h5") as file, h5py.File(tubes / "part.h5", "w") as part:
        data = part.create_dataset("main", data=file["main"][:, 2:, 4:16])
        data.attrs["resolution"], data.attrs["offset"] = SIZE, (0, 2 * 9, 4 * 8)
    wanted = pytc_auto.evaluate(tubes / "seg.h5", skeletons=tubes / "swc", box=Box((0, 2, 4), (12, 14, 16)))
    box = Box((0, 0, 0), (12, 12, 12))
    assert pytc_auto.evaluate(tubes / "part.h5", skeletons=tubes / skeletons, box=box) == wanted
    in_labels = Box((0, 2, 4), (12, 14, 16))
    found = pytc_auto.evaluate(tubes / "part.h5", tubes / "seg.h5", skeletons=tubes / skeletons, box=in_labels)
    assert {name: found[name] for name in wanted} == wanted


def test_a_box_beside_the_segmentation_and_a_border_are_refused(tubes):
    with pytest.raises(
        DataError, match=r"--box: \[0:12, 0:14, 0:21\] is not a part of .*seg.h5:main, which is \[0:12, 0:14, 0:20\]"
    ):
        pytc_auto.evaluate(tubes / "seg.h5", skeletons=tubes / "swc", box=Box((0, 0, 0), (12, 14, 21)))
    with pytest.raises(DataError, match=r"no edge lies in \[0:1, 0:14, 0:20\]"):
        pytc_auto.evaluate(tubes / "seg.h5", skeletons=tubes / "swc", box=Box((0, 0, 0), (1, 14, 20)))
    with pytest.raises(DataError, match=r"in all of the box.*Leave out --border and --ignore"):
        pytc_auto.evaluate(tubes / "seg.h5", tubes / "seg.h5", skeletons=tubes / "swc", border=(0, 1, 0))
