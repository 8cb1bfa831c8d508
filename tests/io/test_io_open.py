from __future__ import annotations

import subprocess
import sys

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile

from pytc_auto.errors import DataError
from pytc_auto.io.open import contents_of, format_of, is_container, open_segmentation, open_volume, stem

RAW = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def container(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = RAW
        file["seg"] = RAW + 1
    return tmp_path / "a.h5"


def test_key_in_the_path_or_beside_it(container):
    for volume in (open_volume(f"{container}:seg"), open_volume(container, key="seg")):
        np.testing.assert_array_equal(volume.read(volume.box), RAW + 1)
        assert volume.source == f"{container}:seg"


def test_a_colon_may_belong_to_the_name(tmp_path):
    np.save(tmp_path / "a:b.npy", RAW)
    assert open_volume(tmp_path / "a:b.npy").shape == (2, 3, 4)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none.h5: is not there. Check the path"):
        open_volume(tmp_path / "none.h5")


def test_unknown_format_lists_the_known_ones(tmp_path):
    (tmp_path / "a.dm3").write_bytes(b"12345678")
    with pytest.raises(DataError, match=r"a.dm3: is of no known format. Known: .*\.h5.*\.tif.*\.nrrd"):
        open_volume(tmp_path / "a.dm3")


def test_folder_with_nothing_readable(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"holds nothing readable. Known: a folder of zarr, N5 or precomputed, a folder of PNG"):
        open_volume(tmp_path)


def test_key_where_there_is_none(tmp_path):
    np.save(tmp_path / "a.npy", RAW)
    with pytest.raises(DataError, match=r"holds a single volume. Leave out the key 'raw'"):
        open_volume(f"{tmp_path / 'a.npy'}:raw")


def test_contents_decide_where_the_suffix_does_not(tmp_path, container):
    container.rename(tmp_path / "container.dat")
    tifffile.imwrite(tmp_path / "stack.dat", RAW, photometric="minisblack")
    assert format_of(tmp_path / "container.dat") == "hdf5"
    assert open_volume(tmp_path / "container.dat", key="raw").shape == (2, 3, 4)
    assert open_volume(tmp_path / "stack.dat").shape == (2, 3, 4)


def test_containers(tmp_path, container):
    np.save(tmp_path / "a.npy", RAW)
    assert is_container(container)
    assert contents_of(container) == {"raw": (2, 3, 4), "seg": (2, 3, 4)}
    assert not is_container(tmp_path / "a.npy")
    assert contents_of(tmp_path / "a.npy") == {}


def test_a_single_png_and_its_turned_image(tmp_path):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(RAW[0]))
    upright, turned = open_volume(tmp_path / "a.png"), open_volume(tmp_path / "a.png", axes="xyz")
    np.testing.assert_array_equal(upright.read(upright.box), RAW[:1])
    np.testing.assert_array_equal(turned.read(turned.box), RAW[:1].transpose(0, 2, 1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.h5", "a"),
        ("a.b.tif", "a.b"),
        ("a.ome.tif", "a"),
        ("a.OME.ZARR", "a"),
        ("a.nii.gz", "a"),
        ("a.zarr", "a"),
        ("a.v1", "a.v1"),
    ],
)
def test_stem(tmp_path, name, expected):
    assert stem(tmp_path / name) == expected


def test_a_segmentation_that_is_a_plain_file(container):
    assert open_segmentation(f"{container}:seg").source.endswith(":seg")
    with pytest.raises(DataError, match=r"several data sets"):
        open_segmentation(container)


def test_import_is_light():
    heavy = ("h5py", "tifffile", "zarr", "SimpleITK", "imagecodecs", "tensorstore", "mrcfile", "torch")
    code = f"import sys, pytc_auto.io.open, pytc_auto.io.dataset; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
