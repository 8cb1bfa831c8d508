"""How sections along the cutting axis differ: gray values, sharpness, likeness and shift of neighbors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pytc_auto.fingerprint.curves import SectionCurves
from pytc_auto.fingerprint.defects import Defects, Mask, find_defects
from pytc_auto.fingerprint.percentiles import Floats, weighted_percentiles
from pytc_auto.fingerprint.sampling import MOST_CHUNK, SLAB_VOXELS, Windows, cut_runs
from pytc_auto.fingerprint.shift import LARGEST, Spectra, Surfaces, peaks, spectra, surfaces
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.volume import Array, Volume
from pytc_auto.schema.fingerprint import SectionFacts

LEAST_SIDE = 16
"""Shifts are not looked for in smaller windows."""
SLAB_SECTIONS = 16


@dataclass(frozen=True)
class Sections:
    """What was measured of a volume's sections.

    Attributes:
        curves: Section by section.
        defects: The sections that stand out.
        mean_variance: Of the sections' means, blank ones left out, and how many they are.
        std_variance: The same of their standard deviations.
    """

    curves: SectionCurves
    defects: Defects
    mean_variance: tuple[float, int]
    std_variance: tuple[float, int]


def measure_sections(
    image: Volume, windows: Windows, voxel_size_nm: ZyxFloat, *, walk: Callable[[Sequence[Box]], Iterable[Box]] = iter
) -> Sections:
    """Compare the sections of an image.

    Args:
        image: Gray values; what is not finite counts as the section's mean.
        windows: Where to look.
        voxel_size_nm: (z, y, x).
        walk: Gives the boxes one after another; it may tell how far the reading is.
    """
    axis = windows.axis
    numbers = np.array(windows.sections)
    place = {int(s): i for i, s in enumerate(numbers)}
    tables = [_Table(len(numbers)) for _ in windows.windows]
    shift = np.full((len(numbers), 2), np.nan)
    sums: dict[int, Surfaces] = {}
    sides = np.min([np.delete(w.shape, axis) for w in windows.windows], axis=0)
    reach = int(LARGEST * sides[0]), int(LARGEST * sides[1])
    boxes = [windows.box(w, a, b) for a, b in _slabs(image, windows) for w in windows.windows]
    for i, box in enumerate(walk(boxes)):
        block, first = np.moveaxis(image.read(box), axis, 0), place[box.start[axis]]
        for start in range(0, len(block), SLAB_SECTIONS):
            alone = not start and box.start[axis] - 1 not in place
            part = block[start : start + SLAB_SECTIONS]
            tables[i % len(tables)].add(part, first + start, alone=alone, reach=reach, sums=sums)
        if i % len(tables) == len(tables) - 1 and sums:
            shift[list(sums)] = peaks(np.stack(list(sums.values())), len(tables))
            sums.clear()
    weight = np.array([w.size for w in windows.windows], np.float64)
    plane = np.array([s for i, s in enumerate(voxel_size_nm) if i != axis])
    mean, std, sharpness, correlation = _pooled(tables, weight)
    covered = weight.sum() / (image.box.size / image.shape[axis])
    curves = SectionCurves(
        section=numbers.astype(np.float64),
        mean=mean,
        std=std,
        sharpness=sharpness,
        correlation=correlation,
        shift_nm=shift * plane,
        plane_nm=(float(plane[0]), float(plane[1])),
        section_nm=voxel_size_nm[axis],
        windows_fraction=float(covered),
    )
    defects = find_defects(curves)
    shown = ~np.isin(numbers, defects.missing)
    means, stds = [t.mean for t in tables], [t.std for t in tables]
    if covered >= 1:
        means, stds = [mean], [std]
    return Sections(curves, defects, _variance(means, shown, covered), _variance(stds, shown, covered))


def section_facts(images: Sequence[Sections], std: float | None) -> SectionFacts:
    """Pool the volumes: drift of each about its own mean, rates over all sections.

    Args:
        images: Of all volumes.
        std: Standard deviation of the whole data set's gray values.
    """
    curves = [i.curves for i in images]
    sections = sum(len(c.section) for c in curves)
    shift, likeness = _finite([c.shift_length_nm for c in curves]), _finite([c.correlation for c in curves])

    def rate(kind: str) -> float | None:
        return sum(len(getattr(i.defects, kind)) for i in images) / sections if sections else None

    return SectionFacts(
        mean_drift=_drift([i.mean_variance for i in images], std),
        std_drift=_drift([i.std_variance for i in images], std),
        missing_rate=rate("missing"),
        duplicate_rate=rate("duplicate"),
        shifted_rate=rate("shifted"),
        dark_rate=rate("dark"),
        bright_rate=rate("bright"),
        blurred_rate=rate("blurred"),
        correlation=weighted_percentiles(likeness, np.ones_like(likeness), (5, 50, 95)) if likeness.size else None,
        shift_nm=weighted_percentiles(shift, np.ones_like(shift), (50, 95)) if shift.size else None,
        sections=sections,
        windows_fraction=min(1.0, sum(c.windows_fraction * len(c.section) for c in curves) / sections) if sections else None,
    )


def _drift(variances: Sequence[tuple[float, int]], std: float | None) -> float | None:
    """Spread of a curve over the sections of all volumes, each about its own mean."""
    count = sum(n for _, n in variances)
    return float(np.sqrt(sum(v * n for v, n in variances) / count) / std) if count and std else None


def _variance(windows: Sequence[Floats], shown: Mask, covered: float) -> tuple[float, int]:
    """Variance of what the sections have in common, and how many show something; (0, 0) if there are fewer than two.

    Windows differ from section to section by what lies in them, too. That part is known from how much they differ from one
    another, and is taken off as far as the windows do not cover the section.
    """
    curves = np.stack(windows)[:, shown]
    curves = curves[:, np.isfinite(curves).all(axis=0)]
    if curves.shape[1] < 2:
        return 0.0, 0
    curves = curves - curves.mean(axis=1, keepdims=True)
    common = curves.mean(axis=0)
    inside = float(curves.var(axis=0, ddof=1).mean()) / len(curves) if len(curves) > 1 else 0.0
    return max(0.0, float((common**2).mean()) - max(0.0, 1 - covered) * inside), curves.shape[1]


def _finite(curves: Sequence[Floats]) -> Floats:
    joined = np.concatenate(curves)
    return joined[np.isfinite(joined)]


def _slabs(image: Volume, windows: Windows) -> list[tuple[int, int]]:
    """Ranges of sections that are read at once, whole chunks where that is not too much."""
    largest = max(w.size for w in windows.windows)
    chunk = image.chunks[windows.axis] if image.chunks else 1
    length = max(chunk, SLAB_SECTIONS // chunk * chunk) if chunk * largest <= MOST_CHUNK * SLAB_VOXELS else SLAB_SECTIONS
    return [part for start, stop in windows.runs for part in cut_runs(start, stop, length)]


class _Table:
    """Curves of one window, filled slab by slab."""

    def __init__(self, sections: int) -> None:
        self.count, self.mean, self.std, self.sharpness, self.correlation = np.full((5, sections), np.nan)
        self.last: Array | None = None

    def add(self, block: Array, first: int, *, alone: bool, reach: tuple[int, int], sums: dict[int, Surfaces]) -> None:
        """Take the next sections.

        Args:
            block: (S, A, B).
            first: Row of the first of them.
            alone: Whether they do not continue the last ones.
            reach: Shifts that are looked at.
            sums: Correlation at these shifts of each section with the next, by row; this window's is added.
        """
        rows = slice(first, first + len(block))
        gray, self.count[rows] = _filled(block)
        self.mean[rows], self.std[rows] = gray.mean(axis=(1, 2), dtype=np.float64), gray.std(axis=(1, 2), dtype=np.float64)
        self.mean[rows][self.count[rows] == 0] = np.nan
        self.sharpness[rows] = _sharpness(gray, self.std[rows])
        with np.errstate(invalid="ignore", divide="ignore"):
            gray -= gray.mean(axis=(1, 2), keepdims=True)
            gray /= self.std[rows, None, None].astype(np.float32)
        gray[self.std[rows] == 0] = 0
        if self.last is not None and not alone:
            gray = np.concatenate([self.last, gray])
        self.last = gray[-1:].copy()
        pairs = slice(rows.stop - len(gray), rows.stop - 1)
        if len(gray) < 2:
            return
        self.correlation[pairs] = np.einsum("nab,nab->n", gray[:-1], gray[1:]) / float(np.prod(gray.shape[1:]))
        shown = self.std[pairs.start : pairs.stop + 1] > 0
        self.correlation[pairs][~(shown[1:] & shown[:-1])] = np.nan
        if min(gray.shape[1:]) < LEAST_SIDE:
            return
        found = spectra(gray)
        before, after = Spectra(found.values[:-1], found.shape), Spectra(found.values[1:], found.shape)
        for row, surface in zip(range(pairs.start, pairs.stop), surfaces(before, after, reach), strict=True):
            sums[row] = sums[row] + surface if row in sums else surface


def _filled(block: Array) -> tuple[Array, Floats]:
    """Gray values as floats, without gaps, and how many were finite in each section."""
    if block.dtype.kind != "f":
        return block.astype(np.float32), np.full(len(block), block[0].size, np.float64)
    finite = np.isfinite(block)
    count = finite.sum(axis=(1, 2)).astype(np.float64)
    gray = np.where(finite, block, 0).astype(np.float32)
    mean = gray.sum(axis=(1, 2), dtype=np.float64) / np.maximum(count, 1)
    return np.where(finite, gray, mean[:, None, None].astype(np.float32)), count


def _sharpness(gray: Array, std: Floats) -> Floats:
    """Variance of the Laplacian over that of the gray values, (S,)."""
    if min(gray.shape[1:]) < 3:
        return np.full(len(gray), np.nan)
    laplacian = gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    laplacian -= 4 * gray[:, 1:-1, 1:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        sharpness = laplacian.var(axis=(1, 2), dtype=np.float64) / std**2
    return np.where(std > 0, sharpness, np.nan)


def _pooled(tables: Sequence[_Table], weight: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, deviation, sharpness and correlation of the sections from those of the windows."""
    means, stds = np.stack([t.mean for t in tables]), np.stack([t.std for t in tables])
    voxels = np.where(np.isfinite(means), weight[:, None], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(voxels * means, axis=0) / voxels.sum(axis=0)
        variance = np.nansum(voxels * (stds**2 + (means - mean) ** 2), axis=0) / voxels.sum(axis=0)
    return mean, np.sqrt(variance), _median([t.sharpness for t in tables]), _median([t.correlation for t in tables])


def _median(curves: Sequence[Floats]) -> Floats:
    """Over the windows that tell; nan where none does."""
    stacked = np.stack(curves)
    known = np.isfinite(stacked).any(axis=0)
    found = np.full(stacked.shape[1:], np.nan)
    found[known] = np.nanmedian(stacked[:, known], axis=0)
    return found
