import pytest
from samples import small_plan


@pytest.fixture
def make_plan():
    """Small plans; overlap, block and symmetries of the prediction by name."""

    def make(overlap=0.5, block=(8, 8, 8), symmetries=1, **fields):
        inference = {"overlap": overlap, "blending": "gaussian", "symmetries": symmetries, "block": block}
        return small_plan(inference=inference, **fields)

    return make
