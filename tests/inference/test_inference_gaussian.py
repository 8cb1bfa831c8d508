import numpy as np
import pytest

from pytc_auto.inference.gaussian import FLOOR, gaussian_weights


@pytest.mark.parametrize("patch", [(8, 16, 24), (1, 9, 32), (7, 5, 3)])
def test_is_a_gaussian_of_an_eighth_of_the_patch(patch):
    weights = gaussian_weights(patch)
    assert weights.shape == patch
    assert weights.dtype == np.float32
    slow = np.zeros(patch)
    for index in np.ndindex(patch):
        distance = sum(((i - (n - 1) / 2) / (n / 8)) ** 2 for i, n in zip(index, patch, strict=True))
        slow[index] = np.exp(-distance / 2)
    np.testing.assert_allclose(weights, np.maximum(slow / slow.max(), FLOOR), rtol=1e-5)
    np.testing.assert_array_equal(weights, weights[::-1, ::-1, ::-1])


def test_never_vanishes():
    weights = gaussian_weights((64, 64, 64))
    assert weights.min() == np.float32(FLOOR)
    assert weights.max() == 1
