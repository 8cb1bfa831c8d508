"""Branching neurites of varying caliber, grown one after another into the space that is left."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pytc_auto.phantom.fields import FloatArray, Grid, LabelArray

SMALLEST_RADIUS_NM = 62.0
REACH_NM = 160.0
SHORTEST_NM = 350.0
BRANCH_EVERY_NM = 2600.0
DIRECTIONS = 16

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Caliber:
    """A kind of neurite, and how full the tissue is when the next kind takes over."""

    radius_nm: tuple[float, float]
    filled: float


CALIBERS = (Caliber((140.0, 230.0), 0.11), Caliber((95.0, 140.0), 0.42), Caliber((66.0, 95.0), 1.0))


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
class Tip:
    """Where a neurite is about to grow, which way, and how thick it would like to be."""

    neurite: int
    point: Points
    direction: Points
    radius: float


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
            walks += _grow_one_in_place(territory, caliber, starts, len(walks) + 1, rng)
    return territory, walks


def _grow_one_in_place(
    territory: Territory, caliber: Caliber, starts: npt.NDArray[np.int64], neurite: int, rng: np.random.Generator
) -> list[Walk]:
    """Grow one neurite both ways from a start, with branches. A stub becomes a bulge of its neighbor."""
    grid = territory.grid
    chosen = rng.choice(starts, size=min(6, len(starts)), replace=False)
    start = chosen[np.argmax(territory.clearance_zyx.ravel()[chosen])]
    index = np.array(np.unravel_index(start, grid.shape))
    point = np.asarray(grid.origin_nm) + index * np.asarray(grid.voxel_size_nm)
    radius = rng.uniform(*caliber.radius_nm)
    direction = _unit(rng.standard_normal(3))
    neighbor = int(territory.owner_zyx[tuple(index)])
    first = _walk(territory, Tip(neurite, point, direction, radius), rng)
    if first.length_nm < SHORTEST_NM and neighbor:
        first = replace(first, neurite=neighbor)
        territory.claim_in_place(first)
        return [first]
    territory.claim_in_place(first)
    back = _sprout(territory, Tip(neurite, point, -direction, radius), first.radii_nm[0], rng)
    territory.claim_in_place(back)
    trunk = [first, back]
    branches = []
    for tip, parent_radius in [t for walk in trunk for t in _branch_tips(walk, rng)]:
        branch = _sprout(territory, tip, parent_radius, rng)
        territory.claim_in_place(branch)
        branches.append(branch)
    return trunk + branches


def _branch_tips(trunk: Walk, rng: np.random.Generator) -> list[tuple[Tip, float]]:
    """Where side branches leave a walk, thinner than it, and how thick it is there."""
    tips = []
    steps = np.linalg.norm(np.diff(trunk.points_nm, axis=0), axis=1)
    for here in np.flatnonzero(rng.random(len(steps)) < steps / BRANCH_EVERY_NM):
        along = _unit(trunk.points_nm[here + 1] - trunk.points_nm[here])
        aside = _unit(np.cross(along, rng.standard_normal(3)) + 0.3 * along)
        radius = max(1.1 * SMALLEST_RADIUS_NM, trunk.radii_nm[here] * rng.uniform(0.5, 0.85))
        tips.append((Tip(trunk.neurite, trunk.points_nm[here], aside, radius), float(trunk.radii_nm[here])))
    return tips


def _sprout(territory: Territory, tip: Tip, parent_radius: float, rng: np.random.Generator) -> Walk:
    """A walk that leaves its own neurite at the surface; it is only a stalk where there is no room outside."""
    outside = tip.point + tip.direction * (parent_radius + 1.05 * SMALLEST_RADIUS_NM)
    stalk = np.linspace(tip.point, outside, 4)[:-1]
    thin = np.full(len(stalk), SMALLEST_RADIUS_NM)
    if territory.clearance_at(outside[None])[0] < SMALLEST_RADIUS_NM:
        return Walk(tip.neurite, stalk[:1], thin[:1])
    grown = _walk(territory, replace(tip, point=outside), rng)
    return Walk(tip.neurite, np.concatenate([stalk, grown.points_nm]), np.concatenate([thin, grown.radii_nm]))


def _walk(territory: Territory, tip: Tip, rng: np.random.Generator) -> Walk:
    """Go on, turning a little towards free space, until there is no room or the tissue ends."""
    points, direction = [tip.point], tip.direction
    radii = [min(tip.radius, float(territory.clearance_at(tip.point[None])[0]))]
    swelling = 0.0
    while True:
        step = max(30.0, 0.45 * radii[-1])
        turned = direction + 0.4 * rng.standard_normal((DIRECTIONS, 3))
        turned /= np.linalg.norm(turned, axis=1, keepdims=True)
        room = territory.clearance_at(points[-1] + step * turned)
        score = np.minimum(room, 1.15 * tip.radius) / tip.radius + 0.5 * turned @ direction + 0.1 * rng.random(DIRECTIONS)
        best = int(np.argmax(score))
        if room[best] < SMALLEST_RADIUS_NM:
            return Walk(tip.neurite, np.array(points), np.array(radii))
        swelling = 0.85 * swelling + 0.13 * rng.standard_normal()
        direction = turned[best]
        points.append(points[-1] + step * direction)
        radii.append(min(max(tip.radius * np.exp(swelling), SMALLEST_RADIUS_NM), float(room[best])))


def _unit(vector: Points) -> Points:
    return vector / np.linalg.norm(vector)
