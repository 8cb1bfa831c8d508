from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.fingerprint import intensity, sampling
from pytc_auto.fingerprint import measure as module
from pytc_auto.fingerprint.measure import measure
from pytc_auto.fingerprint.remarks import remarks
from pytc_auto.io.dataset import find_dataset
from pytc_auto.schema.dataset import Dataset, VolumeEntry
from pytc_auto.schema.fingerprint import Fingerprint

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SIZE = (20.0, 11.0, 12.0)


def facts(dataset, **arguments):
    return measure(dataset, **arguments).fingerprint


def _blobs(shape, *, count=12, seed=0):
    """Boxes of 5³ voxels with ids from 1."""
    labels = np.zeros(shape, np.uint16)
    rng = np.random.default_rng(seed)
    for i in range(count):
        z, y, x = (int(rng.integers(0, n - 5)) for n in shape)
        labels[z : z + 5, y : y + 5, x : x + 5] = i + 1
    return labels


def _image(shape, seed=0):
    return np.random.default_rng(seed).normal(120, 20, shape).clip(0, 255).astype(np.uint8)


def _dataset(folder, volumes, **changes):
    """A data set of .npy files; volumes are pairs of image and labels (or None)."""
    entries = []
    for i, (image, labels) in enumerate(volumes):
        np.save(folder / f"image{i}.npy", image)
        if labels is not None:
            np.save(folder / f"labels{i}.npy", labels)
        path = str(folder / f"labels{i}.npy") if labels is not None else None
        entries.append(
            VolumeEntry(
                name=f"v{i}",
                image=str(folder / f"image{i}.npy"),
                labels=path,
                voxel_size_nm=changes.get("voxel_size_nm", SIZE),
                axes=changes.get("axes", "zyx"),
                unlabeled_sections=changes.get("unlabeled_sections", []),
            )
        )
    return Dataset(
        root=str(folder),
        task=changes.get("task"),
        unlabeled=changes.get("unlabeled", []),
        class_names=changes.get("class_names", {}),
        volumes=entries,
    )


def test_all_facts_of_a_data_set(tmp_path):
    shape = (18, 30, 40)
    first, second = (_image(shape), _blobs(shape)), (_image((9, 20, 25), 1), None)
    told = []
    found = facts(_dataset(tmp_path, [first, second]), name="blobs", progress=lambda *step: told.append(step))
    assert found.name == "blobs"
    assert [(v.name, v.shape, v.dtype, v.labelled) for v in found.volumes] == [
        ("v0", shape, "uint8", True),
        ("v1", (9, 20, 25), "uint8", False),
    ]
    assert found.voxel_size_nm == SIZE
    assert found.intensity.mean == pytest.approx(np.concatenate([first[0].ravel(), second[0].ravel()]).mean())
    assert found.labels.kind == "instances"
    assert found.labels.foreground_fraction == pytest.approx((first[1] > 0).mean())
    assert found.labels.instances.extent_nm["p50"] == 100
    assert found.sampled_fraction == 1
    voxels = math.prod(shape)
    assert told[:2] == [("v0, image", 0, voxels), ("v0, image", voxels, voxels)]
    assert ("v0, labels", voxels, voxels) in told
    assert told[-1] == ("v1, sections", 9 * 20 * 25, 9 * 20 * 25)
    assert Fingerprint.model_validate_json(found.text(".json")) == found
    assert str(tmp_path) not in found.text(".json")


def test_the_name_is_the_folders(tmp_path):
    assert facts(_dataset(tmp_path, [(_image((4, 5, 6)), None)])).name == tmp_path.name


def test_files_in_xyz_order_are_measured_in_zyx(tmp_path):
    shape = (18, 30, 40)
    straight, turned = tmp_path / "zyx", tmp_path / "xyz"
    straight.mkdir(), turned.mkdir()
    image, labels = _image(shape), _blobs(shape)
    a = facts(_dataset(straight, [(image, labels)]), name="x")
    b = facts(_dataset(turned, [(image.T.copy(), labels.T.copy())], axes="xyz"), name="x")
    assert a == b


def test_the_voxel_size_is_the_median(tmp_path):
    dataset = _dataset(tmp_path, [(_image((4, 5, 6)), None)] * 3)
    sizes = [(10.0, 4.0, 4.0), (30.0, 6.0, 5.0), (20.0, 5.0, 9.0)]
    volumes = [v.replace(voxel_size_nm=s) for v, s in zip(dataset.volumes, sizes, strict=True)]
    assert facts(dataset.replace(volumes=volumes)).voxel_size_nm == (20.0, 5.0, 5.0)


def test_labels_that_are_zero_everywhere_are_refused(tmp_path):
    shape = (6, 7, 8)
    dataset = _dataset(tmp_path, [(_image(shape), _blobs(shape)), (_image(shape), np.zeros(shape, np.uint8))])
    with pytest.raises(DataError, match=r"labels1\.npy: the labels are zero everywhere.*Give the labels that belong"):
        facts(dataset)


def _stack(blank):
    labels = np.zeros((12, 30, 40), np.uint8)
    for i in range(4):
        labels[:, 5:15, 2 + 9 * i : 9 + 9 * i] = 255
    labels[blank] = 0
    return labels


def test_one_image_of_many_may_show_nothing(tmp_path):
    shape = (1, 40, 50)
    square = np.zeros(shape, np.uint8)
    square[:, 5:20, 10:30] = 1
    found = facts(_dataset(tmp_path, [(_image(shape), square), (_image(shape, 1), np.zeros(shape, np.uint8))]))
    assert found.labels.foreground_fraction == pytest.approx(300 / 4000)
    assert found.labels.unlabeled_fraction == 0
    nothing = [(_image(shape), np.zeros(shape, np.uint8))] * 2
    with pytest.raises(DataError, match="zero everywhere, there is nothing to learn from"):
        measure(_dataset(tmp_path, nothing))


def test_the_progress_of_many_volumes_is_one_bar(tmp_path):
    told = []
    volumes = [(_image((1, 30, 40 + i)), None) for i in range(6)]
    measure(_dataset(tmp_path, volumes), progress=lambda *step: told.append(step))
    assert {what for what, _, _ in told} == {"volumes"}
    assert [done for _, done, _ in told] == [sum(30 * (40 + i) for i in range(n)) for n in range(7)]
    assert told[-1][1] == told[-1][2]


def test_blank_label_sections_count_as_unlabeled(tmp_path):
    labels, image = _stack([1, 7]), _image((12, 30, 40))
    measured = measure(_dataset(tmp_path, [(image, labels)]))
    found = measured.fingerprint
    assert found.volumes[0].blank_label_sections == [1, 7]
    assert found.labels.unlabeled_fraction == pytest.approx(2 / 12)
    assert found.labels.foreground_fraction == pytest.approx(280 / 1200)
    assert remarks(measured) == ["v0: the labels of sections 1, 7 (counted from 0) are blank. They count as unlabeled."]
    assert found.sections.missing_rate == 0


def test_known_unlabeled_sections_are_kept(tmp_path):
    found = facts(_dataset(tmp_path, [(_image((12, 30, 40)), _stack([7]))], unlabeled_sections=[0]))
    assert found.volumes[0].blank_label_sections == [0, 7]


def test_a_missing_image_section_explains_blank_labels(tmp_path):
    image = _image((12, 30, 40))
    image[7] = 0
    measured = measure(_dataset(tmp_path, [(image, _stack([1, 7]))]))
    assert measured.fingerprint.volumes[0].blank_label_sections == [1]
    assert remarks(measured) == [
        "Section 7 of v0 is blank.",
        "v0: the labels of section 1 (counted from 0) are blank. They count as unlabeled.",
    ]


def test_zero_as_unlabeled_value_has_no_blank_sections(tmp_path):
    found = facts(_dataset(tmp_path, [(_image((12, 30, 40)), _stack([1, 7]))], unlabeled=[0]))
    assert found.volumes[0].blank_label_sections == []
    assert found.labels.unlabeled_fraction == pytest.approx(1 - 280 * 10 / 14400)


def test_declared_classes(tmp_path):
    shape = (18, 30, 40)
    volumes = [(_image(shape), _blobs(shape, count=3))]
    assert facts(_dataset(tmp_path, volumes)).labels.kind == "instances"
    assert facts(_dataset(tmp_path, volumes, task="classes")).labels.kind == "classes"
    assert facts(_dataset(tmp_path, volumes, class_names={1: "axon"})).labels.kind == "classes"


def test_little_foreground_and_missing_labels_are_remarked(tmp_path):
    labels = np.zeros((18, 30, 40), np.uint8)
    labels[3, 4, 5:9] = 1
    measured = measure(_dataset(tmp_path, [(_image((18, 30, 40)), labels), (_image((4, 5, 6)), None)]))
    assert remarks(measured) == [
        "Without labels: v1. Nothing is learned from them.",
        "Only 0.02% of the labelled voxels are foreground.",
    ]


def _small_limits(monkeypatch):
    monkeypatch.setattr(sampling, "WHOLE_IMAGE_VOXELS", 1000)
    monkeypatch.setattr(sampling, "WHOLE_LABEL_VOXELS", 1000)
    for name in ("IMAGE_VOXELS", "LABEL_VOXELS", "CENSUS_VOXELS"):
        monkeypatch.setattr(sampling, name, 200_000)
    monkeypatch.setattr(module, "HELD_BYTES", 1000)
    monkeypatch.setattr(intensity, "MOST_DRAWN", 50_000)


def test_large_volumes_are_sampled_by_the_seed(tmp_path, monkeypatch):
    shape = (12, 150, 300)
    labels = np.kron(np.random.default_rng(0).integers(1, 2000, (3, 10, 20)), np.ones((4, 15, 15), int)).astype(np.uint16)
    labels[5] = 0
    dataset = _dataset(tmp_path, [(_image(shape).astype(np.float32), labels)])
    whole = facts(dataset)
    _small_limits(monkeypatch)
    measured = measure(dataset)
    first, again, other = measured.fingerprint, facts(dataset, seed=0), facts(dataset, seed=1)
    assert first == again
    assert first.replace(seed=1) != other
    assert 0 < first.sampled_fraction < 1
    assert first.volumes == whole.volumes
    assert first.volumes[0].blank_label_sections == [5]
    assert first.intensity.mean == pytest.approx(whole.intensity.mean, rel=0.01)
    assert first.labels.instances.diameter_nm == pytest.approx(whole.labels.instances.diameter_nm, rel=0.1)
    assert first.labels.instances.touching_fraction == pytest.approx(1, abs=0.01)
    assert first.labels.counted_from == "sample"
    assert remarks(measured)[-2].startswith("The volumes are large: ")
    assert "ids and sizes are those of the sample" in remarks(measured)[-1]


def test_sampled_labels_that_seem_empty_are_read_whole(tmp_path, monkeypatch):
    labels = np.zeros((12, 150, 300), np.uint8)
    labels[0, 0, 0] = 1
    dataset = _dataset(tmp_path, [(_image((12, 150, 300)), labels)])
    _small_limits(monkeypatch)
    assert facts(dataset).labels.instances.diameter_nm is None
    np.save(tmp_path / "labels0.npy", np.zeros_like(labels))
    with pytest.raises(DataError, match="zero everywhere"):
        facts(dataset)


def test_the_import_is_light():
    code = (
        "import sys, pytc_auto.fingerprint.measure; "
        "print([m for m in ('torch', 'monai', 'skimage', 'scipy', 'cc3d') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def _real(name, size=None):
    if not DATA.is_dir():
        pytest.skip("the shared data are not here")
    return facts(find_dataset(DATA / name / "train", voxel_size_nm=size).dataset)


@pytest.mark.slow
def test_fib25():
    labels = _real("fib25").labels
    assert (labels.kind, labels.ids) == ("instances", 317)
    assert labels.instances.touching_fraction > 0.99
    assert labels.instances.gap_nm == 0
    assert 100 < labels.instances.diameter_nm["p10"] < 300


@pytest.mark.slow
def test_gala():
    labels = _real("gala", (10.0, 10.0, 10.0)).labels
    assert labels.kind == "instances"
    assert labels.instances.touching_fraction < 0.05
    assert labels.instances.gap_nm >= 10
    assert 0.9 < labels.foreground_fraction < 0.94


@pytest.mark.slow
def test_isbi2012():
    labels = _real("isbi2012").labels
    assert labels.kind == "mask"
    assert labels.values == pytest.approx({0: 0.23, 255: 0.77}, abs=0.01)
    assert 15 < labels.instances.gap_nm < 40


@pytest.mark.slow
def test_vnc_mito():
    found = _real("vnc_mito")
    assert found.labels.kind == "mask"
    assert found.volumes[0].blank_label_sections == [1, 7, 18]
    assert found.labels.unlabeled_fraction == pytest.approx(0.15)


@pytest.mark.slow
def test_vnc_organelles():
    found = _real("vnc_organelles")
    assert found.labels.kind == "classes"
    assert list(found.labels.values) == [0, 1, 2, 3, 4]
    assert 0.003 < found.labels.values[4] < 0.007
    assert found.volumes[0].blank_label_sections == []
