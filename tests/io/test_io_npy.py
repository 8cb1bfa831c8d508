from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.io.npy import open_npy


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a.npy: is truncated or damaged"):
        open_npy(tmp_path / "a.npy")


def test_an_image_is_one_section(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(2, 3))
    volume = open_npy(tmp_path / "a.npy")
    np.testing.assert_array_equal(volume.read(volume.box), np.arange(6.0).reshape(1, 2, 3))
