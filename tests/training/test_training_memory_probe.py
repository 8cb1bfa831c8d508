import pytest

from pytc_auto.schema.network import Network
from pytc_auto.training.memory_probe import step_bytes

TINY = Network(kind="unet", features=[4, 8], strides=[(1, 1, 1), (2, 2, 2)], kernels=[(3, 3, 3)] * 2, blocks=[1, 1])


@pytest.mark.slow
def test_a_larger_step_takes_more_and_one_that_has_no_room_is_survived():
    small, large = (step_bytes(TINY, 3, (16, n, n), batch=1, precision="fp32", device="cpu") for n in (16, 256))
    voxels = 16 * (256**2 - 16**2)
    assert large - small > 4 * 4 * voxels
    assert step_bytes(TINY, 3, (1024, 1024, 1024), batch=100_000, precision="fp32", device="cpu") is None
