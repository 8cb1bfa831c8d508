from __future__ import annotations

import gzip
import pickle
import struct

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.simpleitk import SimpleItkVolume, open_simpleitk

HEADER = np.dtype("<i4, V36, (8,)<i2, (3,)<f4, (4,)<i2, (11,)<f4, <i2, V2, (4,)<f4, (2,)<i4, V104, (2,)<i2, (18,)<f4, V20")
"""The fields of a NIfTI header that have a byte order."""


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_color(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(path))
    with pytest.raises(DataError, match=r"has 3 channels .*Convert it to gray"):
        open_simpleitk(path)


def test_four_axes(tmp_path):
    path = tmp_path / "a.nii"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.uint8), isVector=False), str(path))
    with pytest.raises(DataError, match=r"has 4 axes"):
        open_simpleitk(path)


def test_damaged(tmp_path):
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\nnothing")
    with pytest.raises(DataError, match=r"a.nrrd: is truncated or damaged"):
        open_simpleitk(tmp_path / "a.nrrd")


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_an_image_is_one_section(tmp_path, suffix):
    section = np.arange(20, dtype=np.uint8).reshape(4, 5)
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(section), str(path))
    volume = open_simpleitk(path)
    np.testing.assert_array_equal(volume.read(volume.box), section[None])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("slope", "intercept"), [(0.0, 0.0), (1.0, 0.0), (0.5, -3.0)])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_compressed_nifti_is_as_simpleitk_reads_it(tmp_path, order, slope, intercept, dtype):
    array = (np.random.default_rng(13).normal(size=(5, 13, 17)) * 100).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "a.nii"))
    data = bytearray((tmp_path / "a.nii").read_bytes())
    data[112:120] = struct.pack("<ff", slope, intercept)
    if order == ">":
        header = np.frombuffer(bytes(data[:348]), HEADER)
        voxels = array.astype(array.dtype.newbyteorder(">")).tobytes()
        data = bytearray(header.byteswap().tobytes() + bytes(data[348:352]) + voxels)
    (tmp_path / "a.nii").write_bytes(data)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(data)))
    plain, packed = open_simpleitk(tmp_path / "a.nii"), open_simpleitk(tmp_path / "a.nii.gz")
    assert (packed.shape, packed.dtype, packed.random_access) == (plain.shape, plain.dtype, False)
    np.testing.assert_allclose(packed.read(packed.box), plain.read(plain.box), rtol=1e-6)
    for z in (3, 0, 4):
        box = Box((z, 2, 3), (z + 1, 9, 8))
        np.testing.assert_allclose(packed.read(box), plain.read(box), rtol=1e-6)


def _stored(tmp_path, suffix, array, *, compressed=True):
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"a{suffix}"), useCompression=compressed)
    return tmp_path / f"a{suffix}"


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("shape", "dtype"), [((5, 13, 17), "uint8"), ((4, 6, 9), "int16"), ((3, 8, 7), "float32")])
def test_text_headers_are_read_as_simpleitk_reads_them(tmp_path, suffix, compressed, shape, dtype):
    array = (np.random.default_rng(13).normal(size=shape) * 100).astype(dtype)
    volume = open_simpleitk(_stored(tmp_path, suffix, array, compressed=compressed))
    assert volume.random_access is not compressed
    assert not isinstance(volume, SimpleItkVolume) or not (compressed or suffix in (".nrrd", ".nhdr"))
    for z in (2, 0, 1):
        np.testing.assert_array_equal(volume.read(Box((z, 1, 2), (z + 1, 6, 7))), array[z : z + 1, 1:6, 2:7])
    again = pickle.loads(pickle.dumps(volume))
    np.testing.assert_array_equal(again.read(again.box), array)


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_nrrd_of_either_byte_order(tmp_path, encoding, order):
    array = np.arange(3 * 4 * 5, dtype=np.int32).reshape(3, 4, 5) * 1000 - 7
    stored = array.astype(array.dtype.newbyteorder(order[0].replace("l", "<").replace("b", ">"))).tobytes()
    half = len(stored) // 2
    packed = stored if encoding == "raw" else gzip.compress(stored[:half]) + gzip.compress(stored[half:])
    head = f"NRRD0004\n# made by hand\ntype: int\ndimension: 3\nsizes: 5 4 3\nendian: {order}\nencoding: {encoding}\nby:=hand\n\n"
    (tmp_path / "a.nrrd").write_bytes(head.encode() + packed)
    volume = open_simpleitk(tmp_path / "a.nrrd")
    assert not isinstance(volume, SimpleItkVolume)
    np.testing.assert_array_equal(volume.read(volume.box), array)


def test_what_is_stored_otherwise_is_left_to_simpleitk(tmp_path):
    head = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: ascii\n\n"
    (tmp_path / "a.nrrd").write_text(head + "1 2 3 4 5 6 7 8\n")
    volume = open_simpleitk(tmp_path / "a.nrrd")
    assert isinstance(volume, SimpleItkVolume)
    np.testing.assert_array_equal(volume.read(volume.box).ravel(), np.arange(1, 9))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_cut_stream_is_an_error(tmp_path, suffix):
    path = _stored(tmp_path, suffix, np.random.default_rng(0).integers(0, 255, (8, 20, 20), np.uint8))
    path.write_bytes(path.read_bytes()[:-900])
    volume = open_simpleitk(path)
    volume.read(Box((0, 0, 0), (1, 20, 20)))
    with pytest.raises(DataError, match=rf"a{suffix}: is truncated or damaged"):
        volume.read(volume.box)
