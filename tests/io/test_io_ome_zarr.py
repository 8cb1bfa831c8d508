from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from pytc_auto.errors import DataError, OutputError
from pytc_auto.io.ome_zarr import create_image, create_labels, open_level, remove_image
from pytc_auto.io.open import open_segmentation, open_volume
from pytc_auto.io.pyramid import add_pyramid

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
    assert labels["ome"]["image-label"] == {"source": {"image": "../../"}}
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
    assert attributes(out) == {"pytc": {"plan": "x"}}
    assert attributes(out / "labels" / "segmentation")["ome"]["image-label"] == {}
    remove_image(out)
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


@pytest.mark.parametrize("channels", [None, 1, 4])
@pytest.mark.parametrize(
    ("shape", "size"), [((9, 30, 41), SIZE), ((5, 300, 3), (8.0, 8.0, 8.0)), ((1, 7, 270), (30.0, 4.0, 4.0))]
)
@pytest.mark.parametrize("start", [None, (40.0, 0.0, -8.0)])
def test_other_people_s_models_find_nothing_wrong(tmp_path, channels, shape, size, start):
    from ome_zarr_models.v05 import Image, ImageLabel, Labels

    where = {"voxel_size_nm": size, "translation_nm": start, "attributes": {}}
    create_labels(tmp_path, "segmentation", shape=shape, chunks=shape, dtype="uint32", **where)[...] = 3
    levels = add_pyramid(tmp_path / "labels" / "segmentation", kind="labels")
    if channels:
        create_image(tmp_path, shape_czyx=(channels, *shape), chunks=(1, *shape), dtype="uint8", **where)[...] = 7
        assert add_pyramid(tmp_path, kind="image", levels=levels) == levels
        image = Image.from_zarr(zarr.open_group(tmp_path, mode="r"))
        assert len(image.datasets[0]) == levels == (2 if max(shape) > 256 else 1)
        assert image.labels.label_paths == ["segmentation"]
    else:
        create_image(tmp_path, shape_czyx=(1, *shape), chunks=(1, *shape), dtype="uint8", **where)
        remove_image(tmp_path)
    labels = Labels.from_zarr(zarr.open_group(tmp_path / "labels", mode="r"))
    assert labels.label_paths == ["segmentation"]
    found = ImageLabel.from_zarr(zarr.open_group(tmp_path / "labels" / "segmentation", mode="r")).ome_attributes
    assert (found.image_label.source is not None) == bool(channels)
    assert list(found.multiscales[0].datasets[0].coordinateTransformations[0].scale) == list(size)
