"""The decoder ``polarity``: one pair of ids for each synapse, its presynaptic and its postsynaptic side told apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.kind import Array, Block, Faces, Grid, Kind, Parameters, Regions, VolumeGraph, of_head
from pytc_auto.decoding.regions import grouped
from pytc_auto.geometry import Zyx, ZyxFloat, zyx
from pytc_auto.schema.plan import Plan


def near_synapses(inside_zyx: npt.NDArray[np.bool_], voxel_size_nm: ZyxFloat, gap_nm: float) -> npt.NDArray[np.bool_]:
    """What belongs together: synapses, and what lies within half of a gap of them.

    Args:
        inside_zyx: Where there are synapses.
        voxel_size_nm: z, y, x.
        gap_nm: Sides with about this much between them still belong to one synapse; 0: they must touch.

    Source:
        Lin et al. 2020, ECCV (two-stream active query suggestion), as in PyTorch Connectomics v1.
    """
    import edt

    if gap_nm <= 0 or not inside_zyx.any():
        return inside_zyx
    near: npt.NDArray[np.bool_] = edt.edt(~inside_zyx, anisotropy=voxel_size_nm, black_border=False) <= gap_nm / 2
    return near


def _regions(block: Block, plan: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Regions]]:
    """Component c of what belongs together is 2c - 1 where it is rather presynaptic, 2c where rather postsynaptic."""
    import cc3d

    sides = of_head(block.stored_czyx, plan, "polarity", "polarity")
    core, predicted = block.core.slices, block.predicted_zyx
    post = sides[0][core] < sides[1][core]
    for threshold, gap in itertools.product(grid["threshold"], grid["gap_nm"]):
        inside = sides[2] > np.float32(threshold)
        near = near_synapses(inside, plan.working_voxel_size_nm, gap)[core]
        components = cc3d.connected_components(near, connectivity=6, out_dtype=np.uint32)
        ids = 2 * components - ((components > 0) & ~post)
        regions = Regions(ids, inside[core] & predicted, np.zeros(2 * int(components.max(initial=0)) + 1, np.int64))
        yield {"threshold": threshold, "gap_nm": gap}, regions


def _halo(plan: Plan, parameters: Parameters) -> Zyx:
    """Half of the gap: what lies farther off is not near."""
    return zyx([math.ceil(parameters["gap_nm"] / 2 / size) for size in plan.working_voxel_size_nm])


def _segments(graph: VolumeGraph, _: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Array]]:
    """Synapse k: 2k - 1 is presynaptic, 2k postsynaptic; one of fewer than ``min_size`` voxels is removed."""
    of_region = (np.arange(len(graph.values)) + 1) // 2
    count = int(of_region[-1]) + 1
    synapse = grouped(of_region[graph.whole.pairs[graph.crossing]], count)[of_region]
    voxels = np.bincount(synapse, graph.kept.sizes, count)
    for min_size in grid["min_size"]:
        large = voxels >= max(1, min_size)
        large[0] = False
        number = np.where(large, 2 * np.cumsum(large), 0)[synapse]
        odd = np.arange(len(graph.values)) % 2 == 1
        yield {"min_size": min_size}, (number - (odd & (number > 0))).astype(np.uint32)


def _faces(*_: object) -> Faces:
    return Faces()


POLARITY = Kind(
    defaults={"threshold": 0.5, "gap_nm": 0, "min_size": 0},
    late=frozenset({"min_size"}),
    block=(192, 192, 192),
    halo=_halo,
    regions=_regions,
    faces=_faces,
    segments=_segments,
    within=False,
)
