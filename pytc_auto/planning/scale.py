"""The working scale: the stored grid, or twice as coarse in the plane of thin sections."""

from __future__ import annotations

from pytc_auto.geometry import Zyx
from pytc_auto.planning.decisions import Decision
from pytc_auto.schema.fingerprint import Fingerprint

FINE_IN_PLANE_NM = 5.0
THICK_SECTION_NM = 30.0
LEAST_DIAMETER = 8.0
LEAST_GAP = 2.0


def choose_scale(fingerprint: Fingerprint) -> Decision[Zyx]:
    """Halve the in-plane grid of finely sampled thick sections where structures and gaps stay resolved.

    The volume-weighted 10th percentile of the inscribed diameter must keep 8 voxels, the gap between neighbors 2. Where either
    is not known, the stored grid stays.
    """
    size, cut = fingerprint.voxel_size_nm, fingerprint.cutting_axis
    plane = [s for i, s in enumerate(size) if i != cut]
    facts = fingerprint.labels.instances if fingerprint.labels else None
    diameter = facts.diameter_nm["p10"] if facts and facts.diameter_nm else None
    gap = facts.gap_nm if facts else None
    coarse = 2 * max(plane)
    numbers = {"in_plane_nm": max(plane), "section_nm": size[cut], "diameter_p10_nm": diameter, "gap_nm": gap}
    if max(plane) > FINE_IN_PLANE_NM or size[cut] < THICK_SECTION_NM:
        return Decision((1, 1, 1), "scale.finest", dict(numbers))
    if diameter is None or gap is None:
        return Decision((1, 1, 1), "scale.unknown_structures", dict(numbers))
    if diameter < LEAST_DIAMETER * coarse or gap < LEAST_GAP * coarse:
        return Decision((1, 1, 1), "scale.keeps_structures", dict(numbers))
    factor = [1 if i == cut else 2 for i in range(3)]
    return Decision((factor[0], factor[1], factor[2]), "scale.half_in_plane", dict(numbers))
