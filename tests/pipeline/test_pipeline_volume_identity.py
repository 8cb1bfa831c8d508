from __future__ import annotations

import os

import numpy as np
import zarr
from PIL import Image
from tests_models import write_volume

from pytc_auto.io.open import open_volume
from pytc_auto.pipeline.volume_identity import volume_identity


def identity(path):
    return volume_identity(str(path), open_volume(str(path)))


def settled(path):
    os.utime(path, (1e9, 1e9))
    return identity(path)


def test_a_file_is_told_by_its_time(tmp_path):
    path = write_volume(tmp_path / "a.h5")
    first = settled(path)
    assert settled(path) == first
    os.utime(path, (2e9, 2e9))
    assert identity(path) != first


def test_a_group_is_told_by_the_metadata_of_all_levels(tmp_path):
    path = tmp_path / "a.zarr"
    group = zarr.create_group(path)
    for level in ("0", "1"):
        group.create_array(level, shape=(4, 5, 6), chunks=(2, 5, 6), dtype="uint8")[:] = 7
    group.attrs["multiscales"] = [{"datasets": [{"path": "0"}, {"path": "1"}]}]
    first = settled(path)
    assert settled(path) == first
    group["1"].attrs["changed"] = True
    second = settled(path)
    assert second != first
    group["0"][1, 2, 3] = 9
    assert settled(path) == second


def test_sections_are_told_by_their_sizes_and_times(tmp_path):
    path = tmp_path / "sections"
    path.mkdir()
    for z in range(3):
        Image.fromarray(np.full((5, 6), z, np.uint8)).save(path / f"{z}.png")
        os.utime(path / f"{z}.png", (1e9, 1e9))
    first = settled(path)
    assert settled(path) == first
    os.utime(path / "1.png", (2e9, 2e9))
    assert settled(path) != first
