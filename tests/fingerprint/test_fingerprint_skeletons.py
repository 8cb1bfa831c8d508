from __future__ import annotations

import h5py
import numpy as np
import pytest
from tests_skeletons import write_swc

from pytc_auto.errors import DataError
from pytc_auto.fingerprint.measure import measure
from pytc_auto.fingerprint.remarks import remarks
from pytc_auto.io.dataset import find_dataset
from pytc_auto.report.tables import fingerprint_rows
from pytc_auto.schema.fingerprint import Fingerprint

SHAPE = (16, 30, 44)
SIZE = (40.0, 10.0, 8.0)


def line(length, row, column=0):
    """Along x, from a voxel on."""
    nodes = np.array([(5, row, column + x) for x in range(length + 1)])
    return nodes, np.arange(-1, length)


def volume(root, name, lines, labels=True):
    """The labels cover the last 24 voxels of x."""
    image = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    arrays = {"images": (image, 0.0)}
    if labels:
        arrays["labels"] = (1 + np.arange(16 * 30 * 24, dtype=np.uint16).reshape(16, 30, 24) // 3000, 20 * 8.0)
    for side, (array, start) in arrays.items():
        (root / side).mkdir(parents=True, exist_ok=True)
        with h5py.File(root / side / f"{name}.h5", "w") as file:
            data = file.create_dataset("main", data=array)
            data.attrs["resolution"], data.attrs["offset"] = SIZE, (0.0, 0.0, start)
    if lines:
        write_swc(root / "skeletons" / name, lines, SIZE)


def measured(root):
    return measure(find_dataset(root).dataset, seed=0)


def test_how_many_how_long_and_where(tmp_path):
    volume(tmp_path, "a", {1: line(10, 3, 25), 2: line(30, 8, 10)})
    volume(tmp_path, "b", {1: line(20, 3, 22), 2: (np.array([(5, 5, 5)]), np.array([-1]))})
    volume(tmp_path, "c", {1: line(5, 2)}, labels=False)
    found = measured(tmp_path)
    facts = found.fingerprint.skeletons
    assert (facts.volumes, facts.count) == (2, 4)
    assert facts.length_nm == pytest.approx({"p10": 40, "p50": 80, "p90": 240})
    assert facts.total_length_nm == pytest.approx(8 * 65)
    assert facts.labelled_fraction == pytest.approx((10 + 20 + 20) / 65)
    assert "skeletons" not in " ".join(remarks(found))
    assert dict(fingerprint_rows(found.fingerprint))["skeletons"] == (
        "4, 0.08 µm long (0.04 to 0.24), 0.52 µm together, 76.9 % in the labelled part"
    )


def test_what_a_person_should_know(tmp_path):
    volume(tmp_path, "a", {1: line(30, 8, 0)})
    volume(tmp_path, "b", {})
    said = remarks(measured(tmp_path))
    assert "Of 2 labelled volumes only 1 have skeletons: run lengths choose nothing." in said
    assert any(text.startswith("Only 33% of the skeletons' length lies in the labelled part") for text in said)


def test_skeletons_beside_the_labels_are_refused_with_their_units(tmp_path):
    volume(tmp_path, "a", {1: line(10, 3)})
    with pytest.raises(
        DataError, match=r"a: no skeleton lies in the labelled part of a, \[0:16, 0:30, 20:44\]; .*\[5, 3, 0\] to"
    ):
        measured(tmp_path)
    volume(tmp_path, "a", {1: line(10, 3, 25)})
    (tmp_path / "dataset.yaml").write_text("skeleton_units: um\n")
    with pytest.raises(DataError, match=r"Check skeleton_units in dataset\.yaml, which are taken as um"):
        measured(tmp_path)


def test_a_fingerprint_without_skeletons_does_not_tell_of_them(tmp_path):
    volume(tmp_path, "a", {})
    found = measured(tmp_path).fingerprint
    assert found.skeletons is None
    assert "skeletons" not in found.text(".json")
    volume(tmp_path, "a", {1: line(10, 3, 25)})
    found = measured(tmp_path).fingerprint
    found.save(tmp_path / "f.json")
    assert Fingerprint.load(tmp_path / "f.json") == found
