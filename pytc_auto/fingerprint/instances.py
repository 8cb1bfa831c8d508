"""Sizes and surroundings of the labels' connected components, pooled over all label boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.components import Ids, Mask, Widths, extents_nm, find_components, inscribed_diameters
from pytc_auto.fingerprint.percentiles import Floats, weighted_percentiles
from pytc_auto.fingerprint.solidity import solidities
from pytc_auto.fingerprint.surface import Surface, gap_widths_nm, measure_surface
from pytc_auto.geometry import ZyxFloat
from pytc_auto.schema.fingerprint import InstanceFacts

TOUCHING = 0.3
"""From this share of the surface on, objects are said to have no gap."""


@dataclass(frozen=True)
class InstanceTable:
    """What is kept of the components of one box; N components."""

    value: npt.NDArray[np.int64]
    voxels: Floats
    cut: Mask
    extent_nm: Floats
    widths: Widths
    surface: Surface
    solidity: Floats
    gap_nm: Floats


def measure_instances(ids_zyx: Ids, labelled_zyx: Mask, voxel_size_nm: ZyxFloat, rng: np.random.Generator) -> InstanceTable:
    """Measure the components of one box.

    Args:
        ids_zyx: (Z, Y, X) unsigned, 0 is background or unlabeled.
        labelled_zyx: (Z, Y, X), False where nobody looked. An object that reaches there counts as cut.
        voxel_size_nm: (z, y, x).
        rng: Chooses where gaps are measured.
    """
    components = find_components(ids_zyx, labelled_zyx)
    surface = measure_surface(ids_zyx, labelled_zyx, voxel_size_nm)
    apart = surface.touching < TOUCHING * surface.whole
    return InstanceTable(
        value=components.value,
        voxels=components.voxels,
        cut=components.cut,
        extent_nm=extents_nm(components, voxel_size_nm),
        widths=inscribed_diameters(components, voxel_size_nm),
        surface=surface,
        solidity=solidities(components),
        gap_nm=gap_widths_nm(components.ids_zyx, labelled_zyx, voxel_size_nm, rng) if apart else np.zeros(0),
    )


def instance_facts(tables: Sequence[InstanceTable]) -> InstanceFacts:
    """Pool the boxes: every component counts with its voxels, or once where no percentile is given. Unknown is None."""
    voxels = np.concatenate([t.voxels for t in tables])
    extent = np.concatenate([t.extent_nm for t in tables])
    width = np.concatenate([t.widths.diameter_nm for t in tables])
    width_voxels = np.concatenate([t.widths.voxels for t in tables])
    cut = np.concatenate([t.cut for t in tables])
    solidity = np.concatenate([t.solidity for t in tables])
    surface = sum(t.surface.whole for t in tables)
    touching = sum(t.surface.touching for t in tables) / surface if surface else None
    return InstanceFacts(
        diameter_nm=weighted_percentiles(width, width_voxels, (10, 50, 90)) if width.size else None,
        extent_nm=weighted_percentiles(extent, voxels, (50, 90, 95)) if extent.size else None,
        touching_fraction=touching,
        border_fraction=float(cut.mean()) if cut.size else None,
        solidity=float(np.median(solidity)) if solidity.size else None,
        gap_nm=_gap(tables, touching),
    )


def _gap(tables: Sequence[InstanceTable], touching: float | None) -> float | None:
    if touching is not None and touching >= TOUCHING:
        return 0.0
    widths = np.concatenate([t.gap_nm for t in tables])
    return float(np.median(widths)) if widths.size else None
