from __future__ import annotations

import pytest

from pytc_auto.phantom import make_phantom


@pytest.fixture(scope="session")
def serial():
    """Thick sections: anisotropic, each with its own contrast and a small shift."""
    return make_phantom((24, 200, 232), (40.0, 8.0, 7.0), seed=3)


@pytest.fixture(scope="session")
def block():
    """Isotropic tissue."""
    return make_phantom((48, 144, 160), (10.0, 10.0, 10.0), seed=5)
