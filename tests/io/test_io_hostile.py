"""Damaged and hostile files: one clear error each, and never an allocation of what they announce."""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import h5py
import imagecodecs
import mrcfile
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
import zarr

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.open import contents_of, open_volume

RAW = np.random.default_rng(12).integers(0, 60000, (5, 13, 17), dtype=np.uint16)
HUGE = 2**31 - 1


@contextmanager
def little_memory():
    """No more than 2 GB above what is held already."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + 2 * 2**30, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def one_error(path, **options):
    """What is said of a file, at the latest when it is read."""
    with little_memory(), pytest.raises(DataError) as caught:  # noqa: PT012
        volume = open_volume(path, **options)
        volume.read(Box((0, 0, 0), tuple(min(n, 64) for n in volume.shape)))
        volume.read(Box(tuple(max(0, n - 64) for n in volume.shape), volume.shape))
    message = str(caught.value)
    assert str(path).partition(":")[0] in message
    assert "\n" not in message.strip()
    return message


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.95])
def test_truncated(tmp_path, writers, array, share):
    """Every file of every format, cut at some place."""
    for number, (name, write) in enumerate(writers.items()):
        (tmp_path / str(number)).mkdir()
        path = write(tmp_path / str(number), array)
        file = path if path.is_file() else max((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
        if name == ".mhd":
            file = path.with_suffix(".raw")
        if name == "sharded_precomputed":
            file = next(p for p in path.rglob("*") if p.suffix == ".shard")
        file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
        assert "Copy or export it again" in one_error(path), name


def test_metadata_cut_in_half(tmp_path, writers, array):
    for number, name in enumerate(("zarr_2", "zarr_3", "ome_zarr_4", "ome_zarr_5", "n5", "precomputed")):
        (tmp_path / str(number)).mkdir()
        path = writers[name](tmp_path / str(number), array)
        for file in path.rglob("*"):
            if file.is_file() and file.name in ("zarr.json", ".zarray", ".zattrs", "attributes.json", "info"):
                file.write_text(file.read_text()[: file.stat().st_size // 2])
        assert "is truncated or damaged" in one_error(path), name


SUFFIXES = (".h5", ".tif", ".png", ".jpg", ".npy", ".npz", ".mrc", ".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("contents", [b"", b"This is a text, and no volume at all.\n" * 60, bytes(3000), b"\xff" * 3000])
def test_wrong_contents(tmp_path, suffix, contents):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(contents)
    assert "is truncated or damaged" in one_error(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_format_s_contents(tmp_path, suffix):
    """A PNG under every other name, and an HDF5 file called .png."""
    path = tmp_path / f"a{suffix}"
    path.write_bytes(imagecodecs.png_encode(RAW[0]))
    if suffix == ".png":
        with h5py.File(path, "w") as file:
            file["raw"] = RAW
    assert "is truncated or damaged" in one_error(path)


def png(width, height):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(HUGE, HUGE), (2**31, 2**31), (50000, 50000), (0, 5)])
def test_png_that_announces_much(tmp_path, width, height):
    (tmp_path / "a.png").write_bytes(png(width, height))
    one_error(tmp_path / "a.png")
    one_error(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 0.99])
def test_truncated_jpeg(tmp_path, share):
    """Decoders paint gray what is missing."""
    data = imagecodecs.jpeg_encode(np.random.default_rng(14).integers(0, 255, (64, 80), dtype=np.uint8))
    (tmp_path / "a.jpg").write_bytes(data[: int(share * len(data))])
    assert "is truncated or damaged" in one_error(tmp_path / "a.jpg")


def test_jpeg_that_announces_much(tmp_path):
    data = bytearray(imagecodecs.jpeg_encode(np.zeros((16, 16), np.uint8)))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "a.jpg").write_bytes(data)
    assert "its header announces 65535 by 65535" in one_error(tmp_path / "a.jpg")


def npy_header(shape, dtype="<u2"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize("shape", [(10**6,) * 3, (10**12, 10**12, 10**12), (4000, 4000, 4000), (-1, 4, 4), (HUGE, 2, 2)])
def test_npy_and_npz_that_announce_much(tmp_path, shape):
    data = npy_header(shape) + bytes(1000)
    (tmp_path / "a.npy").write_bytes(data)
    one_error(tmp_path / "a.npy")
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", compression) as archive:
            archive.writestr("raw.npy", data)
        assert "its header announces the shape" in one_error(tmp_path / "a.npz")


def test_npz_with_objects_and_a_huge_header(tmp_path):
    np.savez(tmp_path / "a.npz", np.array([[[{}]]], dtype=object), allow_pickle=True)
    assert "holds no array of numbers" in one_error(tmp_path / "a.npz")
    header = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{"
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("raw.npy", header)
    one_error(tmp_path / "b.npz")


def test_npz_bomb_is_read_section_by_section(tmp_path):
    """An honest archive of 4 GB of zeros in 4 MB takes no more memory than a section."""
    header = npy_header((4096, 1024, 1024), "|u1")
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("raw.npy", "w", force_zip64=True) as file,
    ):
        file.write(header)
        for _ in range(256):
            file.write(bytes(16 * 2**20))
    with little_memory():
        volume = open_volume(tmp_path / "a.npz")
        assert not volume.read(Box((100, 0, 0), (101, 1024, 1024))).any()


@pytest.mark.parametrize("shape", [[10**12] * 3, [10**12, 1, 1], [2**31, 4, 4], [-5, 4, 4], [0, 4, 4], ["a", 1, 1], [1.5, 2, 2]])
@pytest.mark.parametrize("version", [2, 3])
def test_zarr_that_announces_much(tmp_path, shape, version):
    zarr.create_array(store=str(tmp_path / "a.zarr"), shape=RAW.shape, dtype="u2", zarr_format=version)
    file = tmp_path / "a.zarr" / (".zarray" if version == 2 else "zarr.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "shape": shape}))
    one_error(tmp_path / "a.zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_with_a_huge_chunk(tmp_path, version):
    path = tmp_path / "a.zarr"
    zarr.create_array(store=str(path), shape=(10**5,) * 3, chunks=(10**5,) * 3, dtype="u2", zarr_format=version)
    assert "announces pieces of 1.86e+06 GiB that can only be read whole" in one_error(path)


def test_zarr_that_is_large_and_empty_is_fine(tmp_path):
    zarr.create_array(store=str(tmp_path / "a.zarr"), shape=(10**6,) * 3, chunks=(64,) * 3, dtype="u2")
    with little_memory():
        assert not open_volume(tmp_path / "a.zarr").read(Box((9, 9, 9), (12, 12, 12))).any()


@pytest.mark.parametrize(
    "change",
    [
        {"size": [-17, 13, 5]},
        {"size": [10**12] * 3},
        {"size": [10**18] * 3},
        {"size": "much"},
        {"chunk_sizes": [[10**6] * 3], "size": [10**6] * 3},
        {"resolution": [1]},
        {"resolution": None},
        {"encoding": "unheard"},
        {"voxel_offset": [2**62] * 3},
        {"key": None},
    ],
)
def test_precomputed_that_announces_nonsense(tmp_path, writers, change):
    path = writers["precomputed"](tmp_path, RAW)
    info = json.loads((path / "info").read_text())
    info["scales"][0].update(change)
    (path / "info").write_text(json.dumps(info))
    one_error(path)


@pytest.mark.parametrize(
    "change",
    [
        {"dimensions": [-1, 2, 3]},
        {"dimensions": [10**12] * 3},
        {"dimensions": 4},
        {"blockSize": [10**6] * 3},
        {"blockSize": [0] * 3},
    ],
)
def test_n5_that_announces_nonsense(tmp_path, writers, change):
    path = writers["n5"](tmp_path, RAW) / "volumes" / "raw"
    attributes = json.loads((path / "attributes.json").read_text())
    (path / "attributes.json").write_text(json.dumps({**attributes, **change}))
    one_error(path)


@pytest.mark.parametrize("field", ["nx", "nz"])
@pytest.mark.parametrize("value", [HUGE, -3, 0])
def test_mrc_that_announces_nonsense(tmp_path, field, value):
    with mrcfile.new(tmp_path / "a.mrc", data=RAW):
        pass
    data = bytearray((tmp_path / "a.mrc").read_bytes())
    at = {"nx": 0, "nz": 8}[field]
    data[at : at + 4] = struct.pack("<i", value)
    (tmp_path / "a.mrc").write_bytes(data)
    one_error(tmp_path / "a.mrc")


@pytest.mark.parametrize("symbols", [HUGE, -2000])
def test_mrc_with_a_long_extended_header(tmp_path, symbols):
    with mrcfile.new(tmp_path / "a.mrc", data=RAW):
        pass
    data = bytearray((tmp_path / "a.mrc").read_bytes())
    data[92:96] = struct.pack("<i", symbols)
    (tmp_path / "a.mrc").write_bytes(data)
    one_error(tmp_path / "a.mrc")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nhdr", ".nii", ".nii.gz"])
@pytest.mark.parametrize("compressed", [False, True])
def test_simpleitk_that_announces_much(tmp_path, suffix, compressed):
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(RAW), str(path), compressed)
    data = path.read_bytes()
    if suffix.startswith(".nii"):
        data = zlib.decompress(data, 31) if suffix == ".nii.gz" else data
        data = data[:42] + struct.pack("<hhh", 32000, 32000, 32000) + data[48:]
        data = zlib.compress(data, wbits=31) if suffix == ".nii.gz" else data
    path.write_bytes(data.replace(b"17 13 5", b"17000 13000 50000"))
    assert "header announces" in one_error(path)


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_simpleitk_without_its_data_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(RAW), str(path))
    for file in tmp_path.iterdir():
        if file != path:
            file.unlink()
    assert "which is not beside it. Copy both files together" in one_error(path)


@pytest.mark.parametrize("side", [2**31, 2**20, 2**32 - 1])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_that_announces_much(tmp_path, side, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RAW[0], compression=compression, metadata=None)
    with tifffile.TiffFile(path) as file:
        tags = [file.pages[0].tags[name] for name in ("ImageWidth", "ImageLength", "RowsPerStrip")]
        places = [(tag.offset, tag.valueoffset) for tag in tags]
    data = bytearray(path.read_bytes())
    for tag, value in places:
        data[tag + 2 : tag + 4] = struct.pack("<H", 4)
        data[value : value + 4] = struct.pack("<I", side)
    path.write_bytes(data)
    one_error(path)
    (tmp_path / "folder").mkdir()
    path.rename(tmp_path / "folder" / "a.tif")
    one_error(tmp_path / "folder")


def test_hdf5_links_to_other_files(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["raw"] = RAW
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["away"] = h5py.ExternalLink("other.h5", "raw")
        file["gone"] = h5py.ExternalLink("none.h5", "raw")
        file["loop"] = h5py.SoftLink("/loop")
    assert contents_of(tmp_path / "a.h5") == {}
    assert "holds no array of numbers" in one_error(tmp_path / "a.h5")
    for key in ("away", "gone", "loop"):
        one_error(tmp_path / "a.h5", key=key)


def test_hdf5_voxels_in_other_files(tmp_path):
    layout = h5py.VirtualLayout(RAW.shape, "u2")
    layout[...] = h5py.VirtualSource(str(tmp_path / "none.h5"), "raw", RAW.shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", RAW.shape, "u2", external=[(str(tmp_path / "none.raw"), 0, 10**6)])
    for key, name in (("virtual", "none.h5"), ("raw", "none.raw")):
        message = one_error(tmp_path / "a.h5", key=key)
        assert f"its voxels are in another file, {tmp_path / name}. Give that file, or copy them into one" in message


def test_hdf5_that_is_virtual_within_itself_is_fine(tmp_path):
    layout = h5py.VirtualLayout(RAW.shape, "u2")
    layout[...] = h5py.VirtualSource(".", "raw", RAW.shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = RAW
        file.create_virtual_dataset("virtual", layout)
    volume = open_volume(tmp_path / "a.h5", key="virtual")
    np.testing.assert_array_equal(volume.read(volume.box), RAW)


def test_hdf5_that_announces_much(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", (2**40, 2**40, 2**40), "u1", chunks=(1, 1, 64))
        file.create_dataset("long", (10**12, 4, 4), "u1", chunks=(1, 4, 4))
        file.create_dataset("even", (10**6, 10**6, 10**6), "u1", chunks=(64, 64, 64))
    assert "announces the shape" in one_error(tmp_path / "a.h5", key="raw")
    assert "announces the shape" in one_error(tmp_path / "a.h5", key="long")
    with little_memory():
        assert not open_volume(tmp_path / "a.h5", key="even").read(Box((7, 8, 9), (8, 10, 12))).any()


def test_hdf5_groups_that_hold_each_other(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/raw"] = RAW
        file["a/b"] = file["a"]
    assert open_volume(tmp_path / "a.h5").shape == RAW.shape


def test_little_memory_is_enforced():
    if sys.platform != "linux":
        pytest.skip("limits are Linux's")
    with little_memory(), pytest.raises(MemoryError):
        np.ones(3 * 2**30, np.uint8)
