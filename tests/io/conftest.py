"""Writers of every format, for a volume of three different extents and voxel sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import imagecodecs
import mrcfile
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tensorstore
import tifffile
import zarr

SHAPE = (5, 13, 17)
VOXEL_SIZE_NM = (40.0, 6.5, 4.25)


def hdf5(path, array):
    with h5py.File(path / "a.h5", "w") as file:
        file.create_dataset("volumes/raw", data=array, chunks=(2, 8, 8), compression="gzip")
        file["volumes/raw"].attrs["resolution"] = VOXEL_SIZE_NM
    return path / "a.h5"


def imagej_tiff(path, array, **options):
    metadata = {"axes": "ZYX", "spacing": 0.04, "unit": "um"}
    tifffile.imwrite(path / "a.tif", array, imagej=True, resolution=(1000 / 4.25, 1000 / 6.5), metadata=metadata, **options)
    return path / "a.tif"


def compressed_tiff(path, array):
    return imagej_tiff(path, array, compression="zlib")


def ome_tiff(path, array):
    sizes = {
        "PhysicalSizeZ": 40,
        "PhysicalSizeZUnit": "nm",
        "PhysicalSizeY": 0.0065,
        "PhysicalSizeX": 4.25e-6,
        "PhysicalSizeXUnit": "mm",
    }
    tifffile.imwrite(path / "a.ome.tif", array, tile=(16, 16), metadata={"axes": "ZYX", **sizes})
    return path / "a.ome.tif"


def scattered_tiff(path, array):
    with tifffile.TiffWriter(path / "a.tiff", byteorder=">") as writer:
        for section in array:
            writer.write(section, metadata=None, contiguous=False)
    return path / "a.tiff"


def big_endian_tiff(path, array):
    tifffile.imwrite(path / "a.tif", array.astype(array.dtype.newbyteorder(">")), byteorder=">", photometric="minisblack")
    return path / "a.tif"


def png_sections(path, array):
    folder = path / "a"
    folder.mkdir()
    for number, section in enumerate(array):
        (folder / f"s{number + 8}.png").write_bytes(imagecodecs.png_encode(section))
    (folder / "notes.txt").write_text("not a section")
    return folder


def tiff_sections(path, array):
    folder = path / "a"
    folder.mkdir()
    for number, section in enumerate(array):
        tifffile.imwrite(folder / f"s{number + 8}.tif", section)
    return folder


def zarr_2(path, array):
    group = zarr.open_group(store=str(path / "a.zarr"), mode="w", zarr_format=2)
    stored = group.create_array("volumes/raw", shape=array.shape, chunks=(2, 8, 8), dtype=array.dtype)
    stored[...] = array
    stored.attrs["resolution"] = VOXEL_SIZE_NM
    return path / "a.zarr"


def zarr_3(path, array):
    stored = zarr.create_array(store=str(path / "a.zarr"), shape=array.shape, chunks=(2, 8, 8), dtype=array.dtype, zarr_format=3)
    stored[...] = array
    stored.attrs.update({"voxel_size": [0.04, 0.0065, 0.00425], "units": ["micrometer"] * 3})
    return path / "a.zarr"


def multiscale(axes, scale, **more):
    transformations = [{"type": "scale", "scale": scale}]
    return [{"axes": axes, "datasets": [{"path": "s0", "coordinateTransformations": transformations}], **more}]


def ome_zarr_4(path, array):
    group = zarr.open_group(store=str(path / "a.ome.zarr"), mode="w", zarr_format=2)
    group.create_array("s0", shape=(1, 1, *array.shape), chunks=(1, 1, 2, 8, 8), dtype=array.dtype)[0, 0] = array
    group.create_array("s1", shape=(1, 1, 2, 2, 2), dtype=array.dtype)
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    levels = multiscale(
        axes, [1, 1, 0.02, 0.0065, 0.00425], coordinateTransformations=[{"type": "scale", "scale": [1, 1, 2, 1, 1]}]
    )
    levels[0]["datasets"].append({"path": "s1", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1, 1, 1]}]})
    group.attrs["multiscales"] = levels
    return path / "a.ome.zarr"


def ome_zarr_5(path, array):
    group = zarr.open_group(store=str(path / "a.ome.zarr"), mode="w", zarr_format=3)
    group.create_array("s0", shape=array.shape[::-1], chunks=(8, 8, 2), dtype=array.dtype)[...] = array.transpose()
    axes = [{"name": a, "type": "space", "unit": "nanometer"} for a in "xyz"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": multiscale(axes, [4.25, 6.5, 40])}
    return path / "a.ome.zarr"


def npy(path, array):
    np.save(path / "a.npy", array)
    return path / "a.npy"


def npz(path, array):
    np.savez(path / "a.npz", raw=array, thickness=np.arange(3))
    return path / "a.npz"


def compressed_npz(path, array):
    np.savez_compressed(path / "a.npz", raw=array, mark=np.arange(3))
    return path / "a.npz"


def tiled_bigtiff(path, array):
    tifffile.imwrite(path / "a.tif", array, bigtiff=True, tile=(16, 16), compression="zlib", photometric="minisblack")
    return path / "a.tif"


def mrc(path, array):
    with mrcfile.new(path / "a.mrc", data=array) as file:
        file.voxel_size = (42.5, 65.0, 400.0)
    return path / "a.mrc"


def store(spec, array):
    """Write an array with tensorstore; it lists x first."""
    made = tensorstore.open(spec, create=True).result()
    made[...] = array.transpose().reshape(made.shape)


def n5(path, array):
    metadata = {
        "dimensions": array.shape[::-1],
        "blockSize": [8, 8, 2],
        "dataType": str(array.dtype),
        "compression": {"type": "gzip"},
    }
    attributes = {"resolution": [4.25, 6.5, 40.0]}
    kvstore = {"driver": "file", "path": f"{path / 'a.n5' / 'volumes' / 'raw'}/"}
    store({"driver": "n5", "kvstore": kvstore, "metadata": metadata}, array)
    attributes |= json.loads((path / "a.n5" / "volumes" / "raw" / "attributes.json").read_text())
    (path / "a.n5" / "volumes" / "raw" / "attributes.json").write_text(json.dumps(attributes))
    return path / "a.n5"


def precomputed(path, array, **scale):
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": {"driver": "file", "path": f"{path / 'a'}/"},
        "multiscale_metadata": {"type": "image", "data_type": str(array.dtype), "num_channels": 1},
        "scale_metadata": {
            "size": array.shape[::-1],
            "resolution": VOXEL_SIZE_NM[::-1],
            "voxel_offset": [3, -2, 10],
            "chunk_size": [8, 8, 2],
            "encoding": "raw",
            **scale,
        },
    }
    store(spec, array)
    return path / "a"


def sharded_precomputed(path, array):
    sharding = {
        "@type": "neuroglancer_uint64_sharded_v1",
        "preshift_bits": 1,
        "minishard_bits": 1,
        "shard_bits": 1,
        "hash": "identity",
        "data_encoding": "gzip",
    }
    return precomputed(path, array, sharding=sharding)


def itk(suffix):
    def write(path, array):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((4.25, 6.5, 40.0))
        sitk.WriteImage(image, str(path / f"a{suffix}"))
        return path / f"a{suffix}"

    return write


WITH_VOXEL_SIZE = {
    "hdf5": hdf5,
    "imagej_tiff": imagej_tiff,
    "compressed_tiff": compressed_tiff,
    "ome_tiff": ome_tiff,
    "zarr_2": zarr_2,
    "zarr_3": zarr_3,
    "ome_zarr_4": ome_zarr_4,
    "ome_zarr_5": ome_zarr_5,
    "mrc": mrc,
    "n5": n5,
    "precomputed": precomputed,
    "sharded_precomputed": sharded_precomputed,
}
WITHOUT = {
    "scattered_tiff": scattered_tiff,
    "big_endian_tiff": big_endian_tiff,
    "png_sections": png_sections,
    "tiff_sections": tiff_sections,
    "npy": npy,
    "npz": npz,
    "compressed_npz": compressed_npz,
    "tiled_bigtiff": tiled_bigtiff,
    **{s: itk(s) for s in (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")},
}


@pytest.fixture
def array():
    return np.random.default_rng(0).integers(0, 60000, SHAPE, dtype=np.uint16)


@pytest.fixture(params=[*WITH_VOXEL_SIZE, *WITHOUT])
def written(request, tmp_path, array) -> tuple[Path, tuple[float, ...] | None]:
    """A file of each format, and the voxel size that it tells."""
    if request.param in WITH_VOXEL_SIZE:
        return WITH_VOXEL_SIZE[request.param](tmp_path, array), VOXEL_SIZE_NM
    return WITHOUT[request.param](tmp_path, array), None


@pytest.fixture
def data_folder() -> Path:
    """Real EM beside the checkout."""
    folder = Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data here")
    return folder


@pytest.fixture
def writers() -> dict[str, Callable]:
    return {**WITH_VOXEL_SIZE, **WITHOUT}
