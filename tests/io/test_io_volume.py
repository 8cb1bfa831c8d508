from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume, FileVolume, damaged, in_memory, number_dtype, read_reflected

VOXELS = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)


def test_a_read_is_a_copy():
    volume = ArrayVolume(VOXELS.copy(), voxel_size_nm=(3.0, 2.0, 1.0))
    volume.read(volume.box)[:] = 0
    np.testing.assert_array_equal(volume.read(volume.box), VOXELS)


class ProcessVolume(FileVolume):
    """Its voxels are the id of the process that opened it."""

    def __init__(self):
        self.source, self.shape, self.dtype, self.voxel_size_nm = "process", (1, 1, 1), np.dtype("int64"), None

    def _open(self):
        return os.getpid()

    def _load(self, opened, box):
        return np.full(box.shape, opened)


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_process_opens_the_file_for_itself():
    volume = ProcessVolume()
    assert volume.read(volume.box).item() == os.getpid()
    child = os.fork()
    if child == 0:
        os._exit(0 if volume.read(volume.box).item() == os.getpid() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_in_memory_respects_the_limit():
    volume = ArrayVolume(VOXELS, voxel_size_nm=(3.0, 2.0, 1.0), source="there")
    assert in_memory(volume, VOXELS.nbytes - 1) is volume
    volume.offset_nm = (9.0, 4.0, 5.0)
    loaded = in_memory(volume, VOXELS.nbytes)
    assert loaded is not volume
    assert (loaded.source, loaded.voxel_size_nm, loaded.offset_nm) == ("there", (3.0, 2.0, 1.0), (9.0, 4.0, 5.0))


@given(st.tuples(*[st.integers(-9, 2)] * 3), st.tuples(*[st.integers(3, 14)] * 3))
def test_reflection_is_numpy_s(start, stop):
    before = [(-a, b - n) for a, b, n in zip(start, stop, VOXELS.shape, strict=True)]
    padded = np.pad(VOXELS, [(max(0, a), max(0, b)) for a, b in before], mode="reflect")
    inside = [slice(max(0, -a), n - max(0, -b) if b < 0 else n) for (a, b), n in zip(before, padded.shape, strict=True)]
    np.testing.assert_array_equal(read_reflected(ArrayVolume(VOXELS), Box(start, stop)), padded[tuple(inside)])


def test_reflection_of_a_single_section():
    found = read_reflected(ArrayVolume(VOXELS[:1]), Box((-2, 0, 0), (3, 4, 5)))
    np.testing.assert_array_equal(found, np.repeat(VOXELS[:1], 5, 0))


def test_reflection_needs_a_box_that_meets_the_volume():
    with pytest.raises(ValueError, match=r"does not meet"):
        read_reflected(ArrayVolume(VOXELS), Box((5, 0, 0), (6, 1, 1)))


def test_errors_of_decoders_are_wrapped_once():
    with (
        pytest.raises(DataError, match=r"a.tif: is truncated or damaged .bad huffman") as caught,
        damaged("outer"),
        damaged("a.tif"),
    ):
        raise RuntimeError("bad huffman")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_values_that_are_not_numbers():
    assert number_dtype(">u2", "a") == np.dtype("uint16")
    with pytest.raises(DataError, match=r"a: holds values of type"):
        number_dtype("complex64", "a")
