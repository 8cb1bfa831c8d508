import numpy as np
import pytest

from pytc_auto.augment.crop import Crop


@pytest.fixture
def make_crop():
    """A crop with smooth random gray values and ids that neither float32 nor float64 can hold."""

    def make(shape, seed=0):
        rng = np.random.default_rng(seed)
        image = rng.standard_normal(shape, dtype=np.float32)
        labels = rng.integers(2**60, 2**60 + 5, shape, dtype=np.uint64)
        return Crop(image, labels, rng.random(shape) < 0.1)

    return make
