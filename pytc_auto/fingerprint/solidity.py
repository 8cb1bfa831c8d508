"""How convex the large objects are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.components import Components

MOST_COMPONENTS = 50
LEAST_VOXELS = 64
MOST_ROWS = 10_000


def solidities(components: Components) -> npt.NDArray[np.float64]:
    """Volume over convex hull volume of the largest components that are not cut, (M,) with M ≤ 50."""
    whole = np.flatnonzero(~components.cut & (components.voxels >= LEAST_VOXELS))
    largest = whole[np.argsort(-components.voxels[whole], kind="stable")][:MOST_COMPONENTS]
    return np.array([_solidity(components, int(i)) for i in largest], np.float64)


def _solidity(components: Components, row: int) -> float:
    """Solidity of one component. Axes may be scaled at will, so voxel size does not matter."""
    from scipy.spatial import ConvexHull

    box = tuple(slice(a, b) for a, b in zip(components.start[row], components.stop[row], strict=True))
    hull = ConvexHull(_outer_points(components.ids_zyx[box] == row + 1))
    return float(min(1.0, components.voxels[row] / hull.volume))


def _outer_points(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Centers of the six faces of the first and last voxel of each row along x: all that the hull depends on.

    Face centers and not corners, or the steps of a small smooth object would count as hollows.
    Of a large object only every n-th row is taken, which makes the hull a little small.
    """
    rows = np.argwhere(mask.any(axis=2))
    rows = rows[:: -(-len(rows) // MOST_ROWS)]
    lines = mask[rows[:, 0], rows[:, 1]]
    first = lines.argmax(axis=1)
    last = mask.shape[2] - 1 - lines[:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.column_stack([rows, x]) for x in (first, last)])
    steps = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    return np.concatenate([ends + step for step in steps])
