"""Stored pyramids: OME-Zarr, N5 and precomputed."""

from __future__ import annotations

import json

import mrcfile
import numpy as np
import pytest
import tensorstore
import zarr

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.open import contents_of, format_of, open_volume, stem

SIZES = ((40.0, 6.5, 4.25), (40.0, 13.0, 8.5), (80.0, 26.0, 17.0))
OFFSETS = ((80.0, -6.5, 8.5), (80.0, -3.25, 10.625), (100.0, 3.25, 17.0))
RAW = np.random.default_rng(11).integers(0, 60000, (6, 14, 18), dtype=np.uint16)
LEVELS = (RAW, RAW[:, ::2, ::2].copy(), RAW[::2, ::4, ::4].copy())


def ome_zarr(path, version):
    group = zarr.open_group(store=str(path / "a.zarr" / "em"), mode="w", zarr_format=2 if version == "0.4" else 3)
    datasets = []
    for number, (array, size, offset) in enumerate(zip(LEVELS, SIZES, OFFSETS, strict=True)):
        group.create_array(f"s{number}", shape=array.shape, dtype=array.dtype)[...] = array
        steps = [{"type": "scale", "scale": size}, {"type": "translation", "translation": offset}]
        datasets.append({"path": f"s{number}", "coordinateTransformations": steps})
    axes = [{"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"]
    multiscales = [{"axes": axes, "datasets": datasets}]
    group.attrs.update({"multiscales": multiscales} if version == "0.4" else {"ome": {"multiscales": multiscales}})
    return path / "a.zarr" / "em"


def n5_level(folder, array, **attributes):
    metadata = {"dimensions": array.shape[::-1], "blockSize": [8, 8, 2], "dataType": "uint16", "compression": {"type": "raw"}}
    spec = {"driver": "n5", "kvstore": {"driver": "file", "path": f"{folder}/"}, "metadata": metadata}
    tensorstore.open(spec, create=True).result()[...] = array.T
    stored = json.loads((folder / "attributes.json").read_text())
    (folder / "attributes.json").write_text(json.dumps(stored | attributes))


def n5_group(path, **attributes):
    folder = path / "a.n5" / "em"
    folder.mkdir(parents=True)
    (path / "a.n5" / "attributes.json").write_text('{"n5": "2.0.0"}')
    (folder / "attributes.json").write_text(json.dumps(attributes))
    return folder


def n5_factors(path):
    """As N5 viewers write it: one resolution, and factors."""
    folder = n5_group(path, resolution=SIZES[0][::-1])
    for number, factors in enumerate(([1, 1, 1], [2, 2, 1], [4, 4, 2])):
        n5_level(folder / f"s{number}", LEVELS[number], downsamplingFactors=factors, offset=OFFSETS[number][::-1])
    return folder


def n5_pixel_resolution(path):
    """The same resolution repeated in each level, beside the factors."""
    folder = n5_group(path)
    pixel = {"dimensions": [s / 1000 for s in SIZES[0][::-1]], "unit": "um"}
    for number, factors in enumerate(([1, 1, 1], [2, 2, 1], [4, 4, 2])):
        n5_level(
            folder / f"s{number}",
            LEVELS[number],
            downsamplingFactors=factors,
            pixelResolution=pixel,
            offset=OFFSETS[number][::-1],
        )
    return folder


def n5_transform(path):
    """Each level with its own place, axes named in C order."""
    folder = n5_group(path)
    for number, (array, size, offset) in enumerate(zip(LEVELS, SIZES, OFFSETS, strict=True)):
        transform = {"axes": list("zyx"), "scale": size, "translate": offset, "units": ["nm"] * 3}
        n5_level(folder / f"s{number}", array, transform=transform, pixelResolution={"dimensions": size[::-1], "unit": "nm"})
    return folder


def precomputed(path, encoding="raw", dtype="uint16"):
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": {"driver": "file", "path": f"{path / 'em'}/"},
        "multiscale_metadata": {"type": "image" if encoding == "raw" else "segmentation", "data_type": dtype, "num_channels": 1},
    }
    for array, size, offset in zip(LEVELS, SIZES, OFFSETS, strict=True):
        scale = {
            "size": array.shape[::-1],
            "resolution": size[::-1],
            "voxel_offset": [round(o / s) for o, s in zip(offset, size, strict=True)][::-1],
            "chunk_size": [8, 8, 2],
            "encoding": encoding,
        }
        if encoding != "raw":
            scale["compressed_segmentation_block_size"] = [4, 4, 2]
        made = tensorstore.open({**spec, "scale_metadata": scale}, create=True).result()
        made[...] = array.T[..., None].astype(dtype)
    return path / "em"


WRITERS = {
    "ome_zarr_4": lambda path: ome_zarr(path, "0.4"),
    "ome_zarr_5": lambda path: ome_zarr(path, "0.5"),
    "n5_factors": n5_factors,
    "n5_pixel_resolution": n5_pixel_resolution,
    "n5_transform": n5_transform,
    "precomputed": precomputed,
}


@pytest.mark.parametrize("name", WRITERS)
def test_levels(tmp_path, name):
    path = WRITERS[name](tmp_path)
    offsets = [OFFSETS[0], (80.0, 0.0, 8.5), (80.0, 0.0, 17.0)] if name == "precomputed" else OFFSETS
    assert open_volume(path).source == str(path)
    for number, array in enumerate(LEVELS):
        volume = open_volume(path, level=number)
        again = open_volume(volume.source)
        for found in (volume, again):
            assert (found.shape, found.voxel_size_nm, found.offset_nm) == (array.shape, SIZES[number], offsets[number])
            assert found.levels_nm == SIZES
            np.testing.assert_array_equal(found.read(found.box), array)
    with pytest.raises(DataError, match=r"em: has no level 3; it has 3, counted from 0, the finest"):
        open_volume(path, level=3)
    with pytest.raises(DataError, match=r"em: has no level -1; it has 3"):
        open_volume(path, level=-1)


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "precomputed"])
def test_a_level_by_its_key(tmp_path, name):
    path = WRITERS[name](tmp_path)
    assert contents_of(path.parent) == {"em": RAW.shape}
    assert stem(path.parent) == "a"
    for volume in (open_volume(f"{path.parent}:em/s1"), open_volume(path / "s1"), open_volume(path.parent, key="em", level=1)):
        assert (volume.shape, volume.voxel_size_nm, volume.levels_nm) == (LEVELS[1].shape, SIZES[1], SIZES)
    with pytest.raises(DataError, match=r"a\..*:em/s1: has no level 1; it has 1, counted from 0, the finest"):
        open_volume(f"{path.parent}:em/s1", level=1)
    np.testing.assert_array_equal(open_volume(path.parent).read(Box((0, 0, 0), RAW.shape)), RAW)


def test_declared_voxel_size_is_that_of_the_level(tmp_path):
    volume = open_volume(ome_zarr(tmp_path, "0.5"), level=1, voxel_size_nm=(3.0, 2.0, 1.0))
    assert (volume.voxel_size_nm, volume.levels_nm) == ((3.0, 2.0, 1.0), SIZES)


def test_a_missing_level(tmp_path):
    path = ome_zarr(tmp_path, "0.5")
    (path / "s1" / "zarr.json").unlink()
    with pytest.raises(DataError, match=r"em: level s1 of the image is not there. Copy or export it again"):
        open_volume(path, level=1)


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_compressed_segmentation(tmp_path, dtype):
    volume = open_volume(precomputed(tmp_path, "compressed_segmentation", dtype), level=1)
    assert volume.dtype == dtype
    np.testing.assert_array_equal(volume.read(volume.box), LEVELS[1])


def test_scales_by_key(tmp_path):
    path = precomputed(tmp_path)
    assert format_of(path) == "precomputed"
    key = json.loads((path / "info").read_text())["scales"][2]["key"]
    assert open_volume(f"{path}:{key}").shape == LEVELS[2].shape
    with pytest.raises(DataError, match=r"em: has no scale none. It holds 4.25_6.5_40"):
        open_volume(f"{path}:none")


@pytest.mark.parametrize("info", [{"@type": "neuroglancer_skeletons"}, {"scales": []}])
def test_precomputed_without_a_volume(tmp_path, info):
    (tmp_path / "info").write_text(json.dumps(info))
    with pytest.raises(DataError, match=r"its info describes no scale of a volume. Give the folder of the image"):
        open_volume(tmp_path)


def test_precomputed_channels(tmp_path):
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": {"driver": "file", "path": f"{tmp_path}/"},
        "multiscale_metadata": {"type": "image", "data_type": "uint16", "num_channels": 2},
        "scale_metadata": {"size": RAW.shape[::-1], "resolution": [1, 2, 3], "encoding": "raw", "chunk_size": [8, 8, 2]},
    }
    tensorstore.open(spec, create=True).result()[...] = np.stack([RAW, RAW + 1]).T
    volume = open_volume(tmp_path, channel=1)
    assert (volume.channels, volume.voxel_size_nm) == (2, (3.0, 2.0, 1.0))
    np.testing.assert_array_equal(volume.read(volume.box), RAW + 1)
    with pytest.raises(DataError, match=r"has 2 channels"):
        open_volume(tmp_path)


def test_unknown_units_of_n5(tmp_path):
    folder = n5_group(tmp_path)
    n5_level(folder / "raw", RAW, pixelResolution={"dimensions": [1, 2, 3], "unit": "furlong"})
    assert open_volume(folder).voxel_size_nm is None
    n5_level(folder / "other", RAW)
    with pytest.raises(DataError, match=r"em: holds several data sets: other \(6, 14, 18\), raw \(6, 14, 18\)"):
        open_volume(folder)


def test_imod_bytes(tmp_path):
    """IMOD's mode 0 holds unsigned bytes unless its flags say otherwise; without its stamp they are signed."""
    array = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    path = tmp_path / "a.mrc"
    with mrcfile.new(path, data=array.view(np.int8)):
        pass
    assert open_volume(path).dtype == np.int8
    data = bytearray(path.read_bytes())
    for flags, dtype in ((0, np.uint8), (1, np.int8)):
        data[152:160] = np.array([1146047817, flags], "<i4").tobytes()
        path.write_bytes(data)
        volume = open_volume(path)
        assert volume.dtype == dtype
        np.testing.assert_array_equal(volume.read(volume.box), array.view(dtype))


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float32"])
def test_mrc_dtypes(tmp_path, dtype):
    array = RAW.astype(dtype)
    with mrcfile.new(tmp_path / "a.rec", data=array):
        pass
    volume = open_volume(tmp_path / "a.rec")
    assert (volume.dtype, volume.voxel_size_nm) == (np.dtype(dtype), None)
    np.testing.assert_array_equal(volume.read(volume.box), array)


def test_mrc_with_turned_axes(tmp_path):
    with mrcfile.new(tmp_path / "a.mrc", data=RAW.T.copy()) as file:
        file.header.mapc, file.header.mapr, file.header.maps = 3, 2, 1
        file.header.mx, file.header.my, file.header.mz = RAW.shape[::-1]
        file.header.cella = tuple(n * s for n, s in zip(RAW.shape[::-1], (42.5, 65.0, 400.0), strict=True))
    for axes in ("zyx", "xyz"):
        volume = open_volume(tmp_path / "a.mrc", axes=axes)
        assert volume.voxel_size_nm == pytest.approx(SIZES[0])
        np.testing.assert_array_equal(volume.read(volume.box), RAW)


def test_mrc_of_unknown_size_and_compressed(tmp_path):
    import gzip

    path = tmp_path / "a.mrc"
    with mrcfile.new(path, data=RAW) as file:
        file.voxel_size = 1.0
    assert open_volume(path).voxel_size_nm is None
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"a.mrc: is compressed. Unpack it with gunzip"):
        open_volume(path)


def test_a_truncated_mrc_is_not_opened(tmp_path):
    with mrcfile.new(tmp_path / "a.mrc", data=RAW):
        pass
    (tmp_path / "a.mrc").write_bytes((tmp_path / "a.mrc").read_bytes()[:-1])
    with pytest.raises(DataError, match=r"a.mrc: is truncated or damaged .it has 4047 bytes, but its header announces 4048"):
        open_volume(tmp_path / "a.mrc")


def test_the_scale_of_the_image_holds_for_the_offsets_of_its_levels(tmp_path):
    path = ome_zarr(tmp_path, "0.5")
    group = zarr.open_group(store=str(path), mode="r+")
    ome = group.attrs.asdict()["ome"]
    ome["multiscales"][0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [2, 3, 4]},
        {"type": "translation", "translation": [1, 2, 3]},
    ]
    group.attrs["ome"] = ome
    volume = open_volume(path, level=1)
    assert volume.voxel_size_nm == (80.0, 39.0, 34.0)
    assert volume.offset_nm == (161.0, -7.75, 45.5)
