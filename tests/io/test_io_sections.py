from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io import sections
from pytc_auto.io.sections import open_sections, section_paths

STACK = np.random.default_rng(2).integers(0, 255, (12, 9, 11), dtype=np.uint8)


def write(folder, stack=STACK):
    folder.mkdir()
    for number, section in enumerate(stack):
        (folder / f"section_{number}.png").write_bytes(imagecodecs.png_encode(section))
    return folder


def test_natural_order(tmp_path):
    folder = write(tmp_path / "a")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "readme.txt").write_text("")
    assert [p.name for p in section_paths(folder)] == [f"section_{i}.png" for i in range(12)]
    volume = open_sections(folder)
    np.testing.assert_array_equal(volume.read(volume.box), STACK)


def test_only_the_wanted_sections_are_decoded_and_once(tmp_path, monkeypatch):
    decoded = []
    plain = sections._decoded
    monkeypatch.setattr(sections, "_decoded", lambda path: decoded.append(path.name) or plain(path))
    volume = open_sections(write(tmp_path / "a"))
    assert not decoded
    for _ in range(2):
        volume.read(Box((3, 1, 1), (5, 4, 4)))
    assert decoded == ["section_3.png", "section_4.png"]


def test_the_odd_section_is_named(tmp_path):
    folder = write(tmp_path / "a")
    (folder / "section_7.png").write_bytes(imagecodecs.png_encode(STACK[0, :8]))
    with pytest.raises(DataError, match=r"section_7.png: is 8 by 11 .*but section_0.png is 9 by 11"):
        open_sections(folder)
    (folder / "section_7.png").write_bytes(imagecodecs.png_encode(STACK[0].astype(np.uint16)))
    with pytest.raises(DataError, match=r"section_7.png: is 9 by 11 .*uint16, but section_0.png is .*uint8"):
        open_sections(folder)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_color(tmp_path, channels):
    folder = write(tmp_path / "a")
    (folder / "section_3.png").write_bytes(imagecodecs.png_encode(np.zeros((9, 11, channels), np.uint8)))
    with pytest.raises(DataError, match=rf"section_3.png: has {channels} channels \(RGB or the like\).*Convert it to gray"):
        open_sections(folder)


def test_color_in_tiff(tmp_path):
    (tmp_path / "a").mkdir()
    tifffile.imwrite(tmp_path / "a" / "1.tif", np.zeros((9, 11, 3), np.uint8), photometric="rgb")
    with pytest.raises(DataError, match=r"1.tif: has 3 channels .*Convert it to gray"):
        open_sections(tmp_path / "a")


def test_truncated_png(tmp_path):
    folder = write(tmp_path / "a")
    path = folder / "section_5.png"
    path.write_bytes(path.read_bytes()[:60])
    volume = open_sections(folder)
    with pytest.raises(DataError, match=r"section_5.png: is truncated or damaged"):
        volume.read(volume.box)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"section_5.png: is truncated or damaged .*not a PNG"):
        open_sections(folder)


def test_stacks_are_not_sections(tmp_path):
    (tmp_path / "a").mkdir()
    tifffile.imwrite(tmp_path / "a" / "1.tif", STACK)
    with pytest.raises(DataError, match=r"1.tif: has 12 pages, a section has one"):
        open_sections(tmp_path / "a")


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match=r"holds no sections"):
        open_sections(tmp_path)


def test_real_data(data_folder):
    volume = open_sections(data_folder / "vnc_mito" / "train" / "images" / "stack1")
    assert (volume.shape, volume.dtype, volume.voxel_size_nm) == ((20, 576, 1024), np.uint8, None)
    assert volume.read(Box((4, 10, 20), (6, 90, 99))).std() > 10
