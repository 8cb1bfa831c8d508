"""How many symmetries a prediction is averaged over, if a person chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pytc_auto.errors import PlanError

if TYPE_CHECKING:
    from pytc_auto.schema.plan import Plan

Symmetries = int | Literal["all"]
V1_SYMMETRIES = (1, 4, 8, 16)


def chosen_symmetries(plan: Plan, asked: Symmetries | None) -> int:
    """How many predictions are averaged per patch.

    Args:
        plan: Its geometry decides which symmetries there are.
        asked: None for the plan's own number.

    Raises:
        PlanError: There are not as many; what takes them away is told.
    """
    if plan.inference.blending != "gaussian":
        return _chosen_of_v1(plan, asked)
    allowed = len(plan.symmetry_group)
    if asked is None or asked == "all":
        return plan.inference.symmetries if asked is None else allowed
    if not 1 <= asked <= allowed:
        raise PlanError(f"{plan.name}: {asked} symmetries are asked for, but {_left(plan)}. Use 1 to {allowed}, or all.")
    return asked


def _chosen_of_v1(plan: Plan, asked: Symmetries | None) -> int:
    """The same where a plan predicts as v1 did, which knew a few numbers only."""
    if asked is None or asked == "all":
        return plan.inference.symmetries if asked is None else V1_SYMMETRIES[-1]
    if asked not in V1_SYMMETRIES:
        known = ", ".join(map(str, V1_SYMMETRIES))
        raise PlanError(f"{plan.name}: {asked} symmetries are asked for, but it predicts as v1 did. Use {known}, or all.")
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
