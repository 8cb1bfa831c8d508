from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
import zarr

from pytc_auto.errors import DataError, OutputError
from pytc_auto.io import cache
from pytc_auto.io.cache import cached
from pytc_auto.io.open import open_volume

SIZE = (40.0, 6.5, 4.25)
STACK = np.random.default_rng(6).integers(0, 60000, (150, 20, 31), dtype=np.uint16)


@pytest.fixture
def source(tmp_path):
    metadata = {"axes": "ZYX", "spacing": 0.04, "unit": "um"}
    resolution = (1000 / 4.25, 1000 / 6.5)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, resolution=resolution, metadata=metadata, compression="zlib")
    return path


def test_the_copy_has_the_same_voxels_and_place(source, tmp_path):
    told = []
    volume = open_volume(source)
    volume.offset_nm = (80.0, 13.0, -8.5)
    copy = cached(volume, tmp_path / "cache" / "deep", lambda *step: told.append(step))
    assert copy.source != volume.source
    assert (copy.shape, copy.dtype, copy.chunks, copy.random_access) == (STACK.shape, np.uint16, (64, 20, 31), True)
    np.testing.assert_array_equal(copy.read(copy.box), STACK)
    for found in (copy, open_volume(copy.source)):
        assert (found.voxel_size_nm, found.offset_nm) == (SIZE, (80.0, 13.0, -8.5))
    assert told == [("Copying a.tif", n * 20 * 31, 150 * 20 * 31) for n in (0, 64, 128, 150)]
    stored = zarr.open_array(store=copy.source, mode="r")
    assert stored.metadata.zarr_format == 3
    assert "ZstdCodec" in str(stored.metadata.codecs)


def test_it_is_made_once(source, tmp_path, monkeypatch):
    first = cached(open_volume(source), tmp_path / "cache")
    volume = open_volume(source)
    monkeypatch.setattr(type(volume), "read", lambda *_: pytest.fail("read again"))
    again = cached(volume, tmp_path / "cache")
    assert again.source == first.source


def test_what_can_be_read_by_box_is_not_copied(tmp_path):
    np.save(tmp_path / "a.npy", STACK)
    volume = open_volume(tmp_path / "a.npy")
    assert cached(volume, tmp_path / "cache") is volume
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("change", ["contents", "time"])
def test_a_changed_source_is_copied_anew(source, tmp_path, change):
    old = cached(open_volume(source), tmp_path / "cache")
    if change == "contents":
        tifffile.imwrite(source, STACK[::-1], compression="zlib", photometric="minisblack")
    else:
        os.utime(source, ns=(1, 1))
    new = cached(open_volume(source), tmp_path / "cache")
    assert new.source != old.source
    assert sorted(p.suffix for p in (tmp_path / "cache").iterdir()) == [".json", ".zarr"]
    np.testing.assert_array_equal(new.read(new.box), STACK[::-1] if change == "contents" else STACK)


def test_a_changed_section_or_data_file_is_seen(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(imagecodecs.png_encode(STACK[number]))
    sitk.WriteImage(sitk.GetImageFromArray(STACK[:3]), str(tmp_path / "a.nhdr"), useCompression=True)
    data = next(p for p in tmp_path.iterdir() if p.is_file() and p.suffix != ".nhdr")
    for path, part in ((folder, folder / "1.png"), (tmp_path / "a.nhdr", data)):
        before = cached(open_volume(path), tmp_path / "cache").source
        os.utime(part, ns=(1, 1))
        assert cached(open_volume(path), tmp_path / "cache").source != before


def test_channels_and_axis_orders_are_different_volumes(tmp_path):
    both = STACK[:16, :16, :16].copy(), STACK[16:32, :16, :16].copy()
    np.savez_compressed(tmp_path / "a.npz", np.stack(both))
    for _ in range(2):
        for channel, expected in enumerate(both):
            for axes, order in (("zyx", (0, 1, 2)), ("xyz", (2, 1, 0))):
                copy = cached(open_volume(tmp_path / "a.npz", channel=channel, axes=axes), tmp_path / "cache")
                np.testing.assert_array_equal(copy.read(copy.box), expected.transpose(order))
    assert len(list((tmp_path / "cache").glob("*.zarr"))) == 4


class BrokenOffError(RuntimeError):
    pass


def test_a_broken_copy_is_gone_on_with(source, tmp_path):
    """What was not counted as whole is written again, whatever is there."""

    def break_off(_what, done, _of):
        if done:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        cached(open_volume(source), tmp_path / "cache", break_off)
    (path,) = (tmp_path / "cache").glob("*.zarr")
    array = zarr.open_array(store=str(path), mode="r+")
    array[0:64] = 1
    array[64:70] = 2
    copy = cached(open_volume(source), tmp_path / "cache")
    assert copy.source == str(path)
    found = copy.read(copy.box)
    assert (found[:64] == 1).all(), "the first slab was whole and is not read again"
    np.testing.assert_array_equal(found[64:], STACK[64:])


def test_killed(source, tmp_path):
    code = (
        "import sys, time; from pytc_auto.io.cache import cached; from pytc_auto.io.open import open_volume\n"
        "cached(open_volume(sys.argv[1]), sys.argv[2], lambda what, done, of: done and (print(flush=True), time.sleep(60)))"
    )
    with subprocess.Popen([sys.executable, "-c", code, source, tmp_path / "cache"], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    copy = cached(open_volume(source), tmp_path / "cache")
    np.testing.assert_array_equal(copy.read(copy.box), STACK)


def test_killed_while_the_array_is_made(source, tmp_path):
    path = tmp_path / "cache"
    whole = cached(open_volume(source), path).source
    next(path.glob("*.json")).unlink()
    os.truncate(f"{whole}/zarr.json", 10)
    copy = cached(open_volume(source), path)
    np.testing.assert_array_equal(copy.read(copy.box), STACK)


def test_a_copy_that_was_removed_is_made_again(source, tmp_path):
    shutil.rmtree(cached(open_volume(source), tmp_path / "cache").source)
    copy = cached(open_volume(source), tmp_path / "cache")
    np.testing.assert_array_equal(copy.read(copy.box), STACK)


def test_large_sections_make_flat_slabs(source, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_SLAB_BYTES", 4 * 20 * 31 * 2)
    copy = cached(open_volume(source), tmp_path / "cache")
    assert copy.chunks == (4, 20, 31)
    np.testing.assert_array_equal(copy.read(copy.box), STACK)


def test_a_damaged_source_leaves_no_whole_copy(source, tmp_path):
    volume = open_volume(source)
    data = bytearray(source.read_bytes())
    with tifffile.TiffFile(source) as file:
        start = file.pages[100].dataoffsets[0]
    data[start : start + 40] = bytes(40)
    source.write_bytes(data)
    for _ in range(2):
        with pytest.raises(DataError, match=r"a.tif: is truncated or damaged"):
            cached(volume, tmp_path / "cache")


def test_no_room(source, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(OutputError, match=r"cache/deep: the copy of .*a.tif cannot be written .*Make room"):
        cached(open_volume(source), tmp_path / "cache" / "deep")
