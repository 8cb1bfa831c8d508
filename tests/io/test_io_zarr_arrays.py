from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from pytc_auto.errors import DataError
from pytc_auto.io.zarr_arrays import open_zarr
from pytc_auto.io.zarr_metadata import is_zarr, zarr_contents

RAW = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)


def group(path, **attributes):
    made = zarr.open_group(store=str(path), mode="a", zarr_format=3)
    made.attrs.update(attributes)
    return made


def store(made, name, array=RAW):
    made.create_array(name, shape=array.shape, dtype=array.dtype)[...] = array


def ome(axes, scale, unit="nanometer"):
    described = [{"name": a, "type": "space", "unit": unit} if unit else {"name": a} for a in axes]
    levels = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}]
    return {"version": "0.5", "multiscales": [{"axes": described, "datasets": levels}]}


def test_contents_leave_out_levels_and_hidden_folders(tmp_path):
    image = group(tmp_path, ome=ome("zyx", [1, 2, 3]))
    store(image, "0")
    store(image, "labels/cells/0")
    zarr.open_group(store=str(tmp_path / "labels" / "cells"), mode="a").attrs["ome"] = ome("zyx", [1, 2, 3])
    store(group(tmp_path / ".pytc"), "fragments")
    assert zarr_contents(tmp_path) == {"": (3, 4, 5), "labels/cells": (3, 4, 5)}
    assert is_zarr(tmp_path)
    assert not is_zarr(tmp_path / "0" / "c")


def test_voxel_size_from_the_group_above(tmp_path):
    store(group(tmp_path / "a.zarr", resolution=[30, 4, 5]), "deep/raw")
    assert open_zarr(tmp_path / "a.zarr").voxel_size_nm == (30.0, 4.0, 5.0)
    assert open_zarr(tmp_path / "a.zarr" / "deep").voxel_size_nm == (30.0, 4.0, 5.0)


@pytest.mark.parametrize(("unit", "expected"), [("micrometer", (1000.0, 2000.0, 3000.0)), ("furlong", None), (None, None)])
def test_units(tmp_path, unit, expected):
    store(group(tmp_path, ome=ome("zyx", [1, 2, 3], unit)), "0")
    assert open_zarr(tmp_path).voxel_size_nm == expected


def test_an_image_is_one_section(tmp_path):
    store(group(tmp_path / "a", ome=ome("yx", [2, 3])), "0", RAW[0])
    store(group(tmp_path / "b"), "raw", RAW[0])
    for volume in (open_zarr(tmp_path / "a"), open_zarr(tmp_path / "b")):
        assert volume.voxel_size_nm is None
        np.testing.assert_array_equal(volume.read(volume.box), RAW[:1])


def test_channels(tmp_path):
    store(group(tmp_path, ome=ome("czyx", [1, 1, 2, 3])), "0", np.stack([RAW, RAW]))
    with pytest.raises(DataError, match=r"has 2 channels, .*channel: 0 in dataset.yaml. .*PATH:labels/NAME"):
        open_zarr(tmp_path)


def test_four_axes_that_are_not_channels(tmp_path):
    store(group(tmp_path), "raw", np.zeros((9, 3, 4, 10), np.uint8))
    with pytest.raises(DataError, match=r"raw: has 4 axes, shape \(9, 3, 4, 10\)"):
        open_zarr(tmp_path)


def test_several_arrays_are_listed(tmp_path):
    made = group(tmp_path / "a.zarr")
    store(made, "raw")
    store(made, "seg")
    with pytest.raises(DataError, match=r"several data sets: raw \(3, 4, 5\), seg \(3, 4, 5\). Say which one, as .*a.zarr:raw"):
        open_zarr(tmp_path / "a.zarr")


def test_missing_level(tmp_path):
    group(tmp_path, ome=ome("zyx", [1, 2, 3]))
    with pytest.raises(DataError, match=r"level 0 of the image is not there"):
        open_zarr(tmp_path)


def test_axes_that_do_not_fit(tmp_path):
    store(group(tmp_path, ome=ome("zy", [1, 2])), "0")
    with pytest.raises(DataError, match=r"do not describe an array with 3 axes"):
        open_zarr(tmp_path)


def test_damaged_metadata(tmp_path):
    store(group(tmp_path), "raw")
    (tmp_path / "raw" / "zarr.json").write_text("[1]")
    with pytest.raises(DataError, match=r"is truncated or damaged .*does not hold a record"):
        open_zarr(tmp_path)


def test_damaged_chunk(tmp_path):
    store(group(tmp_path), "raw")
    assert json.loads((tmp_path / "raw" / "zarr.json").read_text())["node_type"] == "array"
    next((tmp_path / "raw" / "c").rglob("0")).joinpath("0/0").write_bytes(b"damage")
    volume = open_zarr(tmp_path)
    with pytest.raises(DataError, match=r"raw: is truncated or damaged"):
        volume.read(volume.box)


def test_not_a_zarr(tmp_path):
    with pytest.raises(DataError, match=r"is not a zarr array or group"):
        open_zarr(tmp_path)
