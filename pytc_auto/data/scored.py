"""Which box of a held-out part is predicted and scored, where all of it takes too long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from pytc_auto.data.folds import Region
from pytc_auto.data.occupancy import block_shape, occupancy
from pytc_auto.data.volumes import LabelledVolume
from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.io.skeletons import Skeletons
from pytc_auto.schema.plan import Plan

MOST_READ = 2**29
"""Voxels of labels that are looked through; of a larger part its middle."""


def scored_region(volumes: Sequence[LabelledVolume], region: Region, plan: Plan) -> Region:
    """The box of a held-out part that tells most: with the most blocks that hold each class, or nodes of skeletons.

    Args:
        volumes: The region belongs to one of them.
        region: What is held out.
        plan: ``folds.scored`` is the extent of the box; null leaves the region as it is.

    Returns:
        The box, which is seen as a volume of its own, nearest to the middle of those that tell as much. A region that is no
        larger stays as it is, and one whose skeletons have no edge in such a box.

    Raises:
        DataError: The labels hold a value that no class has.
    """
    if plan.folds.scored is None or all(n >= m for n, m in zip(plan.folds.scored, region.box.shape, strict=True)):
        return region
    extent = zyx([min(n, m) for n, m in zip(plan.folds.scored, region.box.shape, strict=True)])
    searched = _middle(region.box, extent)
    block = block_shape(plan.working_voxel_size_nm)
    found = _told(volumes, Region(region.volume, searched, region.context), plan, block)
    start = [
        a + min(i * b, n - m)
        for a, i, b, n, m in zip(searched.start, _richest(found, extent, block), block, searched.shape, extent, strict=True)
    ]
    box, traced = Box.of_shape(extent, start), _traced(volumes[region.volume], plan)
    return region if traced is not None and not traced.length_in(box) else Region(region.volume, box, box)


def _traced(volume: LabelledVolume, plan: Plan) -> Skeletons | None:
    """The skeletons, where run lengths choose."""
    return volume.skeletons if plan.decoder.metric == "nerl" else None


def _middle(box: Box, extent: Zyx) -> Box:
    """What of a part is looked through: all, or as much around its middle as may be read, at least the extent."""
    shape = list(box.shape)
    while np.prod(shape, dtype=float) > MOST_READ and any(n > m for n, m in zip(shape, extent, strict=True)):
        axis = max(range(3), key=lambda i: shape[i] / extent[i])
        shape[axis] = max(extent[axis], shape[axis] // 2)
    return Box.of_shape(shape, [a + (n - m) // 2 for a, n, m in zip(box.start, box.shape, shape, strict=True)])


def _told(volumes: Sequence[LabelledVolume], region: Region, plan: Plan, block: Zyx) -> npt.NDArray[np.float64]:
    """(Z, Y, X) over the blocks of a region: what each tells of all there is; every class counts as much."""
    skeletons = _traced(volumes[region.volume], plan)
    if skeletons is not None:
        shape = [-(-n // b) for n, b in zip(region.box.shape, block, strict=True)]
        nodes_zyx = skeletons.nodes_zyx - np.array(region.box.start)
        inside = np.all((nodes_zyx >= 0) & (nodes_zyx < region.box.shape), axis=1)
        told = np.zeros(shape)
        np.add.at(told, tuple((nodes_zyx[inside] // block).T), 1)
        return told
    table = occupancy(volumes, [region], plan.labels, plan.working_voxel_size_nm).tables[0]
    return (table / table.sum((1, 2, 3), keepdims=True)).sum(0)


def _richest(told: npt.NDArray[np.float64], extent: Zyx, block: Zyx) -> tuple[int, ...]:
    """The block at which the box with the highest sum begins; of equal ones the one nearest to the middle."""
    sums = told
    for axis, (n, b) in enumerate(zip(extent, block, strict=True)):
        sums = sliding_window_view(sums, min(sums.shape[axis], -(-n // b)), axis).sum(-1)
    best = np.argwhere(sums >= sums.max() * (1 - 1e-9))
    away = np.abs(2 * best - (np.array(sums.shape) - 1)).max(1)
    return tuple(int(i) for i in best[away.argmin()])
