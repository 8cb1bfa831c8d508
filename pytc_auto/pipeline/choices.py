"""What a person chooses of a prediction, read from text: the part, the members, the symmetries.

The command line imports this module to parse its arguments, so nothing heavy is imported with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pytc_auto.errors import DataError, ModelError, PlanError

if TYPE_CHECKING:
    from pytc_auto.geometry import Box
    from pytc_auto.schema.plan import Plan

Symmetries = int | Literal["all"]


def read_box(text: str) -> Box:
    """Half-open ranges of z, y and x in voxels.

    >>> str(read_box("0:64,100:200,30:90"))
    '[0:64, 100:200, 30:90]'

    Raises:
        DataError: It is not a box, or an empty one.
    """
    from pytc_auto.geometry import Box

    found = re.fullmatch(r"(\d+):(\d+),(\d+):(\d+),(\d+):(\d+)", text.replace(" ", ""))
    z, z_stop, y, y_stop, x, x_stop = map(int, found.groups()) if found else (0,) * 6
    if z >= z_stop or y >= y_stop or x >= x_stop:
        raise DataError(f"--box {text}: is not a box. Write Z:Z,Y:Y,X:X in voxels, start and stop, such as 0:64,100:200,30:90.")
    return Box((z, y, x), (z_stop, y_stop, x_stop))


def read_members(text: str) -> tuple[int, ...]:
    """Numbers of folds.

    >>> read_members("0,2")
    (0, 2)

    Raises:
        ModelError: Something else is written there.
    """
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise ModelError(f"--members {text}: are no members. Write the numbers of their folds, such as 0,2.")
    return tuple(int(number) for number in text.split(","))


def read_symmetries(text: str) -> Symmetries:
    """How many symmetries, or all.

    >>> read_symmetries("8"), read_symmetries("all")
    (8, 'all')

    Raises:
        PlanError: It is neither.
    """
    if text == "all":
        return "all"
    if not text.isdecimal() or not int(text):
        raise PlanError(f"--symmetries {text}: is not a number of symmetries. Write 1 for the image as it is, 2, 4, …, or all.")
    return int(text)


def chosen_symmetries(plan: Plan, asked: Symmetries | None) -> int:
    """How many predictions are averaged per patch.

    Args:
        plan: Its geometry decides which symmetries there are.
        asked: None for the plan's own number.

    Raises:
        PlanError: There are not as many; what takes them away is told.
    """
    allowed = len(plan.symmetry_group)
    if asked is None or asked == "all":
        return plan.inference.symmetries if asked is None else allowed
    if not 1 <= asked <= allowed:
        raise PlanError(f"{plan.name}: {asked} symmetries are asked for, but {_left(plan)}. Use 1 to {allowed}, or all.")
    return asked


def _left(plan: Plan) -> str:
    """How many of the cube's symmetries each part of the geometry leaves."""
    from pytc_auto.geometry import ALL_SYMMETRIES, symmetry_group

    size, layers = plan.working_voxel_size_nm, [*plan.network.strides, *plan.network.kernels]
    left = {
        f"a voxel size of {' × '.join(f'{s:g}' for s in size)} nm leaves": symmetry_group(size, (1, 1, 1)),
        f"the patch {list(plan.patch)} leaves": symmetry_group(size, plan.patch),
        "the network's strides and kernels leave": symmetry_group(size, plan.patch, per_axis=layers),
        "the affinities' offsets leave": plan.symmetry_group,
    }
    told, before = [f"a cube has {len(ALL_SYMMETRIES)}"], len(ALL_SYMMETRIES)
    for what, group in left.items():
        if len(group) < before:
            told.append(f"{what} {len(group)}")
        before = len(group)
    return ", ".join(told)
