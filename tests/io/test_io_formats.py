"""What every format must do alike."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytc_auto.geometry import Box
from pytc_auto.io.open import open_volume

SHAPE = (5, 13, 17)
BOX = Box((1, 2, 3), (4, 11, 8))


def test_shape_dtype_voxels_and_voxel_size(written, array):
    path, voxel_size_nm = written
    volume = open_volume(path)
    assert volume.shape == SHAPE
    assert volume.dtype == np.dtype("uint16")
    assert volume.voxel_size_nm == voxel_size_nm
    whole = volume.read(volume.box)
    assert whole.dtype == np.dtype("uint16")
    np.testing.assert_array_equal(whole, array)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_box_is_the_slice(written, array, data):
    volume = open_volume(written[0])
    start = tuple(data.draw(st.integers(0, n - 1)) for n in SHAPE)
    stop = tuple(data.draw(st.integers(a, n)) for a, n in zip(start, SHAPE, strict=True))
    box = Box(start, stop)
    np.testing.assert_array_equal(volume.read(box), array[box.slices])


def test_what_is_read_can_be_written_to_without_harm(written, array):
    volume = open_volume(written[0])
    volume.read(BOX)[:] = 7
    np.testing.assert_array_equal(volume.read(BOX), array[BOX.slices])


def test_a_box_outside_is_refused(written):
    with pytest.raises(ValueError, match=r"is not inside"):
        open_volume(written[0]).read(Box((0, 0, 0), (5, 13, 18)))


def test_pickled_after_a_read(written, array):
    volume = open_volume(written[0])
    volume.read(BOX)
    copy = pickle.loads(pickle.dumps(volume))
    assert (copy.shape, copy.dtype, copy.voxel_size_nm, copy.source) == (SHAPE, volume.dtype, written[1], volume.source)
    np.testing.assert_array_equal(copy.read(BOX), array[BOX.slices])


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_read_in_a_forked_process(written, array):
    volume = open_volume(written[0])
    volume.read(Box((0, 0, 0), (1, 1, 1)))
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if (volume.read(BOX) == array[BOX.slices]).all() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(volume.read(BOX), array[BOX.slices])


def test_the_source_opens_the_same_volume(written, array):
    again = open_volume(open_volume(written[0]).source)
    np.testing.assert_array_equal(again.read(again.box), array)


def test_given_voxel_size_wins(written):
    assert open_volume(written[0], voxel_size_nm=(3.0, 2.0, 1.0)).voxel_size_nm == (3.0, 2.0, 1.0)


def test_xyz_files_are_turned(writers, tmp_path, array):
    for number, (name, write) in enumerate(writers.items()):
        (tmp_path / str(number)).mkdir()
        plain = open_volume(write(tmp_path / str(number), array))
        turned = open_volume(plain.source, axes="xyz")
        if plain.axes_named:
            np.testing.assert_array_equal(turned.read(turned.box), array, err_msg=name)
            continue
        assert turned.shape == (17, 13, 5), name
        assert turned.voxel_size_nm == (plain.voxel_size_nm and (4.25, 6.5, 40.0)), name
        box = Box((3, 2, 1), (8, 11, 4))
        np.testing.assert_array_equal(turned.read(box), array.transpose()[box.slices])
