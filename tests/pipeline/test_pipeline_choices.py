from __future__ import annotations

import pytest
from samples import AFFINITIES, UNET, small_plan

from pytc_auto.errors import PlanError
from pytc_auto.pipeline.choices import chosen_symmetries

DEEP = {**UNET, "strides": [[1, 1, 1], [1, 2, 2]], "kernels": [[3, 3, 3], [3, 3, 3]]}
SKEW = {**AFFINITIES, "offsets": [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, -3, 2]]}


@pytest.mark.parametrize(
    ("fields", "allowed", "reason"),
    [
        ({}, 48, "a cube has 48"),
        ({"voxel_size_nm": [40.0, 8.0, 8.0]}, 16, "a cube has 48, a voxel size of 40 × 8 × 8 nm leaves 16"),
        ({"voxel_size_nm": [8.0, 16.0, 8.0], "working_scale": [2, 1, 2]}, 48, "a cube has 48"),
        ({"patch": [16, 8, 16]}, 16, r"a cube has 48, the patch \[16, 8, 16\] leaves 16"),
        ({"network": DEEP}, 16, "a cube has 48, the network's strides and kernels leave 16"),
        ({"heads": [SKEW]}, 4, "a cube has 48, the affinities' offsets leave 4"),
        (
            {"voxel_size_nm": [40.0, 8.0, 8.0], "patch": [16, 16, 8], "heads": [SKEW]},
            4,
            r"a voxel size of 40 × 8 × 8 nm leaves 16, the patch \[16, 16, 8\] leaves 8, the affinities' offsets leave 4",
        ),
    ],
)
def test_as_many_symmetries_as_the_geometry_allows(fields, allowed, reason):
    plan = small_plan(**fields)
    assert chosen_symmetries(plan, None) == 1
    assert chosen_symmetries(plan, "all") == chosen_symmetries(plan, allowed) == allowed
    with pytest.raises(PlanError, match=rf"small: 49 symmetries are asked for, but .*{reason}\. Use 1 to {allowed}, or all\."):
        chosen_symmetries(plan, 49)
    with pytest.raises(PlanError, match="0 symmetries are asked for"):
        chosen_symmetries(plan, 0)
