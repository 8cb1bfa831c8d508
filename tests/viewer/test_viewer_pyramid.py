from __future__ import annotations

import numpy as np
import pytest
import zarr

from pytc_auto.geometry import Box
from pytc_auto.io import pyramid as stored
from pytc_auto.io.ome_zarr import create_image, create_labels
from pytc_auto.io.open import open_volume
from pytc_auto.io.pyramid import add_pyramid
from pytc_auto.io.scale import coarsen
from pytc_auto.io.volume import ArrayVolume, Volume
from pytc_auto.viewer.pyramid import Pyramid, open_pyramid, shown_dtype, start_in

SHAPE, SIZE = (11, 30, 41), (40.0, 12.0, 11.0)
GRAY = np.random.default_rng(5).integers(0, 255, (2, *SHAPE), dtype=np.uint8)
IDS = np.random.default_rng(6).integers(0, 2**40, SHAPE, dtype=np.uint64)
FACTORS = [(1, 1, 1), (1, 2, 2), (2, 4, 4), (4, 8, 8)]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """An image and labels with their levels; they are only read."""
    folder = tmp_path_factory.mktemp("out")
    more = {"voxel_size_nm": SIZE, "attributes": {}}
    create_image(folder, shape_czyx=GRAY.shape, chunks=(1, 8, 16, 64), dtype="uint8", **more)[...] = GRAY
    create_labels(folder, "segmentation", shape=SHAPE, chunks=(8, 16, 64), dtype="uint64", **more)[...] = IDS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "_COARSEST", 6)
        add_pyramid(folder, kind="image")
        add_pyramid(folder / "labels" / "segmentation", kind="labels")
    return folder


def level(out, number, kind):
    return zarr.open_array(out / (str(number) if kind == "image" else f"labels/segmentation/{number}"), mode="r")[...]


@pytest.mark.parametrize("kind", ["image", "labels"])
@pytest.mark.parametrize(
    ("factor", "number", "rest"),
    [
        ((1, 1, 1), 0, (1, 1, 1)),
        ((1, 2, 2), 1, (1, 1, 1)),
        ((2, 4, 4), 2, (1, 1, 1)),
        ((1, 4, 4), 1, (1, 2, 2)),
        ((2, 8, 8), 2, (1, 2, 2)),
        ((2, 1, 1), 0, (2, 1, 1)),
        ((1, 2, 3), 0, (1, 2, 3)),
    ],
)
def test_each_scale_is_made_from_the_next_finer_stored_one(out, kind, factor, number, rest):
    source = out if kind == "image" else out / "labels/segmentation"
    pyramid = open_pyramid(source, kind=kind, channels=(1, 0) if kind == "image" else (None,))
    assert pyramid.factors == FACTORS
    found = level(out, number, kind)
    channels = found[[1, 0]] if kind == "image" else found[None]
    wanted = np.stack([coarsen(channel, rest, kind=kind) for channel in channels])
    whole = Box.of_shape([-(-n // f) for n, f in zip(SHAPE, factor, strict=True)])
    np.testing.assert_array_equal(pyramid.read(whole, factor), wanted)
    part = Box((1, 2, 1), (3, 3, 5))
    np.testing.assert_array_equal(pyramid.read(part, factor), wanted[:, 1:3, 2:3, 1:5])


def test_levels_that_were_rounded_down_are_continued():
    levels = [ArrayVolume(GRAY[0], voxel_size_nm=SIZE), ArrayVolume(GRAY[0, :5, ::2, :20], voxel_size_nm=(80, 24, 22))]
    pyramid = Pyramid(tuple((volume,) for volume in levels), "image")
    assert pyramid.factors == [(1, 1, 1), (2, 2, 2)]
    (read,) = pyramid.read(Box((2, 3, 10), (6, 15, 21)), (2, 2, 2))
    np.testing.assert_array_equal(read[:3, :, :10], levels[1].array_zyx[2:5, 3:15, 10:20])
    np.testing.assert_array_equal(read[3], read[2])
    np.testing.assert_array_equal(read[:, :, 10], read[:, :, 9])


def test_levels_of_other_factors_are_left_out_and_a_level_stands_for_itself(out, tmp_path):
    assert open_pyramid(f"{out}:1", kind="image", channels=(0,)).factors == [(1, 1, 1)]
    uneven = ArrayVolume(GRAY[0], voxel_size_nm=(60, 12, 11))
    levels = {0: ArrayVolume(GRAY[0], voxel_size_nm=SIZE), 1: uneven}
    levels[0].levels_nm = (SIZE, (60, 12, 11))
    from pytc_auto.viewer import pyramid

    assert pyramid._coarser(levels[0], lambda n: (levels[n],)) == []


class Endless(Volume):
    """A volume that notes what is read of it."""

    def __init__(self, shape, size):
        self.source, self.shape, self.voxel_size_nm, self.dtype, self.read_voxels = "x", shape, size, np.dtype("u1"), []

    def _read(self, box):
        self.read_voxels.append(box.size)
        return np.zeros(box.shape, np.uint8)


def test_a_large_volume_is_not_read_for_a_look_from_afar():
    sizes = [(8.0 * f, 8.0 * f, 8.0 * f) for f in (1, 2, 4, 8, 16)]
    volumes = [Endless(tuple(2**17 // round(s / 8) for s in size), size) for size in sizes]
    pyramid = Pyramid(tuple((volume,) for volume in volumes), "image")
    pyramid.contrast()
    assert [sum(v.read_voxels) for v in volumes] == [0, 0, 0, 0, 32 * 256 * 256]
    pyramid.read(Box((100, 100, 100), (164, 164, 164)), (64, 64, 64))
    assert [sum(v.read_voxels[1:]) for v in volumes] == [0, 0, 0, 0, (4 * 64) ** 3]


def test_what_cannot_be_read_by_box_is_copied(tmp_path):
    import SimpleITK as sitk  # noqa: N813

    sitk.WriteImage(sitk.GetImageFromArray(GRAY[0]), str(tmp_path / "a.nii.gz"))
    assert not open_volume(tmp_path / "a.nii.gz").random_access
    pyramid = open_pyramid(tmp_path / "a.nii.gz", kind="image", cache=tmp_path / "copies")
    assert pyramid.finest.random_access
    np.testing.assert_array_equal(pyramid.read(Box.of_shape(SHAPE), (1, 1, 1))[0], GRAY[0])


def placed(size, offset):
    volume = ArrayVolume(GRAY[0], voxel_size_nm=size)
    volume.offset_nm = offset
    return volume


def test_where_a_volume_begins_in_another():
    reference = placed(SIZE, (400.0, 0.0, 110.0))
    assert start_in(placed(SIZE, (440.0, 24.0, 77.0)), reference) == (1, 2, -3)
    coarse = placed((40.0, 24.0, 33.0), (480.0, 24 * 3 + 6.0, 110.0 + 33 * 2 + 11.0))
    assert start_in(coarse, reference) == (2, 3, 2)
    assert start_in(placed(SIZE, (40.0, 24.0, 0.0)), placed(SIZE, None)) == (1, 2, 0)
    assert start_in(placed(SIZE, None), reference) == (0, 0, 0)


def test_dtypes_that_the_viewer_has():
    told = {name: shown_dtype(np.dtype(name), "image").name for name in ("bool", "uint8", "int16", "uint32", "int64", "float64")}
    assert told == {
        "bool": "uint8",
        "uint8": "uint8",
        "int16": "int16",
        "uint32": "uint32",
        "int64": "float32",
        "float64": "float32",
    }
    told = {name: shown_dtype(np.dtype(name), "labels").name for name in ("bool", "uint16", "int32", "float32", "uint64")}
    assert told == {"bool": "uint8", "uint16": "uint16", "int32": "uint64", "float32": "uint64", "uint64": "uint64"}


def test_contrast_is_of_the_middle_and_never_empty():
    gray = np.full((40, 300, 300), 250, np.uint8)
    gray[5:35, 50:250, 50:250] = np.arange(200, dtype=np.uint8)
    low, high = Pyramid(((ArrayVolume(gray),),), "image").contrast()
    assert (low, high) == pytest.approx((0, 250), abs=2)
    assert Pyramid(((ArrayVolume(np.full((3, 4, 5), 7, np.uint8)),),), "image").contrast() == (7, 8)
    assert Pyramid(((ArrayVolume(np.full((3, 4, 5), np.nan, np.float32)),),), "image").contrast() == (0, 1)
