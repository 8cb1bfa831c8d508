"""The networks of v1 for a patch: which stages are isotropic, and v1's defaults for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from pytc_auto.geometry import Zyx, ZyxFloat
from pytc_auto.planning.by_hand import ByHand
from pytc_auto.schema.document import check_field
from pytc_auto.schema.network_v1 import BLOCKS_OF, BOTNET_BLOCKS, FPN_STAGES, GROUPS, V1Network, stages_v1
from pytc_auto.schema.plan import Plan

MOST_STAGES = 5
"""v1's shipped configurations have so many."""
LEAST_COARSE = 4
"""Voxels of the coarsest map in the plane; v1's patches leave more."""
LEAST_HALVED = 4
"""Sections that are still halved."""
COARSER = 2.0
"""An axis is halved along with the others once its voxels are less than so many times as long."""
BLOCKS = 2
KERNEL_SIZES = (3, 3, 5, 3, 3)
"""v1's defaults of a feature pyramid."""
DESIGN = MappingProxyType(
    {"block": "residual_se", "norm": "gn", "activation": "elu", "padding": "replicate", "pooling": "stride"}
)
"""As in most of v1's shipped configurations; groups do not depend on the batch, which is small here."""


def plan_v1(kind: Any, voxel_size_nm: ZyxFloat, patch: Zyx, *, width: int, stages: int | None, by_hand: ByHand) -> V1Network:
    """A network of v1 with its usual design; features grow by the first stage's.

    Args:
        kind: Of v1's.
        voxel_size_nm: Of the working grid.
        patch: In voxels.
        width: Features of the first stage, rounded to what the norm's groups divide.
        stages: How many, where that is given.
        by_hand: Strides, of which isotropy follows, and backbone, of which block, attention and kernels follow.

    Raises:
        PlanError: What is given is not known.
    """
    backbone = by_hand.get("network", "backbone") or "resnet" if kind == "v1_fpn_3d" else None
    strides = by_hand.get("network", "strides")
    isotropy = _isotropy(
        voxel_size_nm, patch, stages or (FPN_STAGES if backbone else MOST_STAGES), fixed=bool(stages or backbone)
    )
    if strides is not None:
        checked = check_field(V1Network, "strides", strides, "override: network")
        isotropy = [isotropy[0], *(z == 2 for z, _, _ in checked[1:])]
    made = stages_v1(kind, isotropy, sizes=KERNEL_SIZES if backbone == "efficientnet" else None, whole=all(isotropy))
    groups = GROUPS[2 if kind.endswith("_2d") else 3]
    first = max(groups, width // groups * groups)
    raw = {
        "kind": kind,
        "features": [first * (stage + 1) for stage in range(len(isotropy))],
        "strides": made.strides,
        "kernels": made.kernels,
        "outer": made.outer,
        "blocks": _blocks(backbone, len(isotropy)),
        **DESIGN,
        "backbone": backbone,
        "attention": "squeeze_excitation" if backbone == "efficientnet" else None,
    }
    if backbone in {"repvgg", "efficientnet"}:
        raw["block"] = BLOCKS_OF[backbone][0]
    network: V1Network = check_field(Plan, "network", raw, "override")
    return network


def _isotropy(voxel_size_nm: ZyxFloat, patch: Zyx, stages: int, *, fixed: bool) -> list[bool]:
    """Whether each stage takes z as y and x: from where their voxels are alike, as long as there are sections to halve.

    Args:
        voxel_size_nm: Of the working grid.
        patch: In voxels.
        stages: How many there are, or at most.
        fixed: Whether it is the number that there are.
    """
    (z_size, *plane), (z, *extents) = voxel_size_nm, patch
    size, extent = min(plane), min(extents)
    found = [z_size < COARSER * size and z > 1]
    while len(found) < stages and (fixed or extent // 2 >= LEAST_COARSE or len(found) < 2):
        whole = z_size < COARSER * size and z >= LEAST_HALVED
        z, z_size = (z // 2, 2 * z_size) if whole else (z, z_size)
        extent, size = extent // 2, 2 * size
        found.append(whole)
    return found


def _blocks(backbone: str | None, stages: int) -> Sequence[int]:
    """Per stage: one in a U-Net."""
    if backbone is None:
        return [1] * stages
    return [1, *[BLOCKS] * (stages - 2), BOTNET_BLOCKS if backbone == "botnet" else BLOCKS]
