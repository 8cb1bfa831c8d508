"""The segment at each node of skeletons, read block by block."""

from __future__ import annotations

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.evaluation.contingency import Labels
from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.io.skeletons import Integers
from pytc_auto.io.volume import Volume
from pytc_auto.progress import Progress, silent, walked

BLOCK: Zyx = (32, 512, 512)


def node_segments(segmentation: Volume, nodes_zyx: Integers, progress: Progress = silent) -> Labels:
    """Segment ids at voxels.

    Memory is bounded by a block and the number of nodes. Of a block only the box around its nodes is read, and nothing where
    there is none.

    Args:
        segmentation: Ids, 0 is background.
        nodes_zyx: (N, 3) voxels inside the volume, in any order.
        progress: Told after every block.

    Returns:
        (N,) in the stored dtype.

    Raises:
        DataError: The volume holds no whole numbers, or is damaged.
    """
    if segmentation.dtype.kind not in "bui":
        raise DataError(f"{segmentation.source}: holds {segmentation.dtype}, not segment ids. Give the segmentation.")
    segments = np.zeros(len(nodes_zyx), segmentation.dtype)
    order = np.lexsort((nodes_zyx // BLOCK).T[::-1])
    block = (nodes_zyx // BLOCK)[order]
    starts = np.flatnonzero(np.any(np.diff(block, axis=0, prepend=-1), axis=1))
    groups = [nodes for nodes in np.split(order, starts[1:]) if len(nodes)]
    boxes = [_around(nodes_zyx[nodes]) for nodes in groups]
    for box, nodes in zip(walked("reading nodes", progress, boxes), groups, strict=True):
        segments[nodes] = segmentation.read(box)[tuple((nodes_zyx[nodes] - box.start).T)]
    return segments


def _around(nodes_zyx: Integers) -> Box:
    return Box(zyx(nodes_zyx.min(axis=0)), zyx(nodes_zyx.max(axis=0) + 1))
