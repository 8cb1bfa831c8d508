"""The tissue itself, in nanometers on a coarse isotropic grid: who is where, and where mitochondria lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Box, ZyxFloat, blocks, zyx
from pytc_auto.phantom.fields import FloatArray, Grid, LabelArray, apply_matrices, gaussian_matrix, resample, smooth_noise
from pytc_auto.phantom.neurites import Walk, grow_neurites

GRID_NM = 20.0
MARGIN_NM = 200.0
SMOOTHING_NM = 20.0
CORE_NM = 42.0
SMALLEST_CORE_VOXELS = 150
WARPS_NM = ((450.0, 90.0), (170.0, 25.0))
MITOCHONDRION_EVERY_NM = 1500.0
FAR_NM = 80.0


@dataclass(frozen=True)
class Tissue:
    """Neurites that fill space, and the signed distance to the nearest mitochondrion's surface, negative inside."""

    grid: Grid
    neurites_zyx: LabelArray
    mitochondria_nm_zyx: FloatArray


@dataclass(frozen=True)
class Sampled:
    """The tissue at the points of a finer grid.

    Attributes:
        neurites_zyx: Ids, everywhere above 0.
        membrane_nm_zyx: Distance to the nearest interface between two neurites, right up to about 50 nm.
        mitochondria_nm_zyx: Signed distance to the nearest mitochondrion's surface, negative inside.
    """

    neurites_zyx: LabelArray
    membrane_nm_zyx: FloatArray
    mitochondria_nm_zyx: FloatArray


def make_tissue(extent_nm: ZyxFloat, rng: np.random.Generator) -> Tissue:
    """Grow tissue that covers a box from 0 to ``extent_nm`` and a margin around it."""
    shape = zyx([int(np.ceil((e + 2 * MARGIN_NM) / GRID_NM - 1e-6)) for e in extent_nm])
    start = GRID_NM / 2 - MARGIN_NM
    grid = Grid(shape, (GRID_NM, GRID_NM, GRID_NM), (start, start, start))
    territory, walks = grow_neurites(grid, rng)
    mitochondria = _mitochondria(grid, walks, rng)
    where = _warped_index(grid, rng)
    neurites = _clean(_sample_index(territory.owner_zyx, where))
    return Tissue(grid, neurites, _sample_index(mitochondria, where, order=1))


def sample_tissue(tissue: Tissue, grid: Grid) -> Sampled:
    """The tissue on a finer grid, with borders that are smooth between the coarse grid's points.

    Each neurite's mask, smoothed by a Gaussian of width s, is a field; the largest wins. Beside a flat interface the two largest
    fields differ by erf(d / (s sqrt 2)) at distance d, which gives the distance below the coarse grid's step.
    """
    from scipy.special import erfinv

    axes = zip(grid.positions_nm(), tissue.grid.positions_nm(), strict=True)
    matrices = [gaussian_matrix(t, s, SMOOTHING_NM) for t, s in axes]
    neurites = np.empty(grid.shape, np.uint32)
    lead = np.empty(grid.shape, np.float32)
    for box in blocks(Box.of_shape(grid.shape), (64, 64, 64)):
        neurites[box.slices], lead[box.slices] = _winner(tissue.neurites_zyx, matrices, box)
    distance = (SMOOTHING_NM * np.sqrt(2.0) * erfinv(np.minimum(lead, np.float32(0.9995)))).astype(np.float32)
    return Sampled(neurites, distance, resample(tissue.mitochondria_nm_zyx, tissue.grid, grid, 0.7 * GRID_NM))


def _winner(labels_zyx: LabelArray, matrices: list[FloatArray], box: Box) -> tuple[LabelArray, FloatArray]:
    """In a box of the finer grid: the neurite with the largest field, and its lead over the second."""
    rows = [m[a:b] for m, a, b in zip(matrices, box.start, box.stop, strict=True)]
    spans = [np.flatnonzero(m.max(axis=0) > 1e-3) for m in rows]
    crop = labels_zyx[tuple(slice(s[0], s[-1] + 1) for s in spans)]
    parts = [m[:, s[0] : s[-1] + 1] for m, s in zip(rows, spans, strict=True)]
    winner = np.zeros(box.shape, np.uint32)
    first, second = np.zeros((2, *box.shape), np.float32)
    for label in np.unique(crop):
        field = apply_matrices(crop == label, parts)
        wins = field > first
        np.maximum(second, np.minimum(first, field), out=second)
        np.maximum(first, field, out=first)
        winner[wins] = label
    return winner, first - second


def _warped_index(grid: Grid, rng: np.random.Generator) -> FloatArray:
    """Where on the grid to look for each point, (3, Z, Y, X) in voxels: straight tubes become winding ones."""
    index = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in grid.shape), indexing="ij"))
    for axis in range(3):
        for correlation_nm, amplitude_nm in WARPS_NM:
            index[axis] += smooth_noise(grid, correlation_nm, rng) * np.float32(amplitude_nm / GRID_NM)
    return index


def _sample_index(values_zyx: npt.NDArray[np.generic], index_kzyx: FloatArray, order: int = 0) -> npt.NDArray:
    from scipy.ndimage import map_coordinates

    return map_coordinates(values_zyx, index_kzyx, order=order, mode="nearest")


def _clean(owners_zyx: LabelArray) -> LabelArray:
    """One connected region per id, 1..n, none thinner than twice ``CORE_NM``: thinner places end a neurite or join a neighbor."""
    import cc3d
    import edt
    from skimage.segmentation import watershed

    inner = edt.edt(owners_zyx, anisotropy=(GRID_NM,) * 3, black_border=False, parallel=1)
    cores = cc3d.dust(np.where(inner > CORE_NM, owners_zyx, 0), threshold=SMALLEST_CORE_VOXELS, connectivity=26)
    markers = cc3d.connected_components(cores, connectivity=26)
    return watershed(-inner, markers.astype(np.int32), connectivity=1).astype(np.uint32)


def _mitochondria(grid: Grid, walks: list[Walk], rng: np.random.Generator) -> FloatArray:
    """Signed distance to tubes along the center lines of neurites that have room for them."""
    distance = np.full(grid.shape, FAR_NM, np.float32)
    for walk in walks:
        for _ in range(rng.poisson(walk.length_nm / MITOCHONDRION_EVERY_NM)):
            points, radii = _tube(walk, rng)
            for point, radius in zip(points, radii, strict=True):
                _join_ball_in_place(distance, grid, point, radius)
    return distance


def _tube(walk: Walk, rng: np.random.Generator) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Balls, one every 20 nm, of one mitochondrion in a walk; none where the neurite is too thin."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(walk.points_nm, axis=0), axis=1))])
    begin = rng.uniform(0, along[-1])
    where = np.arange(begin, min(begin + rng.uniform(350, 1600), along[-1]), GRID_NM)
    center = np.stack([np.interp(where, along, walk.points_nm[:, i]) for i in range(3)], axis=1)
    room = np.interp(where, along, walk.radii_nm)
    radius = np.minimum(rng.uniform(80, 140), 0.75 * room)
    aside = rng.standard_normal(3)
    center += aside / np.linalg.norm(aside) * (0.6 * np.maximum(room - radius - 30, 0))[:, None]
    fits = radius > 62
    return center[fits], radius[fits]


def _join_ball_in_place(distance_zyx: FloatArray, grid: Grid, point: npt.NDArray[np.float64], radius: float) -> None:
    axes = grid.positions_nm()
    far = radius + FAR_NM
    ends = [np.searchsorted(a, (p - far, p + far)) for a, p in zip(axes, point, strict=True)]
    box = tuple(slice(int(a), int(b)) for a, b in ends)
    z, y, x = (np.square(a[s] - p).astype(np.float32) for a, s, p in zip(axes, box, point, strict=True))
    ball = np.sqrt(z[:, None, None] + y[:, None] + x) - np.float32(radius)
    np.minimum(distance_zyx[box], ball, out=distance_zyx[box])
