"""Links, pipes and files that may not be read: one clear error each."""

from __future__ import annotations

import os

import numpy as np
import pytest
import zarr

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.open import contents_of, format_of, open_volume

RAW = np.random.default_rng(12).integers(0, 60000, (5, 13, 17), dtype=np.uint16)


def one_error(path):
    """What is said of a file, at the latest when it is read."""
    with pytest.raises(DataError) as caught:  # noqa: PT012
        volume = open_volume(path)
        volume.read(volume.box)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["zarr_2", "n5"])
def test_folders_that_hold_themselves(tmp_path, writers, kind):
    path = writers[kind](tmp_path, RAW)
    (path / "volumes" / "again").symlink_to(path, target_is_directory=True)
    (path / "self").symlink_to("self")
    (path / "volumes" / "up").symlink_to("..")
    assert contents_of(path) == {"volumes/raw": RAW.shape}
    np.testing.assert_array_equal(open_volume(path).read(Box((0, 0, 0), RAW.shape)), RAW)


def test_very_deep_folders(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.open_group(store=str(path), mode="w")
    (path / "/".join("d" * 200)).mkdir(parents=True)
    assert "holds no array of numbers" in one_error(path)


def test_links_that_lead_nowhere(tmp_path):
    for name in ("a.png", "b.tif"):
        (tmp_path / name).symlink_to(name)
        assert "is not there" in one_error(tmp_path / name)
    (tmp_path / "c.h5").symlink_to("none.h5")
    assert "is not there" in one_error(tmp_path / "c.h5")
    one_error(tmp_path)


def test_what_is_no_file(tmp_path):
    """A pipe must not be waited for; a folder may be called like a file."""
    os.mkfifo(tmp_path / "a.tif")
    assert "is of no known format" in one_error(tmp_path / "a.tif")
    (tmp_path / "b.h5").mkdir()
    assert "holds nothing readable" in one_error(tmp_path / "b.h5")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "1.png").mkdir()
    one_error(tmp_path / "c")


def test_names_that_are_too_much(tmp_path):
    for name in ("a" * 300, "a\0b.h5"):
        one_error(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path, writers, array):
    for number, (name, write) in enumerate(writers.items()):
        (tmp_path / str(number)).mkdir()
        path = write(tmp_path / str(number), array)
        path.chmod(0)
        try:
            assert "may not be read" in one_error(path), name
        finally:
            path.chmod(0o700)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """The same for root, who may read everything."""
    (tmp_path / "a.dat").write_bytes(b"")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "open", refuse)
    with pytest.raises(DataError, match=r"a.dat: may not be read .*Permission denied\). Ask for the permission"):
        format_of(tmp_path / "a.dat")
