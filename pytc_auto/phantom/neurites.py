"""Branching neurites of varying caliber, grown one after another into the space that is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.phantom.fields import FloatArray, Grid, LabelArray

SMALLEST_RADIUS_NM = 62.0
REACH_NM = 160.0
SHORTEST_NM = 350.0
BRANCH_EVERY_NM = 1800.0
DIRECTIONS = 16

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Caliber:
    """A kind of neurite, and how full the tissue is when the next kind takes over."""

    radius_nm: tuple[float, float]
    filled: float


CALIBERS = (Caliber((170.0, 290.0), 0.16), Caliber((105.0, 175.0), 0.45), Caliber((68.0, 105.0), 1.0))


@dataclass(frozen=True)
class Walk:
    """A stretch of one neurite: a row of overlapping balls."""

    neurite: int
    points_nm: Points
    radii_nm: npt.NDArray[np.float64]

    @property
    def length_nm(self) -> float:
        """Length of the center line."""
        return float(np.linalg.norm(np.diff(self.points_nm, axis=0), axis=1).sum())


@dataclass(frozen=True)
class Territory:
    """Who is nearest: the distance to the nearest neurite's surface (negative inside) and its id, 0 if none is in reach."""

    grid: Grid
    clearance_zyx: FloatArray
    owner_zyx: LabelArray

    def clearance_at(self, points_nm: Points) -> npt.NDArray[np.float64]:
        """Distance to the nearest surface at each point; -inf outside the grid."""
        index = self.grid.index(points_nm)
        inside = self.grid.inside(index)
        found = np.full(len(index), -np.inf)
        found[inside] = self.clearance_zyx[tuple(index[inside].T)]
        return found

    def claim_in_place(self, walk: Walk) -> None:
        """Give a walk the space that is nearer to it than to any other (an additively weighted Voronoi diagram)."""
        axes = self.grid.positions_nm()
        for point, radius in zip(walk.points_nm, walk.radii_nm, strict=True):
            ends = [np.searchsorted(a, (p - radius - REACH_NM, p + radius + REACH_NM)) for a, p in zip(axes, point, strict=True)]
            box = tuple(slice(int(a), int(b)) for a, b in ends)
            z, y, x = (np.square(a[s] - p).astype(np.float32) for a, s, p in zip(axes, box, point, strict=True))
            distance = np.sqrt(z[:, None, None] + y[:, None] + x) - np.float32(radius)
            nearer = distance < self.clearance_zyx[box]
            self.clearance_zyx[box][nearer] = distance[nearer]
            self.owner_zyx[box][nearer] = walk.neurite


def grow_neurites(grid: Grid, rng: np.random.Generator) -> tuple[Territory, list[Walk]]:
    """Fill a grid with neurites, thick ones first, until no thinnest one finds room."""
    room = np.full(grid.shape, REACH_NM * 4, np.float32)
    territory = Territory(grid, room, np.zeros(grid.shape, np.uint32))
    walks: list[Walk] = []
    for caliber in CALIBERS:
        while float(np.mean(territory.clearance_zyx <= 0)) < caliber.filled:
            starts = np.flatnonzero(territory.clearance_zyx > caliber.radius_nm[0])
            if not len(starts):
                break
            neurite = _neurite(territory, caliber, starts, len(walks) + 1, rng)
            for walk in neurite:
                territory.claim_in_place(walk)
            walks += neurite
    return territory, walks


def _neurite(
    territory: Territory, caliber: Caliber, starts: npt.NDArray[np.int64], neurite: int, rng: np.random.Generator
) -> list[Walk]:
    """One neurite: it grows both ways from a start and branches. A stub becomes a bulge of its neighbor."""
    grid = territory.grid
    chosen = rng.choice(starts, size=min(6, len(starts)), replace=False)
    start = chosen[np.argmax(territory.clearance_zyx.ravel()[chosen])]
    index = np.array(np.unravel_index(start, grid.shape))
    point = np.asarray(grid.origin_nm) + index * np.asarray(grid.voxel_size_nm)
    radius = rng.uniform(*caliber.radius_nm)
    direction = _unit(rng.standard_normal(3))
    walks = [_walk(territory, neurite, point, way * direction, radius, rng) for way in (1, -1)]
    trunk_nm = sum(w.length_nm for w in walks)
    stub_of = int(territory.owner_zyx[tuple(index)])
    if trunk_nm < SHORTEST_NM and stub_of:
        return [Walk(stub_of, w.points_nm, w.radii_nm) for w in walks]
    return [*walks, *(b for w in walks for b in _branches(territory, w, rng))]


def _branches(territory: Territory, trunk: Walk, rng: np.random.Generator) -> list[Walk]:
    """Side branches of a walk, thinner than it."""
    branches = []
    for here in np.flatnonzero(rng.random(len(trunk.points_nm) - 1) < _steps(trunk) / BRANCH_EVERY_NM):
        along = _unit(trunk.points_nm[here + 1] - trunk.points_nm[here])
        aside = _unit(np.cross(along, rng.standard_normal(3)) + 0.3 * along)
        radius = max(SMALLEST_RADIUS_NM * 1.1, trunk.radii_nm[here] * rng.uniform(0.5, 0.85))
        branches.append(_walk(territory, trunk.neurite, trunk.points_nm[here], aside, radius, rng))
    return branches


def _steps(walk: Walk) -> npt.NDArray[np.float64]:
    steps: npt.NDArray[np.float64] = np.linalg.norm(np.diff(walk.points_nm, axis=0), axis=1)
    return steps


def _walk(
    territory: Territory, neurite: int, point: Points, direction: Points, radius: float, rng: np.random.Generator
) -> Walk:
    """Go on, turning a little towards free space, until there is no room or the tissue ends."""
    points, radii = [point], [min(radius, float(territory.clearance_at(point[None])[0]))]
    swelling = 0.0
    while True:
        step = max(30.0, 0.45 * radii[-1])
        turned = direction + 0.4 * rng.standard_normal((DIRECTIONS, 3))
        turned /= np.linalg.norm(turned, axis=1, keepdims=True)
        room = territory.clearance_at(points[-1] + step * turned)
        score = np.minimum(room, 1.15 * radius) / radius + 0.5 * turned @ direction + 0.1 * rng.random(DIRECTIONS)
        best = int(np.argmax(score))
        if room[best] < SMALLEST_RADIUS_NM:
            return Walk(neurite, np.array(points), np.array(radii))
        swelling = 0.85 * swelling + 0.13 * rng.standard_normal()
        direction = turned[best]
        points.append(points[-1] + step * direction)
        radii.append(min(max(radius * np.exp(swelling), SMALLEST_RADIUS_NM), float(room[best])))


def _unit(vector: Points) -> Points:
    return vector / np.linalg.norm(vector)
