"""Channels, the order of axes, and what is told of chunks, offsets and levels."""

from __future__ import annotations

import json

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.axes import find_axes, named_letters
from pytc_auto.io.open import open_volume

SHAPE = (5, 13, 17)
SIZE = (40.0, 6.5, 4.25)
BOX = Box((1, 2, 3), (4, 11, 8))
RAW = np.random.default_rng(7).integers(0, 60000, (3, *SHAPE), dtype=np.uint16)


def npy(path, array, names):
    np.save(path / "a.npy", array)
    return path / "a.npy"


def npz(path, array, names):
    np.savez(path / "a.npz", array)
    return path / "a.npz"


def compressed_npz(path, array, names):
    np.savez_compressed(path / "a.npz", array)
    return path / "a.npz"


def hdf5(path, array, names):
    with h5py.File(path / "a.h5", "w") as file:
        file["raw"] = array
    return path / "a.h5"


def zarr_array(path, array, names):
    zarr.create_array(store=str(path / "a.zarr"), shape=array.shape, dtype=array.dtype)[...] = array
    return path / "a.zarr"


def tiff(path, array, names):
    tifffile.imwrite(path / "a.tif", array, photometric="minisblack")
    return path / "a.tif"


def zarr_names(path, array, names):
    made = zarr.create_array(store=str(path / "a.zarr"), shape=array.shape, dtype=array.dtype, dimension_names=list(names))
    made[...] = array
    return path / "a.zarr"


def xarray_names(path, array, names):
    made = zarr.create_array(store=str(path / "a.zarr"), shape=array.shape, dtype=array.dtype, zarr_format=2)
    made[...] = array
    made.attrs["_ARRAY_DIMENSIONS"] = [{"c": "channel"}.get(a, a) for a in names]
    return path / "a.zarr"


def hdf5_names(path, array, names):
    with h5py.File(path / "a.h5", "w") as file:
        file["raw"] = array
        for axis, name in zip(file["raw"].dims, names, strict=True):
            axis.label = name
    return path / "a.h5"


def ome_names(path, array, names):
    group = zarr.open_group(store=str(path / "a.zarr"), mode="w", zarr_format=3)
    group.create_array("s0", shape=array.shape, dtype=array.dtype)[...] = array
    axes = [{"name": a, "type": "channel" if a == "c" else "space"} for a in names]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "s0"}]}]}
    return path / "a.zarr"


def n5_names(path, array, names):
    import tensorstore

    metadata = {"dimensions": array.shape[::-1], "blockSize": array.shape[::-1], "dataType": "uint16"}
    metadata |= {"compression": {"type": "raw"}, "axes": list(names[::-1])}
    kvstore = {"driver": "file", "path": f"{path / 'a.n5'}/"}
    tensorstore.open({"driver": "n5", "kvstore": kvstore, "metadata": metadata}, create=True).result()[...] = array.T
    return path / "a.n5"


def ome_tiff(path, array, names):
    tifffile.imwrite(path / "a.ome.tif", array, metadata={"axes": names.upper()}, photometric="minisblack", compression="zlib")
    return path / "a.ome.tif"


def samples(path, array, names):
    planar = "contig" if names.endswith("c") else "separate"
    stored = array if names != "czyx" else array.swapaxes(0, 1)
    tifffile.imwrite(path / "a.tif", stored, photometric="minisblack", planarconfig=planar, compression="zlib", rowsperstrip=4)
    return path / "a.tif"


UNNAMED = (npy, npz, compressed_npz, hdf5, zarr_array, tiff)
NAMED = (zarr_names, xarray_names, hdf5_names, ome_names, n5_names)


def ordered(array, names):
    return np.ascontiguousarray(array.transpose(["czyx".index(a) for a in names]))


@pytest.mark.parametrize("names", ["czyx", "zyxc"])
@pytest.mark.parametrize("write", [*UNNAMED, *NAMED, samples])
def test_channels(tmp_path, write, names):
    path = write(tmp_path, ordered(RAW, names), names)
    for channel in range(3):
        volume = open_volume(path, channel=channel)
        assert (volume.shape, volume.channels, volume.channel) == (SHAPE, 3, channel)
        np.testing.assert_array_equal(volume.read(volume.box), RAW[channel])
        np.testing.assert_array_equal(open_volume(volume.source, channel=channel).read(BOX), RAW[channel][BOX.slices])
    with pytest.raises(
        DataError, match=r"has 3 channels, a volume has one. Choose one, counted from 0, as channel: 0 in dataset"
    ):
        open_volume(path)
    with pytest.raises(DataError, match=r"has no channel 3: there are 3, counted from 0. Mend channel"):
        open_volume(path, channel=3)


@pytest.mark.parametrize("names", ["czyx", "zcyx"])
def test_channels_of_ome_tiff(tmp_path, names):
    volume = open_volume(ome_tiff(tmp_path, ordered(RAW, names), names), channel=2)
    np.testing.assert_array_equal(volume.read(BOX), RAW[2][BOX.slices])


@pytest.mark.parametrize("write", NAMED)
@pytest.mark.parametrize("names", ["xyz", "yzx", "zyx"])
def test_named_axes_win(tmp_path, write, names):
    """Whatever is declared, such a file is turned once."""
    path = write(tmp_path, ordered(RAW, f"c{names}")[1], names)
    for axes in ("zyx", "xyz"):
        volume = open_volume(path, axes=axes)
        assert (volume.shape, volume.axes_named) == (SHAPE, True)
        np.testing.assert_array_equal(volume.read(volume.box), RAW[1])
        np.testing.assert_array_equal(volume.read(BOX), RAW[1][BOX.slices])


@pytest.mark.parametrize("names", ["cxyz", "xyzc"])
@pytest.mark.parametrize("write", UNNAMED)
def test_declared_axes_with_channels(tmp_path, write, names):
    volume = open_volume(write(tmp_path, ordered(RAW, names), names), axes="xyz", channel=1)
    assert (volume.shape, volume.channels, volume.channel) == (SHAPE, 3, 1)
    np.testing.assert_array_equal(volume.read(BOX), RAW[1][BOX.slices])


def test_one_channel_may_be_chosen(tmp_path, writers, array):
    for number, (name, write) in enumerate(writers.items()):
        (tmp_path / str(number)).mkdir()
        path = write(tmp_path / str(number), array)
        np.testing.assert_array_equal(open_volume(path, channel=0).read(BOX), array[BOX.slices], err_msg=name)
        with pytest.raises(DataError, match=r"has no channel 1"):
            open_volume(path, channel=1)
        with pytest.raises(DataError, match=r"has no level 9"):
            open_volume(path, level=9)


@pytest.mark.parametrize(
    ("extents", "letters"),
    [
        ((5, 13, 17), "zyx"),
        ((13, 17), "yx"),
        ((1, 1, 5, 13, 17), "..zyx"),
        ((5, 13, 17, 1), "zyx."),
        ((2, 13, 17), "zyx"),
        ((8, 5, 13, 17), "czyx"),
        ((9, 13, 17, 8), "zyxc"),
        ((1, 2, 5, 13, 17), ".czyx"),
    ],
)
def test_axes_without_names(extents, letters):
    assert find_axes(extents, None, 0, "a").letters == letters


@pytest.mark.parametrize("extents", [(9, 5, 13, 17), (9, 13, 17, 9), (2, 2, 5, 13, 17), (5,)])
def test_axes_that_are_no_volume(extents):
    with pytest.raises(DataError, match=r"a: has [1-5] axes, shape"):
        find_axes(extents, None, 0, "a")


@pytest.mark.parametrize("names", [["dim_0", "dim_1", "dim_2"], ["x", "y"], ["x", "x", "y"], [None] * 3, None, ["", "", ""]])
def test_names_that_tell_nothing(names):
    assert named_letters(names, 3) is None


def test_several_time_points(tmp_path):
    path = ome_names(tmp_path, RAW, "tzyx")
    with pytest.raises(DataError, match=r"a.zarr: has an axis of extent 3 beside z, y, x and channels. Store one time point"):
        open_volume(path, channel=0)


@pytest.mark.parametrize("write", [zarr_names, hdf5_names])
def test_resolution_and_offset_stand_in_the_order_of_the_axes(tmp_path, write):
    path = write(tmp_path, ordered(RAW, "cxyz")[0], "xyz")
    told = {"resolution": SIZE[::-1], "offset": (8.5, -13.0, 80.0)}
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file["raw"].attrs.update(told)
    else:
        zarr.open_array(store=str(path), mode="r+").attrs.update(told)
    volume = open_volume(path)
    assert (volume.voxel_size_nm, volume.offset_nm, volume.levels_nm) == (SIZE, (80.0, -13.0, 8.5), (SIZE,))


def test_cremi(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("volumes/raw", data=RAW[0], chunks=(2, 8, 16))
        file.create_dataset("volumes/labels/neuron_ids", data=RAW[0, 1:4])
        file["volumes/raw"].attrs["resolution"] = SIZE
        file["volumes/labels/neuron_ids"].attrs.update({"resolution": SIZE, "offset": (40.0, 0.0, -8.5)})
    raw, labels = (open_volume(tmp_path / "a.h5", key=f"volumes/{key}") for key in ("raw", "labels/neuron_ids"))
    assert (raw.offset_nm, raw.chunks, raw.random_access) == (None, (2, 8, 16), True)
    assert (labels.offset_nm, labels.chunks, labels.random_access) == ((40.0, 0.0, -8.5), None, True)
    turned = open_volume(tmp_path / "a.h5", key="volumes/labels", axes="xyz")
    assert (turned.offset_nm, turned.levels_nm, turned.random_access) == ((-8.5, 0.0, 40.0), (SIZE[::-1],), True)


EXPECTED = {
    "hdf5": ((2, 8, 8), True),
    "imagej_tiff": (None, True),
    "compressed_tiff": ((1, 13, 17), False),
    "ome_tiff": ((1, 13, 16), True),
    "zarr_2": ((2, 8, 8), True),
    "zarr_3": ((2, 8, 8), True),
    "ome_zarr_4": ((2, 8, 8), True),
    "ome_zarr_5": ((2, 8, 8), True),
    "mrc": (None, True),
    "n5": ((2, 8, 8), True),
    "precomputed": ((2, 8, 8), True),
    "sharded_precomputed": ((2, 8, 8), True),
    "scattered_tiff": ((1, 13, 17), True),
    "big_endian_tiff": (None, True),
    "png_sections": ((1, 13, 17), False),
    "tiff_sections": ((1, 13, 17), True),
    "npy": (None, True),
    "npz": (None, True),
    "compressed_npz": (None, False),
    "tiled_bigtiff": ((1, 13, 16), False),
    ".nii": (None, True),
    ".nii.gz": (None, False),
    ".nrrd": (None, True),
    ".mha": (None, True),
    ".mhd": (None, True),
}


def test_chunks_and_random_access(tmp_path, writers, array):
    found = {}
    for number, (name, write) in enumerate(writers.items()):
        (tmp_path / str(number)).mkdir()
        volume = open_volume(write(tmp_path / str(number), array))
        found[name] = (volume.chunks, volume.random_access)
        assert volume.levels_nm[:1] == ((SIZE,) if volume.voxel_size_nm else ())
    assert found == EXPECTED


def test_large_chunks_are_not_read_by_box(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", shape=(300, 600, 600), chunks=(300, 600, 600), dtype="u1", compression="gzip")
        file.create_dataset("slab", shape=(300, 600, 600), chunks=(1, 600, 600), dtype="u1", compression="gzip")
    assert not open_volume(tmp_path / "a.h5", key="raw").random_access
    assert open_volume(tmp_path / "a.h5", key="slab").random_access


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", "<i2", ">i2", "<f4", ">f4", ">f8", ">u8", "<i4", "?"])
@pytest.mark.parametrize("kind", ["npy", "npz", "compressed_npz", "hdf5", "zarr_2", "zarr_3", "tiff", "paged"])
def test_dtypes(tmp_path, dtype, kind):
    array = (np.random.default_rng(8).normal(size=SHAPE) * 100).astype(dtype)
    if kind in ("tiff", "paged") and dtype == "?":
        pytest.skip("a TIFF of bits is an image of its own kind")
    options = {"byteorder": ">" if ">" in dtype else "<", "compression": "zlib" if kind == "paged" else None}
    writers = {
        "npy": npy,
        "npz": npz,
        "compressed_npz": compressed_npz,
        "hdf5": hdf5,
        "zarr_2": lambda path, array, _: zarr.save_array(str(path / "a.zarr"), array, zarr_format=2) or path / "a.zarr",
        "zarr_3": lambda path, array, _: zarr.save_array(str(path / "a.zarr"), array, zarr_format=3) or path / "a.zarr",
        "tiff": lambda path, array, _: tifffile.imwrite(path / "a.tif", array, **options) or path / "a.tif",
        "paged": lambda path, array, _: tifffile.imwrite(path / "a.tif", array, **options) or path / "a.tif",
    }
    volume = open_volume(writers[kind](tmp_path, array, None))
    assert volume.dtype == np.dtype(dtype).newbyteorder("=")
    found = volume.read(BOX)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array[BOX.slices])


def test_jpeg_sections(tmp_path):
    (tmp_path / "a").mkdir()
    stack = np.random.default_rng(9).integers(0, 255, (3, 24, 33), dtype=np.uint8)
    encoded = [imagecodecs.jpeg_encode(section, level=90) for section in stack]
    for number, data in enumerate(encoded):
        (tmp_path / "a" / f"s{9 + number}.{'jpg' if number else 'JPEG'}").write_bytes(data)
    volume = open_volume(tmp_path / "a")
    assert (volume.shape, volume.dtype, volume.chunks, volume.random_access) == ((3, 24, 33), np.uint8, (1, 24, 33), False)
    np.testing.assert_array_equal(volume.read(volume.box), [imagecodecs.jpeg_decode(data) for data in encoded])
    colored = imagecodecs.jpeg_encode(np.zeros((24, 33, 3), np.uint8))
    (tmp_path / "a" / "s9.JPEG").write_bytes(colored)
    with pytest.raises(DataError, match=r"s9.JPEG: has 3 channels \(RGB or the like\).*Convert it to gray"):
        open_volume(tmp_path / "a")


def test_only_the_tiles_of_a_box_are_decoded(tmp_path, monkeypatch):
    big = np.random.default_rng(10).integers(0, 255, (3, 100, 120), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", big, tile=(16, 32), compression="zlib", bigtiff=True, photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", big, rowsperstrip=30, compression="zlib", predictor=True, photometric="minisblack")
    box = Box((1, 40, 60), (3, 60, 100))
    decoded = []
    for name, pieces in (("a.tif", 2 * 2 * 3), ("b.tif", 2 * 1)):
        volume = open_volume(tmp_path / name)
        assert volume.random_access
        opened = volume._open()
        monkeypatch.setattr(volume, "_open", lambda opened=opened: lambda *at: decoded.append(at) or opened(*at))
        np.testing.assert_array_equal(volume.read(box), big[box.slices])
        assert len(decoded) == pieces
        decoded.clear()
        np.testing.assert_array_equal(volume.read(volume.box), big)
        decoded.clear()


def test_npz_keys(tmp_path):
    np.savez(tmp_path / "a.npz", raw=RAW[0], labels=RAW[1], note=np.array("text"), column=np.arange(3))
    np.testing.assert_array_equal(open_volume(f"{tmp_path / 'a.npz'}:labels").read(BOX), RAW[1][BOX.slices])
    with pytest.raises(DataError, match=r"a.npz: holds several data sets: labels \(5, 13, 17\), raw \(5, 13, 17\). Say which"):
        open_volume(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", np.asfortranarray(RAW[0]))
    np.testing.assert_array_equal(open_volume(tmp_path / "b.npz").read(BOX), RAW[0][BOX.slices])
    np.savez_compressed(tmp_path / "c.npz", np.asfortranarray(RAW[0]))
    with pytest.raises(DataError, match=r"c.npz:arr_0: is compressed with x as the slowest axis. .*ascontiguousarray"):
        open_volume(tmp_path / "c.npz")


def test_sections_of_compressed_npz_in_any_order(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", RAW[0])
    volume = open_volume(tmp_path / "a.npz")
    for z in (4, 0, 2, 1, 3):
        np.testing.assert_array_equal(volume.read(Box((z, 0, 0), (z + 1, 13, 17)))[0], RAW[0, z])


def test_level_metadata_that_are_damaged(tmp_path):
    path = ome_names(tmp_path, RAW[0], "zyx")
    metadata = json.loads((path / "zarr.json").read_text())
    for broken in ([{"datasets": 3}], [3], {"a": 1}, [{"datasets": [{}]}], [{"axes": 3, "datasets": [{"path": "s0"}]}]):
        metadata["attributes"]["ome"]["multiscales"] = broken
        (path / "zarr.json").write_text(json.dumps(metadata))
        with pytest.raises(DataError, match=r"a.zarr: is truncated or damaged"):
            open_volume(path)
