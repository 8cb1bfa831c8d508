import pytest
from samples import small_plan


@pytest.fixture
def make_plan():
    """Small plans; overlap, block, symmetries and window of the prediction by name."""

    def make(overlap=0.5, block=(8, 8, 8), symmetries=1, window=1, **fields):
        inference = {"overlap": overlap, "blending": "gaussian", "symmetries": symmetries, "block": block, "window": window}
        return small_plan(inference=inference, **fields)

    return make
