from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from neuroglancer.local_volume import InvalidObjectIdForMesh

from pytc_auto.errors import DataError
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.viewer.layer import Layer
from pytc_auto.viewer.pyramid import Pyramid
from pytc_auto.viewer.served import Served

SHAPE, SIZE = (11, 30, 41), (40.0, 12.0, 11.0)
IDS = np.random.default_rng(6).integers(0, 2**40, SHAPE, dtype=np.int64)
GRAY = np.random.default_rng(5).integers(0, 255, (3, *SHAPE), dtype=np.uint8)


def served(look, *channels, start=(0, 0, 0)):
    kind = "labels" if look == "labels" else "image"
    pyramid = Pyramid((tuple(ArrayVolume(c, voxel_size_nm=SIZE) for c in channels),), kind)
    return Served(Layer("a", pyramid, look, SIZE, start=start))


def decoded(volume, start, end, scale):
    data, kind = volume.get_encoded_subvolume("npz", np.array(start), np.array(end), scale)
    assert kind == "application/octet-stream"
    return np.load(io.BytesIO(zlib.decompress(data)))


def test_labels_are_served_as_unsigned_ids():
    volume = served("labels", IDS, start=(1, 2, -3))
    info = volume.info()
    assert (info["dataType"], info["volumeType"], list(info["voxelOffset"])) == ("uint64", "segmentation", [1, 2, -3])
    assert {axis: scale for axis, (scale, _) in info["coordinateSpace"].items()} == {
        axis: pytest.approx(s * 1e-9) for axis, s in zip("zyx", SIZE, strict=True)
    }
    found = decoded(volume, (1, 2, 3), (5, 9, 20), "1,1,1")
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, IDS[1:5, 2:9, 3:20])
    np.testing.assert_array_equal(decoded(volume, (0, 0, 0), (6, 30, 21), "2,1,2"), IDS[::2, :, ::2])


def test_a_prediction_has_its_channels_in_every_box():
    volume = served("prediction", *GRAY)
    assert (list(volume.info()["coordinateSpace"]), volume.shape) == (["c^", "z", "y", "x"], (3, *SHAPE))
    np.testing.assert_array_equal(decoded(volume, (0, 1, 2, 3), (3, 5, 9, 20), "1,1,1,1"), GRAY[:, 1:5, 2:9, 3:20])
    assert decoded(volume, (0, 0, 0, 0), (3, 6, 15, 21), "1,2,2,2").shape == (3, 6, 15, 21)


def test_what_cannot_be_given_is_an_error_of_the_request():
    volume = served("image", GRAY[0])
    assert volume.info()["volumeType"] == "image"
    with pytest.raises(ValueError, match="not inside"):
        decoded(volume, (0, 0, 0), (12, 30, 41), "1,1,1")
    with pytest.raises(ValueError, match="no such format"):
        volume.get_encoded_subvolume("jpeg", (0, 0, 0), (1, 1, 1), "1,1,1")
    with pytest.raises(InvalidObjectIdForMesh):
        volume.get_object_mesh(3)

    def broken(box):
        raise DataError("x.h5: is damaged")

    volume._layer.pyramid.finest.read = broken
    with pytest.raises(ValueError, match=r"x\.h5: is damaged"):
        decoded(volume, (0, 0, 0), (1, 1, 1), "1,1,1")
