from __future__ import annotations

import h5py
import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.io.hdf5 import hdf5_contents, open_hdf5

RAW = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def cremi(tmp_path):
    with h5py.File(tmp_path / "cremi.h5", "w") as file:
        file["volumes/raw"] = RAW
        file["volumes/labels/neuron_ids"] = RAW.astype(np.uint64)
        file["volumes"].attrs["resolution"] = [40.0, 4.0, 5.0]
        file["volumes/labels/neuron_ids"].attrs["resolution"] = [41.0, 4.0, 5.0]
        file["annotations/ids"] = np.arange(3)
        file["names"] = "text"
    return tmp_path / "cremi.h5"


def test_contents_are_the_arrays_of_numbers(cremi):
    assert hdf5_contents(cremi) == {"volumes/raw": (2, 3, 4), "volumes/labels/neuron_ids": (2, 3, 4)}


def test_voxel_size_of_the_data_set_wins_over_its_group(cremi):
    assert open_hdf5(cremi, "volumes/raw").voxel_size_nm == (40.0, 4.0, 5.0)
    assert open_hdf5(cremi, "/volumes/labels/neuron_ids").voxel_size_nm == (41.0, 4.0, 5.0)


def test_a_group_stands_for_its_only_data_set(cremi):
    assert open_hdf5(cremi, "volumes/labels").dtype == np.uint64


def test_several_data_sets_are_listed(cremi):
    with pytest.raises(
        DataError, match=r"several data sets: volumes/labels/neuron_ids \(2, 3, 4\), volumes/raw .*cremi.h5:volumes/"
    ):
        open_hdf5(cremi)


def test_unknown_key_suggests_the_nearest(cremi):
    with pytest.raises(DataError, match=r"no data set volumes/rew. Did you mean volumes/raw"):
        open_hdf5(cremi, "volumes/rew")


def test_an_image_is_one_section(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = RAW[0]
    volume = open_hdf5(tmp_path / "a.h5")
    assert volume.shape == (1, 3, 4)
    np.testing.assert_array_equal(volume.read(volume.box), RAW[:1])


@pytest.mark.parametrize(
    ("array", "message"), [(RAW[None, None].repeat(2, 0), "has 5 axes"), (RAW[:0], "is empty"), (RAW.astype(complex), "no array")]
)
def test_what_is_not_a_volume(tmp_path, array, message):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = array
    with pytest.raises(DataError, match=message):
        open_hdf5(tmp_path / "a.h5")


def test_truncated(cremi):
    cremi.write_bytes(cremi.read_bytes()[:700])
    with pytest.raises(DataError, match=r"cremi.h5: is truncated or damaged"):
        open_hdf5(cremi)


def test_real_data(data_folder):
    volume = open_hdf5(data_folder / "fib25" / "train" / "images" / "medulla.h5")
    assert (volume.shape, volume.voxel_size_nm, volume.dtype) == ((130, 250, 250), (10.0, 10.0, 10.0), np.uint8)
    assert open_hdf5(data_folder / "gala" / "train" / "labels" / "train.h5").voxel_size_nm is None
