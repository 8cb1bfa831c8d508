from __future__ import annotations

import math

import numpy as np
import pytest

from pytc_auto.io.voxel_size import from_attributes, in_nm, usable


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("nm", 2),
        ("µm", 2e3),
        ("μm", 2e3),
        ("\\u00B5m", 2e3),
        ("Micron", 2e3),
        ("mm", 2e6),
        ("Å", 0.2),
        ("\u212b", 0.2),
        ("inch", 50.8e6),
    ],
)
def test_units(unit, expected):
    assert in_nm(2, unit) == pytest.approx(expected)


@pytest.mark.parametrize("unit", [None, "", "pixel", "furlong"])
def test_unknown_units(unit):
    assert math.isnan(in_nm(2, unit))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"resolution": np.array([40, 5, 4])}, (40.0, 5.0, 4.0)),
        ({"voxel_size": [40, 5, 4]}, (40.0, 5.0, 4.0)),
        ({"voxel_size_nm": [40, 5, 4], "units": ["um"] * 3}, (40.0, 5.0, 4.0)),
        ({"voxel_size": [0.04, 5, 4], "units": [b"um", "nm", "nm"]}, (40.0, 5.0, 4.0)),
        ({"voxel_size": [40, 5, 4], "units": "nm"}, (40.0, 5.0, 4.0)),
        ({"element_size_um": [0.04, 0.005, 0.004]}, (40.0, 5.0, 4.0)),
        ({"resolution": [5, 4]}, None),
        ({"resolution": [0, 5, 4]}, None),
        ({"resolution": "fine"}, None),
        ({"resolution": 4}, None),
        ({}, None),
    ],
)
def test_attributes(attributes, expected):
    assert from_attributes(attributes) == expected


def test_usable():
    assert usable([1, 2, 3]) == (1.0, 2.0, 3.0)
    assert usable([1, 2]) is None
    assert usable([1, math.inf, 3]) is None
    assert usable([4.6000000004, 2, 3]) == (4.6, 2.0, 3.0)
