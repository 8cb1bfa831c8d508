"""Which way the center of the instance lies."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat

Float32 = npt.NDArray[np.float32]


def flow_to_centers(labels_zyx: npt.NDArray[Any], voxel_size_nm: ZyxFloat) -> Float32:
    """Give the direction from each voxel to the center of its instance.

    The center is the voxel of the instance that is nearest to its centroid in nm; of several, the first in the array's order.
    Of an instance that the array cuts, the part inside counts.

    Args:
        labels_zyx: Instances as 1 … n, (Z, Y, X), 0 is background.
        voxel_size_nm: z, y, x.

    Returns:
        (3, Z, Y, X), z, y and x of a vector that is 1 long in nm; 0 at centers and in the background.
    """
    positions = [
        (np.arange(n, dtype=np.float32) * np.float32(s)).reshape([-1 if i == axis else 1 for i in range(3)])
        for axis, (n, s) in enumerate(zip(labels_zyx.shape, voxel_size_nm, strict=True))
    ]
    centers = _centers(labels_zyx, voxel_size_nm)
    flow = np.stack([center[labels_zyx] - position for center, position in zip(centers, positions, strict=True)])
    length = np.sqrt(np.square(flow).sum(0))
    return flow * np.divide(labels_zyx != 0, length, out=np.zeros_like(length), where=length > 0)


def flow_in_sections(labels_zyx: npt.NDArray[Any], voxel_size_nm: ZyxFloat) -> Float32:
    """Give the direction in the section from each voxel to the center of its instance there, by ``flow_to_centers``.

    Returns:
        (2, Z, Y, X), y and x.
    """
    sections = [cc3d.connected_components(np.ascontiguousarray(section), connectivity=4) for section in labels_zyx]
    return np.concatenate([flow_to_centers(section[None], voxel_size_nm)[1:] for section in sections], axis=1)


def _centers(labels_zyx: npt.NDArray[Any], voxel_size_nm: ZyxFloat) -> Float32:
    """In nm, (3, n + 1): z, y, x of each id."""
    facts = cc3d.statistics(labels_zyx.astype(np.uint32, copy=False))
    centers = np.zeros((3, len(facts["centroids"])), np.float32)
    for number, (box, centroid) in enumerate(zip(facts["bounding_boxes"], facts["centroids"], strict=True)):
        if number == 0 or not facts["voxel_counts"][number]:
            continue
        away = sum(
            np.square((np.arange(b.start, b.stop) - c) * s).reshape([-1 if i == axis else 1 for i in range(3)])
            for axis, (b, c, s) in enumerate(zip(box, centroid, voxel_size_nm, strict=True))
        )
        nearest = np.where(labels_zyx[box] == number, away, np.inf)
        place = np.unravel_index(np.argmin(nearest), nearest.shape)
        centers[:, number] = [(b.start + i) * s for b, i, s in zip(box, place, voxel_size_nm, strict=True)]
    return centers
