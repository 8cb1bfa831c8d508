from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from pytc_auto.errors import DataError, OutputError
from pytc_auto.io import ome_zarr
from pytc_auto.io.ome_zarr import add_pyramid, create_image, create_labels, open_level, remove_image
from pytc_auto.io.open import open_segmentation, open_volume
from pytc_auto.io.scale import coarsen

SHAPE = (9, 30, 41)
SIZE = (40.0, 12.0, 11.0)
LABELS = np.random.default_rng(4).integers(0, 2**50, SHAPE, dtype=np.uint64)
PREDICTIONS = np.random.default_rng(5).integers(0, 255, (2, *SHAPE), dtype=np.uint8)


@pytest.fixture
def out(tmp_path):
    """An output with predictions and a segmentation, and our own folder inside."""
    path = tmp_path / "out"
    (path / ".pytc" / "done").mkdir(parents=True)
    image = create_image(
        path, shape_czyx=PREDICTIONS.shape, chunks=(1, 8, 16, 64), dtype="uint8", voxel_size_nm=SIZE, attributes={"plan": "x"}
    )
    image[...] = PREDICTIONS
    labels = create_labels(
        path,
        "segmentation",
        shape=SHAPE,
        chunks=(8, 16, 64),
        dtype="uint64",
        voxel_size_nm=SIZE,
        attributes={"kind": "instances"},
    )
    labels[...] = LABELS
    return path


def attributes(path):
    return json.loads((path / "zarr.json").read_text())["attributes"]


def test_metadata_are_ome_zarr_0_5(out):
    found = attributes(out)
    assert found["pytc"] == {"plan": "x"}
    assert found["ome"]["version"] == "0.5"
    (described,) = found["ome"]["multiscales"]
    assert described["axes"] == [{"name": "c", "type": "channel"}] + [
        {"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"
    ]
    assert described["datasets"] == [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, *SIZE]}]}]
    assert attributes(out / "labels")["ome"] == {"version": "0.5", "labels": ["segmentation"]}
    labels = attributes(out / "labels" / "segmentation")
    assert labels["ome"]["image-label"] == {}
    assert labels["pytc"] == {"kind": "instances"}
    array = json.loads((out / "0" / "zarr.json").read_text())
    assert (array["zarr_format"], array["dimension_names"]) == (3, ["c", "z", "y", "x"])
    assert array["chunk_grid"]["configuration"]["chunk_shape"] == [1, 8, 16, 41]
    assert "zstd" in [codec["name"] for codec in array["codecs"]]


def test_the_segmentation_is_found(out):
    for volume in (
        open_segmentation(out),
        open_volume(f"{out}:labels/segmentation"),
        open_volume(out / "labels" / "segmentation"),
    ):
        assert (volume.shape, volume.voxel_size_nm, volume.dtype) == (SHAPE, SIZE, np.uint64)
        np.testing.assert_array_equal(volume.read(volume.box), LABELS)
    with pytest.raises(DataError, match=r"PATH:labels/NAME"):
        open_volume(out)


def test_other_labels_are_found_if_they_are_the_only_ones(tmp_path):
    for name in ("cells", "axons"):
        create_labels(tmp_path / "a", name, shape=SHAPE, chunks=SHAPE, dtype="uint8", voxel_size_nm=SIZE, attributes={})
        if name == "cells":
            assert open_segmentation(tmp_path / "a").source.endswith("labels/cells")
    assert attributes(tmp_path / "a" / "labels")["ome"]["labels"] == ["axons", "cells"]
    with pytest.raises(DataError, match=r"several data sets: labels/axons"):
        open_segmentation(tmp_path / "a")
    create_labels(tmp_path / "a", "segmentation", shape=SHAPE, chunks=SHAPE, dtype="uint8", voxel_size_nm=SIZE, attributes={})
    assert open_segmentation(tmp_path / "a").source.endswith("labels/segmentation")


def test_removing_the_image_leaves_the_labels(out):
    add_pyramid(out, kind="image")
    remove_image(out)
    assert sorted(p.name for p in out.iterdir()) == [".pytc", "labels", "zarr.json"]
    assert attributes(out) == {"ome": {"version": "0.5"}, "pytc": {"plan": "x"}}
    for volume in (open_segmentation(out), open_volume(out)):
        np.testing.assert_array_equal(volume.read(volume.box), LABELS)


def test_what_is_there_is_not_overwritten(out):
    with pytest.raises(OutputError, match=r"has an image already"):
        create_image(out, shape_czyx=(1, 2, 2, 2), chunks=(1, 2, 2, 2), dtype="uint8", voxel_size_nm=SIZE, attributes={})
    with pytest.raises(OutputError, match=r"has an image already"):
        create_labels(out, "segmentation", shape=SHAPE, chunks=SHAPE, dtype="uint8", voxel_size_nm=SIZE, attributes={})
    np.testing.assert_array_equal(open_level(out)[...], PREDICTIONS)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match=r"out: cannot be written as OME-Zarr"):
        create_labels(tmp_path / "out", "a", shape=SHAPE, chunks=SHAPE, dtype="uint8", voxel_size_nm=SIZE, attributes={})


def test_open_level(out):
    open_level(out, writable=True)[0, 0, 0, 0] = 77
    assert open_level(out)[0, 0, 0, 0] == 77
    with pytest.raises(ValueError, match=r"read-only"):
        open_level(out)[0, 0, 0, 0] = 78
    with pytest.raises(OutputError, match=r"has no level 3"):
        open_level(out, 3)


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_pyramid_is_whole_coarsening_in_blocks(out, monkeypatch, kind):
    monkeypatch.setattr(ome_zarr, "_COARSEST", 6)
    monkeypatch.setattr(ome_zarr, "_BLOCK", (8, 16, 64))
    path, fine = (out, PREDICTIONS) if kind == "image" else (out / "labels" / "segmentation", LABELS[None])
    add_pyramid(path, kind=kind)
    (described,) = attributes(path)["ome"]["multiscales"]
    scales = [level["coordinateTransformations"][0]["scale"][-3:] for level in described["datasets"]]
    assert scales == [[40, 12, 11], [40, 24, 22], [80, 48, 44], [160, 96, 88]]
    for level, factor in enumerate([(1, 2, 2), (2, 2, 2), (2, 2, 2)], 1):
        fine = np.stack([coarsen(channel, factor, kind=kind) for channel in fine])
        np.testing.assert_array_equal(open_level(path, level)[...].reshape(fine.shape), fine)
    assert fine.shape[1:] == (3, 4, 6)
    add_pyramid(path, kind=kind)
    assert attributes(path)["ome"]["multiscales"] == [described]


def test_pyramid_of_a_single_section(tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr, "_COARSEST", 8)
    create_labels(
        tmp_path, "a", shape=(1, 9, 20), chunks=(1, 8, 8), dtype="uint8", voxel_size_nm=(4.0, 40.0, 40.0), attributes={}
    )
    add_pyramid(tmp_path / "labels" / "a", kind="labels")
    assert open_level(tmp_path / "labels" / "a", 2).shape == (1, 3, 5)


def test_small_images_need_no_pyramid(out):
    add_pyramid(out, kind="image")
    assert len(attributes(out)["ome"]["multiscales"][0]["datasets"]) == 1
    assert "1" not in zarr.open_group(store=str(out), mode="r")


def test_a_translation_is_read_back_and_goes_on_to_the_coarser_levels(tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr, "_COARSEST", 8)
    start, more = (400.0, 36.0, -22.0), {"dtype": "uint8", "voxel_size_nm": SIZE, "attributes": {}}
    create_image(tmp_path, shape_czyx=(2, *SHAPE), chunks=(1, *SHAPE), translation_nm=start, **more)
    create_labels(tmp_path, "a", shape=SHAPE, chunks=SHAPE, translation_nm=start, **more)
    for path, before in ((tmp_path, [0.0]), (tmp_path / "labels" / "a", [])):
        add_pyramid(path, kind="image")
        (described,) = attributes(path)["ome"]["multiscales"]
        steps = [level["coordinateTransformations"][1] for level in described["datasets"]]
        assert steps[0] == {"type": "translation", "translation": [*before, *start]}
        assert steps[1] == {"type": "translation", "translation": [*before, 400.0, 42.0, -16.5]}
        assert steps[2] == {"type": "translation", "translation": [*before, 420.0, 54.0, -5.5]}
    assert open_segmentation(tmp_path, key="labels/a").offset_nm == start
