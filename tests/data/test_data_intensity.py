import numpy as np
import pytest

from pytc_auto.data.intensity import as_bytes
from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, blocks
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.schema.plan import Intensity

VOLUME = Intensity(clip=(0, 255), scale=(127.5, 127.5), range="volume")
STORED = Intensity(clip=(0, 255), scale=(127.5, 127.5))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float32, np.float64, bool])
def test_values_are_spread_over_a_byte(dtype):
    drawn = np.random.default_rng(0).random((5, 6, 7)) * 60000
    raw = drawn > 30000 if dtype is bool else (drawn - (0 if dtype is np.uint16 else 30000)).astype(dtype)
    exact = raw if raw.dtype.kind == "f" else raw.astype(np.float64)
    wanted = ((exact - exact.min()) / float(exact.max() - exact.min() + 1e-6) * 255).astype(np.uint8)
    seen = as_bytes(ArrayVolume(raw, voxel_size_nm=(3.0, 2.0, 1.0)), VOLUME)
    assert (seen.dtype, seen.shape, seen.voxel_size_nm) == (np.uint8, (5, 6, 7), (3.0, 2.0, 1.0))
    assert np.array_equal(seen.read(seen.box), wanted)
    for box in blocks(seen.box, (2, 3, 4)):
        assert np.array_equal(seen.read(box), wanted[box.slices])
    assert wanted.min() == 0
    assert wanted.max() >= 254


def test_bytes_and_other_plans_are_left_alone():
    volume = ArrayVolume(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    assert as_bytes(volume, VOLUME) is volume
    other = ArrayVolume(np.zeros((2, 3, 4), np.float32))
    assert as_bytes(other, STORED) is other
    assert not as_bytes(other, VOLUME).read(Box((0, 0, 0), (1, 1, 1))).any()


def test_values_that_are_no_numbers_are_refused():
    raw = np.zeros((2, 3, 4), np.float32)
    raw[1, 1, 1] = np.inf
    with pytest.raises(DataError, match="NaN or infinite gray values"):
        as_bytes(ArrayVolume(raw), VOLUME).read(Box((0, 0, 0), (1, 1, 1)))


def test_only_another_range_is_written():
    assert "range" not in STORED.model_dump()
    assert VOLUME.model_dump()["range"] == "volume"
