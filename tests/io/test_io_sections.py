from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io import sections
from pytc_auto.io.dataset import find_dataset
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


@pytest.mark.parametrize("ids", [2, 4, 16, 200])
def test_of_a_palette_the_indices_are_read(tmp_path, ids):
    """Whatever the colors, of which two may be the same; few ids are stored in fewer bits."""
    colors = np.random.default_rng(0).integers(0, 255, (256, 3), dtype=np.uint8)
    colors[1] = colors[0]
    (tmp_path / "a").mkdir()
    for number, section in enumerate(STACK % ids):
        picture = Image.fromarray(section)
        picture.putpalette(colors[:ids].tobytes())
        picture.save(tmp_path / "a" / f"{number}.png", bits=max(1, (ids - 1).bit_length()))
    volume = open_sections(tmp_path / "a")
    np.testing.assert_array_equal(volume.read(volume.box), STACK % ids)
    assert volume.palette
    (tmp_path / "a" / "3.png").write_bytes(imagecodecs.png_encode(STACK[0]))
    with pytest.raises(DataError, match=r"3.png: is 9 by 11 .* of uint8, but 0.png is 9 by 11 .* of uint8 in a palette"):
        open_sections(tmp_path / "a")


def test_sections_of_other_palettes_are_refused(tmp_path):
    """One that is only shorter is the same."""
    for number, colors in enumerate((range(30), range(60), range(1, 31))):
        picture = Image.fromarray(STACK[number] % 10)
        picture.putpalette(bytes(colors))
        picture.save(tmp_path / f"{number}.png", bits=8)
    with pytest.raises(DataError, match=r"2.png: its palette is not that of 0.png, so the same number may be another label"):
        open_sections(tmp_path)
    (tmp_path / "2.png").unlink()
    assert open_sections(tmp_path).shape == (2, 9, 11)


def test_colors_of_a_palette_are_no_gray_values(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name / "a").mkdir(parents=True)
        for number in range(20):
            picture = Image.fromarray(np.full((20, 24), number, np.uint8))
            if name == "images":
                picture.putpalette(bytes(range(256)) * 3)
            picture.save(tmp_path / name / "a" / f"{number}.png")
    with pytest.raises(DataError, match=r"images.*a: has 3 channels .*Convert it to gray"):
        find_dataset(tmp_path, voxel_size_nm=(40, 8, 8))


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
