from __future__ import annotations

import numpy as np
import pytest
import tifffile

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.tiff import MappedTiff, PagedTiff, open_tiff

STACK = np.random.default_rng(1).integers(0, 255, (6, 40, 50), dtype=np.uint8)


def imagej(path, array=STACK, *, resolution=(250, 200), compression=None, **metadata):
    tifffile.imwrite(
        path, array, imagej=True, resolution=resolution, compression=compression, metadata={"axes": "ZYX", **metadata}
    )
    return path


@pytest.mark.parametrize(
    ("resolution", "metadata", "expected"),
    [
        ((250, 200), {"spacing": 0.05, "unit": "um"}, (50.0, 5.0, 4.0)),
        ((250, 200), {"spacing": 0.05, "unit": "micron"}, (50.0, 5.0, 4.0)),
        ((250, 200), {"spacing": 0.05, "unit": "\\u00B5m"}, (50.0, 5.0, 4.0)),
        ((0.25, 0.2), {"spacing": 50, "unit": "nm"}, (50.0, 5.0, 4.0)),
        ((250, 200), {"spacing": 0.05, "unit": "pixel"}, None),
        ((250, 200), {"spacing": 0.05}, None),
        ((250, 200), {"unit": "um"}, None),
    ],
)
def test_imagej_voxel_size(tmp_path, resolution, metadata, expected):
    assert open_tiff(imagej(tmp_path / "a.tif", resolution=resolution, **metadata)).voxel_size_nm == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"PhysicalSizeZ": 0.05, "PhysicalSizeY": 0.005, "PhysicalSizeX": 0.004}, (50.0, 5.0, 4.0)),
        ({"PhysicalSizeZ": 500, "PhysicalSizeZUnit": "Å", "PhysicalSizeY": 0.005, "PhysicalSizeX": 0.004}, (50.0, 5.0, 4.0)),
        ({"PhysicalSizeY": 0.005, "PhysicalSizeX": 0.004}, None),
        ({"PhysicalSizeZ": 1, "PhysicalSizeZUnit": "pixel", "PhysicalSizeY": 1, "PhysicalSizeX": 1}, None),
    ],
)
def test_ome_voxel_size(tmp_path, metadata, expected):
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "ZYX", **metadata})
    assert open_tiff(tmp_path / "a.ome.tif").voxel_size_nm == expected


def test_uncompressed_stacks_are_mapped_others_decoded(tmp_path):
    assert isinstance(open_tiff(imagej(tmp_path / "a.tif")), MappedTiff)
    paged = open_tiff(imagej(tmp_path / "b.tif", compression="zlib"))
    assert isinstance(paged, PagedTiff)
    np.testing.assert_array_equal(paged.read(Box((2, 3, 4), (5, 6, 8))), STACK[2:5, 3:6, 4:8])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("share", [0.95, 0.9, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("kind", ["imagej", "plain", "bare"])
def test_truncated(tmp_path, compression, share, kind):
    path = tmp_path / "stack.tif"
    if kind == "imagej":
        imagej(path, spacing=0.05, unit="um", compression=compression)
    else:
        tifffile.imwrite(path, STACK, compression=compression, metadata=None if kind == "bare" else {})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"stack.tif: is truncated or damaged"):
        open_tiff(path)


def test_imagej_stack_with_a_single_page_header(tmp_path):
    """As ImageJ writes stacks above 4 GB."""
    path = imagej(tmp_path / "stack.tif", spacing=0.05, unit="um")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        after = file.pages[0].offset + 2 + 12 * len(file.pages[0].tags)
        end = file.series[0].dataoffset + STACK.nbytes
    data[after : after + 4] = bytes(4)
    path.write_bytes(bytes(data[:end]))
    volume = open_tiff(path)
    np.testing.assert_array_equal(volume.read(volume.box), STACK)
    path.write_bytes(bytes(data[: end - 1]))
    with pytest.raises(DataError, match=r"stack.tif: is truncated or damaged"):
        open_tiff(path)


def test_damaged_inside(tmp_path):
    path = imagej(tmp_path / "stack.tif", compression="zlib")
    with tifffile.TiffFile(path) as file:
        start = file.series[0].pages[3].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start : start + 40] = bytes(40)
    path.write_bytes(bytes(data))
    volume = open_tiff(path)
    np.testing.assert_array_equal(volume.read(Box((0, 0, 0), (3, 40, 50))), STACK[:3])
    with pytest.raises(DataError, match=r"stack.tif: is truncated or damaged"):
        volume.read(volume.box)


def test_not_a_tiff(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"a.tif: is truncated or damaged"):
        open_tiff(tmp_path / "a.tif")


def test_color(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 40, 50, 3), np.uint8), photometric="rgb")
    with pytest.raises(
        DataError, match=r"a.tif: has 3 channels \(RGB or the like\), a volume has one. Convert it to gray.*Labels must be"
    ):
        open_tiff(tmp_path / "a.tif")


def test_channels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[:2], imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(DataError, match=r"has 2 channels, .*channel: 0 in dataset.yaml. If they are sections, save"):
        open_tiff(tmp_path / "a.tif")


def test_time_and_depth(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 3, 40, 50), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(DataError, match=r"has 4 axes, shape \(2, 3, 40, 50\)"):
        open_tiff(tmp_path / "a.tif")


def test_many_channels_are_sections(tmp_path):
    many = np.concatenate([STACK, STACK])
    tifffile.imwrite(tmp_path / "a.tif", many, imagej=True)
    volume = open_tiff(tmp_path / "a.tif")
    np.testing.assert_array_equal(volume.read(volume.box), many)


def test_pages_of_different_shapes(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0], metadata=None, contiguous=False)
        writer.write(STACK[0, :20], metadata=None, contiguous=False)
    with pytest.raises(DataError, match=r"pages differ in shape: \[\(20, 50\), \(40, 50\)\]"):
        open_tiff(tmp_path / "a.tif")


def test_compressed_volumetric_page(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK, volumetric=True, tile=(16, 16, 16), compression="zlib")
    with pytest.raises(DataError, match=r"a compressed page holds several sections"):
        open_tiff(tmp_path / "a.tif")


def test_an_image_is_one_section(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    volume = open_tiff(tmp_path / "a.tif")
    np.testing.assert_array_equal(volume.read(volume.box), STACK[:1])


def test_real_data(data_folder):
    volume = open_tiff(data_folder / "isbi2012" / "train" / "images" / "stack.tif")
    assert (volume.shape, volume.voxel_size_nm) == ((18, 512, 512), (50.0, 4.0, 4.0))
    volume = open_tiff(data_folder / "vnc_organelles" / "train" / "labels" / "stack1.tif")
    assert (volume.shape, volume.voxel_size_nm) == ((20, 576, 1024), (45.0, 4.6, 4.6))
    assert set(np.unique(volume.read(Box((3, 0, 0), (4, 576, 1024))))) <= set(range(5))
