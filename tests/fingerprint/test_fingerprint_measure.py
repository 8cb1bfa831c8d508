from __future__ import annotations

import h5py
import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.fingerprint.measure import measure
from pytc_auto.fingerprint.remarks import remarks
from pytc_auto.io.dataset import find_dataset

SIZE = (30.0, 6.0, 8.0)


def facts(dataset, **arguments):
    return measure(dataset, **arguments).fingerprint


def write(folder, image, labels, size=SIZE, name="a"):
    for kind, array in (("images", image), ("labels", labels)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / kind / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=array).attrs["resolution"] = size
    return find_dataset(folder).dataset


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(40, 200, shape).astype(np.uint8)


def test_geometry_and_gray_values(tmp_path):
    image = noise((12, 20, 28))
    labels = np.zeros(image.shape, np.uint16)
    labels[:, :10], labels[:, 10:] = 1, 2
    found = facts(write(tmp_path, image, labels), name="x")
    (volume,) = found.volumes
    assert (found.name, volume.shape, volume.dtype, volume.voxel_size_nm) == ("x", (12, 20, 28), "uint8", SIZE)
    assert found.cutting_axis == 0
    assert found.intensity.mean == pytest.approx(image.mean())
    assert found.intensity.std == pytest.approx(image.std(), rel=1e-3)
    assert found.intensity.percentiles["p50"] == pytest.approx(np.percentile(image, 50), abs=1)
    assert sum(found.intensity.histogram) == image.size
    assert found.sampled_fraction == 1.0
    assert found.provenance.kind == "measured"


@pytest.mark.parametrize("other", [(lambda a: a.astype(np.uint16) * 256), (lambda a: a.astype(np.float32) / 255)])
def test_volumes_of_different_gray_ranges_are_refused(tmp_path, other):
    labels = np.ones((12, 20, 28), np.uint16)
    write(tmp_path, noise(labels.shape), labels, name="a")
    dataset = write(tmp_path, other(noise(labels.shape, 1)), labels, name="b")
    with pytest.raises(
        DataError, match=r"(a|b): its gray values are .* vary by .*\nThose of all volumes together vary by .* one range"
    ):
        facts(dataset)


def test_a_faint_volume_is_no_other_range(tmp_path):
    labels = np.ones((12, 20, 28), np.uint16)
    write(tmp_path, noise(labels.shape), labels, name="a")
    dataset = write(tmp_path, 100 + noise(labels.shape, 1) // 20, labels, name="b")
    assert len(facts(dataset).volumes) == 2


def test_touching_ids_and_ids_with_a_gap(tmp_path):
    labels = np.zeros((12, 20, 28), np.uint16)
    for i in range(4):
        labels[:, :, 7 * i : 7 * i + 7] = i + 1
    touching = facts(write(tmp_path / "t", noise(labels.shape), labels)).labels
    assert touching.kind == "instances"
    assert touching.ids == 4
    assert touching.instances.touching_fraction == pytest.approx(1.0)
    assert touching.instances.border_fraction == 1.0
    gaps = labels.copy()
    gaps[:, :, ::7] = 0
    apart = facts(write(tmp_path / "g", noise(labels.shape), gaps)).labels
    assert apart.instances.touching_fraction == pytest.approx(0.0)
    assert apart.foreground_fraction == pytest.approx(6 / 7)


def test_mask_and_classes(tmp_path):
    mask = np.zeros((8, 24, 24), np.uint8)
    mask[:, 4:12, 4:12] = 255
    found = facts(write(tmp_path / "m", noise(mask.shape), mask, size=(10, 10, 10))).labels
    assert found.kind == "mask"
    assert found.values[255] == pytest.approx(64 / 576)
    classes = np.zeros((8, 40, 40), np.uint8)
    for i, (y, x) in enumerate([(y, x) for y in range(2, 38, 6) for x in range(2, 38, 6)]):
        classes[:, y : y + 3, x : x + 3] = 1 + i % 3
    found = facts(write(tmp_path / "c", noise(classes.shape), classes)).labels
    assert found.kind == "classes"
    assert sorted(found.values) == [0, 1, 2, 3]


def test_a_blank_label_section_is_found_and_told(tmp_path):
    labels = np.zeros((10, 20, 20), np.uint8)
    labels[:, 5:15, 5:15] = 1
    labels[4] = 0
    measured = measure(write(tmp_path, noise(labels.shape), labels))
    found = measured.fingerprint
    assert found.volumes[0].blank_label_sections == [4]
    assert found.labels.unlabeled_fraction == pytest.approx(0.1)
    assert found.labels.values[1] == pytest.approx(0.25)
    (remark,) = [r for r in remarks(measured) if "4" in r]
    assert "a" in remark


def test_sections_without_objects_are_not_blank(tmp_path):
    labels = np.zeros((10, 20, 20), np.uint8)
    labels[3:6, 5:9, 5:9] = 1
    assert facts(write(tmp_path, noise(labels.shape), labels)).volumes[0].blank_label_sections == []


def test_labels_that_are_zero_everywhere_are_refused(tmp_path):
    dataset = write(tmp_path, noise((6, 20, 20)), np.zeros((6, 20, 20), np.uint8))
    with pytest.raises(DataError, match="zero everywhere"):
        facts(dataset)


def test_the_same_seed_gives_the_same_fingerprint(tmp_path):
    labels = np.zeros((12, 20, 28), np.uint16)
    labels[:, :10], labels[:, 10:] = 1, 2
    dataset = write(tmp_path, noise(labels.shape).astype(np.uint16), labels)
    assert facts(dataset, seed=3) == facts(dataset, seed=3)


@pytest.mark.parametrize("size", [(10.0, 10.0, 10.0), (8.0, 12.0, 20.0), (20.0, 12.0, 8.0)])
def test_the_inscribed_diameter_of_a_box_is_its_shortest_side(tmp_path, size):
    labels = np.zeros((30, 30, 30), np.uint16)
    labels[5:15, 5:20, 5:25] = 1
    labels[20:26, 5:11, 5:11] = 2
    labels[20:26, 15:21, 15:21] = 3
    found = facts(write(tmp_path, noise(labels.shape), labels, size=size)).labels.instances
    shortest = min(10 * size[0], 15 * size[1], 20 * size[2])
    assert found.diameter_nm["p90"] == pytest.approx(shortest, abs=2 * max(size))
    assert found.extent_nm["p95"] == pytest.approx(max(10 * size[0], 15 * size[1], 20 * size[2]))
    assert found.border_fraction == 0
    assert found.solidity == pytest.approx(1.0, abs=0.05)
