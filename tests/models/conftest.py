import pytest
from samples import small_plan


@pytest.fixture
def make_plan():
    return small_plan
