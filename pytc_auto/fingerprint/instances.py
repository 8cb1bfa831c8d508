"""Sizes and surroundings of the labels' connected components, pooled over all label boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytc_auto.fingerprint.census import Census
from pytc_auto.fingerprint.components import Components, Ids, Mask, Widths, extents_nm, inscribed_diameters, join_widths
from pytc_auto.fingerprint.percentiles import Floats, weighted_percentiles
from pytc_auto.fingerprint.solidity import LEAST_VOXELS, solidities
from pytc_auto.fingerprint.surface import Surface, gap_widths_nm, measure_surface
from pytc_auto.geometry import ZyxFloat
from pytc_auto.schema.fingerprint import InstanceFacts

TOUCHING = 0.3
"""From this share of the surface on, objects are said to have no gap."""


@dataclass(frozen=True)
class InstanceTable:
    """What is kept of the components of one box; N components."""

    value: Ids
    voxels: Floats
    cut: Mask
    extent_nm: Floats
    widths: Widths
    surface: Surface
    solidity: Floats
    gap_nm: Floats


def measure_instances(
    components: Components, ids_zyx: Ids, labelled_zyx: Mask, voxel_size_nm: ZyxFloat, rng: np.random.Generator
) -> InstanceTable:
    """Measure the components of one box.

    Args:
        components: Of the ids.
        ids_zyx: (Z, Y, X) integers, 0 is background or unlabeled.
        labelled_zyx: (Z, Y, X), False where nobody looked. An object that reaches there counts as cut.
        voxel_size_nm: (z, y, x).
        rng: Chooses where gaps are measured.
    """
    surface = measure_surface(ids_zyx, labelled_zyx, voxel_size_nm)
    apart = surface.touching < TOUCHING * surface.whole
    return InstanceTable(
        value=components.value,
        voxels=components.voxels,
        cut=components.cut,
        extent_nm=extents_nm(components.start, components.stop, voxel_size_nm),
        widths=inscribed_diameters(components, voxel_size_nm),
        surface=surface,
        solidity=solidities(components),
        gap_nm=gap_widths_nm(components.ids_zyx, labelled_zyx, voxel_size_nm, rng) if apart else np.zeros(0),
    )


def instance_facts(
    tables: Sequence[InstanceTable], census: Sequence[Census], *, broken: bool, smallest_nm3: float | None
) -> InstanceFacts:
    """Pool the boxes: every component counts with its voxels, or once where no percentile is given. Unknown is None.

    Args:
        tables: Of the boxes.
        census: Of the volumes.
        broken: Whether several components of an id are pieces of one object.
        smallest_nm3: Volume of a voxel as stored; None if the census is of boxes, which cut objects into small pieces.
    """
    volume, extent, elongation = (
        np.concatenate([getattr(c, name) for c in census]) for name in ("volume_nm3", "extent_nm", "elongation")
    )
    cut = np.concatenate([c.cut for c in census])
    widths = join_widths([c.widths for c in census])
    solidity = np.concatenate([t.solidity for t in tables])
    surface = sum(t.surface.whole for t in tables)
    touching = sum(t.surface.touching for t in tables) / surface if surface else None
    ids = sum(len(np.unique(c.value)) for c in census)
    coarsest = max(float(np.prod(c.voxel_size_nm)) for c in census)
    tiny = LEAST_VOXELS * smallest_nm3 if smallest_nm3 else 0.0
    known = bool(volume.size)
    return InstanceFacts(
        volume_nm3=weighted_percentiles(volume, np.ones_like(volume), (10, 50, 90)) if known else None,
        diameter_nm=weighted_percentiles(widths.diameter_nm, widths.voxels, (10, 50, 90)) if known else None,
        extent_nm=weighted_percentiles(extent, volume, (50, 90, 95)) if known else None,
        elongation=weighted_percentiles(elongation, volume, (50, 90)) if known else None,
        touching_fraction=touching,
        border_fraction=float(cut.mean()) if known else None,
        broken_fraction=sum(c.broken for c in census) / ids if broken and ids else None,
        tiny_fraction=float((volume < tiny).mean()) if known and 2 * coarsest <= tiny else None,
        solidity=float(np.median(solidity)) if solidity.size else None,
        gap_nm=_gap(tables, touching),
    )


def _gap(tables: Sequence[InstanceTable], touching: float | None) -> float | None:
    if touching is not None and touching >= TOUCHING:
        return 0.0
    widths = np.concatenate([t.gap_nm for t in tables])
    return float(np.median(widths)) if widths.size else None
