from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from pytc_auto.errors import DataError
from pytc_auto.io.simpleitk import open_simpleitk


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_color(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(path))
    with pytest.raises(DataError, match=r"has 3 channels .*Convert it to gray"):
        open_simpleitk(path)


def test_four_axes(tmp_path):
    path = tmp_path / "a.nii"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.uint8), isVector=False), str(path))
    with pytest.raises(DataError, match=r"has 4 axes"):
        open_simpleitk(path)


def test_damaged(tmp_path):
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\nnothing")
    with pytest.raises(DataError, match=r"a.nrrd: is truncated or damaged"):
        open_simpleitk(tmp_path / "a.nrrd")


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_an_image_is_one_section(tmp_path, suffix):
    section = np.arange(20, dtype=np.uint8).reshape(4, 5)
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(section), str(path))
    volume = open_simpleitk(path)
    np.testing.assert_array_equal(volume.read(volume.box), section[None])
