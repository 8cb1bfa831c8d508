"""Sizes and surroundings of the labels' connected components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat, anisotropy, cutting_axis
from pytc_auto.schema.fingerprint import InstanceFacts

FLAT = 3.0
TOUCHING = 0.3
SOLID_COMPONENTS = 50
SOLID_POINTS = 4000
LEAST_SOLID_VOXELS = 64


@dataclass(frozen=True)
class Components:
    """Connected components of one label box, numbered from 1."""

    ids_zyx: npt.NDArray[np.uint32]
    count: int


def components_of(labels_zyx: npt.NDArray[Any]) -> Components:
    """6-connected components of equal values other than 0."""
    import cc3d

    ids, count = cc3d.connected_components(labels_zyx, connectivity=6, return_N=True)
    return Components(ids.astype(np.uint32), int(count))


def measure_instances(components: Components, voxel_size_nm: ZyxFloat) -> InstanceFacts:
    """Diameters, extents, touching, border cuts, solidity and gap of one box's components."""
    if not components.count:
        return InstanceFacts(
            diameter_nm=None, extent_nm=None, touching_fraction=None, border_fraction=None, solidity=None, gap_nm=None
        )
    import cc3d

    statistics = cc3d.statistics(components.ids_zyx)
    sizes = statistics["voxel_counts"][1:].astype(np.float64)
    boxes = statistics["bounding_boxes"][1:]
    extent = np.array([max((s.stop - s.start) * v for s, v in zip(b, voxel_size_nm, strict=True)) for b in boxes])
    cut = np.array([_cut(b, components.ids_zyx.shape) for b in boxes])
    touching = touching_fraction(components.ids_zyx)
    return InstanceFacts(
        diameter_nm=_weighted(inscribed_diameters(components, voxel_size_nm), sizes, (10, 50, 90)),
        extent_nm=_weighted(extent, sizes, (50, 90, 95)),
        touching_fraction=touching,
        border_fraction=float(cut.mean()),
        solidity=_solidity(components.ids_zyx, boxes, sizes, cut),
        gap_nm=0.0 if touching is not None and touching >= TOUCHING else _gap(components.ids_zyx, voxel_size_nm),
    )


def inscribed_diameters(components: Components, voxel_size_nm: ZyxFloat) -> npt.NDArray[np.float64]:
    """Twice the largest distance to the component's border, in nm; in the plane of sections from an anisotropy of 3."""
    distance = _distance(components.ids_zyx, voxel_size_nm)
    largest = np.zeros(components.count + 1)
    np.maximum.at(largest, components.ids_zyx.ravel(), distance.ravel())
    return 2 * largest[1:]


def _distance(ids_zyx: npt.NDArray[np.uint32], voxel_size_nm: ZyxFloat) -> npt.NDArray[np.float32]:
    """Distance of each voxel to the next other value, in nm; sections by themselves from an anisotropy of 3."""
    import edt

    if anisotropy(voxel_size_nm) < FLAT:
        return edt.edt(np.ascontiguousarray(ids_zyx), anisotropy=voxel_size_nm, black_border=False)
    axis = cutting_axis(voxel_size_nm)
    plane = tuple(s for i, s in enumerate(voxel_size_nm) if i != axis)
    moved = np.moveaxis(ids_zyx, axis, 0)
    found = np.stack([edt.edt(np.ascontiguousarray(s), anisotropy=plane, black_border=False) for s in moved])
    found[~np.isfinite(found)] = 0
    return np.moveaxis(found, 0, axis)


def touching_fraction(ids_zyx: npt.NDArray[np.uint32]) -> float | None:
    """Share of the components' surface faces that meet another component without a gap; None without a surface."""
    touching, surface = 0, 0
    for axis in range(3):
        a = np.moveaxis(ids_zyx, axis, 0)
        before, after = a[:-1], a[1:]
        differ = before != after
        both = differ & (before > 0) & (after > 0)
        touching += 2 * int(both.sum())
        surface += int(differ.sum()) + int(both.sum())
    return touching / surface if surface else None


def _gap(ids_zyx: npt.NDArray[np.uint32], voxel_size_nm: ZyxFloat) -> float | None:
    """Median width of the background beside a surface: twice the distance on the background's ridge nearest to it."""
    from scipy import ndimage

    background = (ids_zyx == 0).astype(np.uint32)
    if not background.any() or background.all():
        return None
    distance = _distance(background, voxel_size_nm) * background
    flat = anisotropy(voxel_size_nm) >= FLAT
    size = [1 if flat and i == cutting_axis(voxel_size_nm) else 3 for i in range(3)]
    ridge = (distance == ndimage.maximum_filter(distance, size=size)) & (background > 0)
    widths = np.maximum(2 * distance[ridge] - min(voxel_size_nm), 0)
    return float(np.median(widths)) if widths.size else None


def _cut(box: tuple[slice, slice, slice], shape: tuple[int, ...]) -> bool:
    return any(s.start == 0 or s.stop == n for s, n in zip(box, shape, strict=True))


def _weighted(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], wanted: tuple[int, ...]) -> dict[str, float]:
    """Percentiles of the volume: each component counts with its voxels."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    places = [min(int(np.searchsorted(share, p / 100)), len(order) - 1) for p in wanted]
    return {f"p{p}": float(values[order[place]]) for p, place in zip(wanted, places, strict=True)}


def _solidity(
    ids_zyx: npt.NDArray[np.uint32],
    boxes: list[tuple[slice, slice, slice]],
    sizes: npt.NDArray[np.float64],
    cut: npt.NDArray[np.bool_],
) -> float | None:
    """Median of volume over convex hull volume, of the largest components that the border does not cut."""
    from scipy.spatial import ConvexHull, QhullError

    found = []
    whole = [i for i in np.argsort(-sizes) if not cut[i] and sizes[i] >= LEAST_SOLID_VOXELS]
    for i in whole[:SOLID_COMPONENTS]:
        points = np.argwhere(ids_zyx[boxes[i]] == i + 1)
        corners = points[:: max(1, len(points) // SOLID_POINTS)]
        try:
            hull = ConvexHull(np.concatenate([corners, corners + 1]))
        except QhullError:
            continue
        found.append(min(1.0, sizes[i] / hull.volume))
    return float(np.median(found)) if found else None


def pooled(parts: Mapping[int, InstanceFacts] | list[InstanceFacts], weights: list[int]) -> InstanceFacts:
    """Several boxes as one: means weighted by their voxels; what is unknown in one is left out."""
    items = list(parts.values()) if isinstance(parts, Mapping) else parts

    def mean(values: list[float | None]) -> float | None:
        known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
        return sum(v * w for v, w in known) / sum(w for _, w in known) if known else None

    def table(rows: list[dict[str, float] | None]) -> dict[str, float] | None:
        known = [r for r in rows if r is not None]
        return {key: mean([r[key] if r else None for r in rows]) or 0.0 for key in known[0]} if known else None

    return InstanceFacts(
        diameter_nm=table([f.diameter_nm for f in items]),
        extent_nm=table([f.extent_nm for f in items]),
        touching_fraction=mean([f.touching_fraction for f in items]),
        border_fraction=mean([f.border_fraction for f in items]),
        solidity=mean([f.solidity for f in items]),
        gap_nm=mean([f.gap_nm for f in items]),
    )
