from __future__ import annotations

import gzip
import math

import h5py
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tensorstore
import tifffile

from pytc_auto.errors import DataError, OutputError
from pytc_auto.io import pyramid
from pytc_auto.io.export import formats, streams
from pytc_auto.io.export.formats import chosen_formats, export, file_name, refuse_extent
from pytc_auto.io.ome_zarr import create_labels
from pytc_auto.io.open import open_segmentation, open_volume
from pytc_auto.io.pyramid import add_pyramid
from pytc_auto.io.volume import ArrayVolume

KINDS = ("tif", "h5", "nii.gz", "precomputed")
VOLUMES = [((9, 300, 41), (40.0, 4.6, 4.3)), ((70, 30, 270), (8.0, 9.0, 10.5)), ((1, 65, 5), (30.0, 1.0, 2.0))]
ALL = {"tif": 2**32 - 1, "h5": 2**64 - 1, "nii.gz": 2**64 - 1, "precomputed": 2**64 - 1}


def labels_of(shape, most, dtype):
    array = np.random.default_rng(sum(shape)).integers(1, 9, shape).astype(dtype)
    array[0, -3:, :2] = most
    array[-1, :5, -2:] = 0
    return array


@pytest.fixture
def segmentation(tmp_path):
    """Writes labels as OME-Zarr and gives them as a volume."""

    def make(array, size, offset=None):
        where = {"voxel_size_nm": size, "translation_nm": offset, "attributes": {}}
        target = tmp_path / "out"
        create_labels(target, "segmentation", shape=array.shape, chunks=(64, 64, 64), dtype=array.dtype, **where)[...] = array
        add_pyramid(target / "labels" / "segmentation", kind="labels")
        return open_segmentation(target)

    return make


def write(volume, tmp_path, kind):
    path = tmp_path / file_name(kind)
    export(volume, path, kind, scratch=tmp_path / "scratch")
    assert not (tmp_path / "scratch").exists()
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "size"), VOLUMES)
@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_what_is_written_is_read_back(tmp_path, segmentation, monkeypatch, kind, shape, size, dtype):
    monkeypatch.setattr(streams, "READ_BYTES", 100_000)
    labels = labels_of(shape, 2**32 - 1 if dtype == "uint32" else ALL[kind], dtype)
    read = open_volume(write(segmentation(labels, size), tmp_path, kind))
    assert (read.shape, read.voxel_size_nm) == (shape, size)
    np.testing.assert_array_equal(read.read(read.box), labels)


@pytest.mark.parametrize("kind", KINDS)
def test_the_dtype_is_the_smallest_that_the_format_has(tmp_path, segmentation, kind):
    for number, (most, wanted) in enumerate([(255, "uint8"), (65535, "uint16"), (2**24 + 1, "uint32")]):
        labels = labels_of((5, 6, 7), most, "uint64")
        (tmp_path / str(number)).mkdir()
        read = open_volume(write(ArrayVolume(labels, voxel_size_nm=(1, 2, 3)), tmp_path / str(number), kind))
        assert read.dtype == {"h5": "uint64", "precomputed": "uint32"}.get(kind, wanted)
        np.testing.assert_array_equal(read.read(read.box), labels)


def test_labels_that_a_format_cannot_hold_are_refused(tmp_path):
    volume = ArrayVolume(labels_of((3, 4, 5), 2**32, "uint64"), voxel_size_nm=(1, 1, 1))
    with pytest.raises(OutputError, match=r"holds labels from 0 to 4,294,967,295, .* from 0 to 4,294,967,296\. Give --format h5"):
        write(volume, tmp_path, "tif")
    for kind in ("nii.gz", "tif", "precomputed"):
        with pytest.raises(OutputError, match="has them from -1 to 3"):
            write(ArrayVolume(np.array([[[3, -1]]], np.int32), voxel_size_nm=(1, 1, 1)), tmp_path, kind)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match=r"a\.nii\.gz: \.nii\.gz holds at most 32,767 voxels on an axis, .*\(2, 3, 40000\)"):
        refuse_extent("nii.gz", (2, 3, 40000), tmp_path / "a.nii.gz")
    refuse_extent("precomputed", (2, 3, 40000), tmp_path / "a")


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_that_is_broken_off_is_not_seen(tmp_path, segmentation, kind):
    volume = segmentation(labels_of((9, 30, 41), 7, "uint32"), (1.0, 1.0, 1.0))
    read, calls = volume.read, []

    def break_off(box):
        calls.append(box)
        if len(calls) == (1 if kind == "h5" else 2):
            raise DataError("the disk is gone")
        return read(box)

    volume.read = break_off
    with pytest.raises(DataError, match="the disk is gone"):
        write(volume, tmp_path, kind)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    (tmp_path / "scratch" / "segmentation.tif").mkdir(parents=True)
    volume.read = read
    assert open_volume(write(volume, tmp_path, kind)).shape == (9, 30, 41)


@pytest.mark.parametrize("budget", [1, 7000, 10**5, 10**9])
def test_strips_are_the_rows_of_the_volume_whatever_memory_there_is(segmentation, monkeypatch, budget):
    monkeypatch.setattr(streams, "READ_BYTES", budget)
    labels = labels_of((70, 30, 41), 7, "uint32")
    volume, most = segmentation(labels, (1.0, 1.0, 1.0)), []
    read = volume.read
    volume.read = lambda box: most.append(box.size * 4) or read(box)
    taken = list(streams.strips(volume, 8, what="x"))
    assert [len(strip) for strip in taken[:4]] == [8, 8, 8, 6]
    np.testing.assert_array_equal(np.concatenate(taken).reshape(labels.shape), labels)
    assert max(most) <= max(budget, 8 * 41 * 4)
    assert max(most) == {1: 8 * 41 * 4, 7000: 30 * 41 * 4, 10**5: 20 * 30 * 41 * 4, 10**9: 64 * 30 * 41 * 4}[budget]


def test_other_programs_read_the_same(tmp_path, segmentation):
    labels = labels_of((9, 30, 41), 70000, "uint32")
    volume = segmentation(labels, (40.0, 4.6, 4.3), (80.0, 46.0, -43.0))
    for kind in KINDS:
        write(volume, tmp_path, kind)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "segmentation.tif"), labels)
    with tifffile.TiffFile(tmp_path / "segmentation.tif") as file:
        assert file.is_ome
        assert not file.is_bigtiff
        assert file.pages[0].is_tiled
    image = sitk.ReadImage(str(tmp_path / "segmentation.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels)
    assert image.GetSpacing() == pytest.approx((4.3e-6, 4.6e-6, 40e-6))
    assert image.GetOrigin() == pytest.approx((-43e-6, 46e-6, 80e-6))
    assert image.GetDirection() == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, 1))
    with h5py.File(tmp_path / "segmentation.h5") as file:
        assert list(file["main"].attrs["element_size_um"]) == pytest.approx([0.04, 0.0046, 0.0043])
        assert file["main"].compression == "gzip"
    spec = {"driver": "neuroglancer_precomputed", "kvstore": f"file://{tmp_path}/precomputed/"}
    store = tensorstore.open(spec, read=True).result()
    assert list(store.domain.origin) == [-10, 10, 2, 0]
    np.testing.assert_array_equal(store.read().result()[..., 0].T, labels)
    assert store.spec().to_json()["scale_metadata"]["encoding"] == "compressed_segmentation"
    for name in ("segmentation.h5", "precomputed"):
        assert open_volume(tmp_path / name).offset_nm == (80.0, 46.0, -43.0)


def test_precomputed_has_the_levels_of_the_pyramid(tmp_path, segmentation, monkeypatch):
    monkeypatch.setattr(pyramid, "_COARSEST", 16)
    volume = segmentation(labels_of((9, 30, 41), 7, "uint32"), (40.0, 10.0, 10.0), (40.0, 20.0, 80.0))
    path = write(volume, tmp_path, "precomputed")
    assert open_volume(path).levels_nm == ((40, 10, 10), (40, 20, 20), (40, 40, 40))
    for level, start in ((1, (40, 20, 80)), (2, (40, 0, 80))):
        read, wanted = open_volume(path, level=level), open_volume(volume.source, level=level)
        np.testing.assert_array_equal(read.read(read.box), wanted.read(wanted.box))
        assert read.offset_nm == start


def test_a_large_tiff_is_a_bigtiff(tmp_path, monkeypatch):
    from pytc_auto.io.export import tiff

    monkeypatch.setattr(tiff, "_BIG", 100)
    path = write(ArrayVolume(labels_of((3, 4, 50), 7, "uint8")), tmp_path, "tif")
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
    assert open_volume(path).voxel_size_nm is None


def test_nifti_in_millimeters_is_not_believed(tmp_path, segmentation):
    path = write(segmentation(labels_of((5, 6, 7), 7, "uint8"), (4.6, 4.3, 40.7)), tmp_path, "nii.gz")
    header = bytearray(gzip.decompress(path.read_bytes()))
    assert open_volume(path).voxel_size_nm == (4.6, 4.3, 40.7)
    header[123] = 2
    (tmp_path / "a.nii").write_bytes(header)
    assert open_volume(tmp_path / "a.nii").voxel_size_nm is None
    header[123] = 3 + 8
    (tmp_path / "b.nii").write_bytes(header)
    assert open_volume(tmp_path / "b.nii").voxel_size_nm == (4.6, 4.3, 40.7)


def test_formats_by_name():
    assert chosen_formats(["tif", "zarr", "tif", "h5"]) == ("tif", "h5")
    with pytest.raises(OutputError, match=r"png, jpg: no such format\. Known: zarr, tif, h5, nii\.gz, precomputed\."):
        chosen_formats(["tif", "png", "jpg"])
    assert set(formats._WRITERS) == set(KINDS)


def test_progress_ends_with_all_voxels(tmp_path):
    volume, told = ArrayVolume(labels_of((5, 6, 7), 7, "uint8"), voxel_size_nm=(1, 1, 1)), []
    export(volume, tmp_path / "a.tif", "tif", scratch=tmp_path / "s", progress=lambda *words: told.append(words))
    assert {what for what, done, of in told if done == of == math.prod(volume.shape)} == {
        "looking for the highest label",
        "writing tif",
    }
