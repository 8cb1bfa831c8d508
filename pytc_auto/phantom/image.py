"""What the microscope sees of tissue: gray values before and after the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat
from pytc_auto.phantom.fields import FloatArray, Grid, smooth_noise
from pytc_auto.phantom.tissue import Sampled

CYTOPLASM_GRAY = 158.0
MEMBRANE_GRAY = 66.0
MITOCHONDRION_GRAY = 92.0
DARKEST_SPOT_GRAY = 78.0
MEMBRANE_HALF_NM = 11.0
MITOCHONDRION_GAP_NM = 22.0
CRISTA_NM = 46.0
VESICLES_PER_UM3 = 7000.0
SMUDGES_PER_UM3 = 1.2
BLUR_NM = 4.5


@dataclass(frozen=True)
class Spots:
    """Small round things: a dark ring or a dark filling around each center."""

    centers_nm: npt.NDArray[np.float64]
    ring_nm: npt.NDArray[np.float64]
    width_nm: npt.NDArray[np.float64]
    gray: npt.NDArray[np.float64]

    @property
    def reach_nm(self) -> float:
        """Beyond it no spot changes anything."""
        return float((self.ring_nm + 2.5 * self.width_nm).max()) if len(self.ring_nm) else 0.0


def mitochondrion_mask(sampled: Sampled) -> npt.NDArray[np.bool_]:
    """Inside a mitochondrion: a tube that keeps away from its neurite's membrane."""
    inside: npt.NDArray[np.bool_] = _mitochondrion_level(sampled) < 0
    return inside


def tissue_gray(sampled: Sampled, grid: Grid, rng: np.random.Generator) -> FloatArray:
    """Gray values of the tissue, about 0 to 255, without noise of the detector."""
    grain = _grain(grid, 14.0, rng)
    gray = _cytoplasm(sampled, grid, grain, rng)
    gray += _reticulum(sampled, grid, rng)
    _add_spots_in_place(gray, grid, _vesicles(sampled, grid, rng))
    np.maximum(gray, DARKEST_SPOT_GRAY, out=gray)
    _add_mitochondria_in_place(gray, sampled, grid, grain, rng)
    half_nm = max(MEMBRANE_HALF_NM, 0.6 * min(grid.voxel_size_nm))
    membrane = _soft_step((half_nm - sampled.membrane_nm_zyx) / 2.5)
    gray += membrane * (MEMBRANE_GRAY + 7 * smooth_noise(grid, 200.0, rng) + 5 * grain - gray)
    _add_spots_in_place(gray, grid, _smudges(sampled, grid, rng))
    return _blurred(gray, grid.voxel_size_nm)


def _cytoplasm(sampled: Sampled, grid: Grid, grain: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Each neurite has its own gray and grain; a few are dark. The stain varies slowly over the volume."""
    count = int(sampled.neurites_zyx.max()) + 1
    base = CYTOPLASM_GRAY + 9 * rng.standard_normal(count) - 32 * (rng.random(count) < 0.12)
    texture = rng.uniform(9, 20, count)
    coarse = _grain(grid, 34.0, rng)
    stain = 5 * smooth_noise(grid, 900.0, rng) + 4 * smooth_noise(grid, 220.0, rng)
    own = texture.astype(np.float32)[sampled.neurites_zyx]
    gray = base.astype(np.float32)[sampled.neurites_zyx] + stain + own * (0.7 * grain + 1.1 * np.minimum(coarse, 0.4))
    return gray.astype(np.float32, copy=False)


def _reticulum(sampled: Sampled, grid: Grid, rng: np.random.Generator) -> FloatArray:
    """Bright profiles with a thin faint outline, away from the membranes: endoplasmic reticulum."""
    lumen = smooth_noise(grid, 95.0, rng) - 1.55
    present = _soft_step((smooth_noise(grid, 400.0, rng) - 0.1) / 0.1)
    present *= _soft_step((sampled.membrane_nm_zyx - 34) / 3)
    outline = np.exp(-np.square(lumen / 0.15))
    return (present * (14 * _soft_step(lumen / 0.08) - 44 * outline)).astype(np.float32, copy=False)


def _mitochondrion_level(sampled: Sampled) -> FloatArray:
    return np.maximum(sampled.mitochondria_nm_zyx, MITOCHONDRION_GAP_NM - sampled.membrane_nm_zyx)


def _add_mitochondria_in_place(
    gray_zyx: FloatArray, sampled: Sampled, grid: Grid, grain_zyx: FloatArray, rng: np.random.Generator
) -> None:
    """A double membrane, a dark matrix and cristae across it."""
    level = _mitochondrion_level(sampled)
    where = np.nonzero(level < 12)
    inward = -level[where]
    phase = _crista_phase(where, sampled, grid, rng)
    contrast = rng.uniform(3, 15, int(sampled.neurites_zyx.max()) + 1).astype(np.float32)[sampled.neurites_zyx[where]]
    cristae = contrast * np.cos(phase) * _soft_step((inward - 18) / 4)
    content = MITOCHONDRION_GRAY + cristae + 5 * grain_zyx[where]
    content += 10 * np.exp(-np.square((inward - 15) / 5)) - 24 * np.exp(-np.square((inward - 4) / 6))
    gray_zyx[where] += _soft_step((inward + 2) / 2.5) * (content - gray_zyx[where])


def _crista_phase(where: tuple[npt.NDArray[np.int64], ...], sampled: Sampled, grid: Grid, rng: np.random.Generator) -> FloatArray:
    """Angle of a bent plane wave, in another direction in each neurite."""
    count = int(sampled.neurites_zyx.max()) + 1
    direction = rng.standard_normal((count, 3))
    direction *= (2 * np.pi / CRISTA_NM) / np.linalg.norm(direction, axis=1, keepdims=True)
    axes = grid.positions_nm()
    own = direction.astype(np.float32)[sampled.neurites_zyx[where]]
    position = np.stack([axes[i][where[i]] for i in range(3)], axis=1).astype(np.float32)
    bend = 2.8 * smooth_noise(grid, 110.0, rng)
    phase: FloatArray = np.einsum("ni,ni->n", own, position) + bend[where]
    return phase


def _vesicles(sampled: Sampled, grid: Grid, rng: np.random.Generator) -> Spots:
    """Clusters of vesicles in some neurites, a few dense cores and some larger endosomes everywhere."""
    centers, index = _random_points(grid, VESICLES_PER_UM3, rng)
    crowded = smooth_noise(grid, 260.0, rng)[index]
    share = rng.random(int(sampled.neurites_zyx.max()) + 1)
    wanted = np.where(share < 0.45, 0.8, 0.08)[sampled.neurites_zyx[index]] * (crowded > 0.1) + 0.02
    free = (sampled.membrane_nm_zyx[index] > 38) & (_mitochondrion_level(sampled)[index] > 26)
    centers = centers[free & (rng.random(len(centers)) < wanted)]
    draw = rng.random(len(centers))
    endosome, dense = draw < 0.04, draw > 0.93
    ring = np.where(endosome, rng.uniform(28, 45, len(centers)), np.where(dense, 0.0, rng.uniform(14, 19, len(centers))))
    return Spots(centers, ring, np.where(dense, 17.0, 6.5), np.where(dense, -62.0, -46.0))


def _smudges(sampled: Sampled, grid: Grid, rng: np.random.Generator) -> Spots:
    """Dark clouds on membranes, as synapses make them."""
    centers, index = _random_points(grid, SMUDGES_PER_UM3 * 12, rng)
    centers = centers[sampled.membrane_nm_zyx[index] < 10]
    count = len(centers)
    return Spots(centers, np.zeros(count), rng.uniform(24, 42, count), rng.uniform(-55, -25, count))


def _random_points(
    grid: Grid, per_um3: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], tuple[npt.NDArray[np.int64], ...]]:
    """Points thrown evenly into the volume, in nm, and their voxels."""
    extent = np.asarray(grid.shape) * np.asarray(grid.voxel_size_nm)
    low = np.asarray(grid.origin_nm) - np.asarray(grid.voxel_size_nm) / 2
    points = low + extent * rng.random((rng.poisson(per_um3 * np.prod(extent) * 1e-9), 3))
    return points, tuple(np.clip(grid.index(points), 0, np.asarray(grid.shape) - 1).T)


def _add_spots_in_place(gray_zyx: FloatArray, grid: Grid, spots: Spots) -> None:
    """Add all spots, a slab of voxels around each."""
    size = np.asarray(grid.voxel_size_nm)
    steps = np.ceil(spots.reach_nm / size).astype(int)
    for center, ring, width, gray in zip(spots.centers_nm, spots.ring_nm, spots.width_nm, spots.gray, strict=True):
        middle = grid.index(center[None])[0]
        low, high = np.maximum(middle - steps, 0), np.minimum(middle + steps + 1, grid.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        axes = (np.arange(a, b) * s + o - c for a, b, s, o, c in zip(low, high, size, grid.origin_nm, center, strict=True))
        z, y, x = (np.square(a).astype(np.float32) for a in axes)
        distance = np.sqrt(z[:, None, None] + y[:, None] + x)
        gray_zyx[box] += np.float32(gray) * np.exp(-np.square((distance - np.float32(ring)) / np.float32(width)))


def _grain(grid: Grid, correlation_nm: float, rng: np.random.Generator) -> FloatArray:
    """Fine texture of mean 0 and variance 1, a few voxels wide; drawn per voxel, as it is finer than any control grid."""
    noise = rng.standard_normal(grid.shape, dtype=np.float32)
    noise = _filtered(noise, [0.5 * correlation_nm / s for s in grid.voxel_size_nm])
    return noise / np.float32(max(float(noise.std()), 1e-6))


def _blurred(gray_zyx: FloatArray, voxel_size_nm: ZyxFloat) -> FloatArray:
    return _filtered(gray_zyx, [BLUR_NM / s for s in voxel_size_nm])


def _filtered(values_zyx: FloatArray, sigma: list[float]) -> FloatArray:
    from scipy.ndimage import gaussian_filter

    filtered: FloatArray = gaussian_filter(values_zyx, sigma, truncate=3.0)
    return filtered


def _soft_step(value: npt.NDArray[np.floating]) -> FloatArray:
    from scipy.special import expit

    step: FloatArray = expit(value.astype(np.float32, copy=False))
    return step


def detect(gray_zyx: FloatArray, noise: float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Shot noise, stronger where it is bright and ``noise`` on mid gray, then rounding to uint8."""
    fine, wide = (rng.standard_normal(gray_zyx.shape, dtype=np.float32) for _ in range(2))
    both = 0.6 * fine + 1.5 * _filtered(wide, [0.0, 0.6, 0.6])
    noisy = gray_zyx + noise * both * np.sqrt(np.maximum(gray_zyx, 20) / 130).astype(np.float32)
    return np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)


def vary_sections(gray_zyx: FloatArray, axis: int, rng: np.random.Generator) -> FloatArray:
    """Contrast and brightness that differ from section to section."""
    shape = [1, 1, 1]
    shape[axis] = gray_zyx.shape[axis]
    contrast = (1.2 * np.exp(0.05 * rng.standard_normal(shape))).astype(np.float32)
    brightness = (6 * rng.standard_normal(shape)).astype(np.float32)
    return (gray_zyx - 128) * contrast + 128 + brightness
