"""The decoder ``seeded``: blobs grow over the foreground from seeds where foreground stands clear of boundary."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from pytc_auto.decoding.kind import (
    Array,
    Block,
    Bool,
    Faces,
    Float32,
    Grid,
    Ids,
    Kind,
    Parameters,
    Regions,
    Stored,
    VolumeGraph,
    cropped,
    of_head,
)
from pytc_auto.decoding.regions import Index, RegionGraph, absorb_small, numbered, same_seed
from pytc_auto.geometry import Box, Zyx
from pytc_auto.io.predictions import channel_slices, is_predicted, probabilities
from pytc_auto.schema.heads import DistanceHead
from pytc_auto.schema.plan import Plan

HALO: Zyx = (32, 32, 32)
"""Voxels around a block in which seeds are looked for. What grows from a seed farther off joins it in the block of the seed."""
EARLY = ("seed_threshold", "foreground_threshold", "distance_threshold")


def seed_mask(core_zyx: Float32, distance_zyx: Float32 | None, *, seed_threshold: float, distance_threshold: float) -> Bool:
    """Where seeds are.

    Args:
        core_zyx: Foreground minus boundary.
        distance_zyx: From 0 at the border of an instance to 1 far inside; negative in the background. None without a head.
        seed_threshold: A seed is where ``core_zyx`` is above it,
        distance_threshold: and the distance above this.
    """
    seeds: Bool = core_zyx > np.float32(seed_threshold)
    return seeds if distance_zyx is None else seeds & (distance_zyx > np.float32(distance_threshold))


def grown(seeds_zyx: Array, height_zyx: Float32, foreground_zyx: Bool) -> Ids:
    """Watershed from seeds, the highest voxels first, over the foreground that is connected to them.

    Args:
        seeds_zyx: Ids 1 … N, 0 between them.
        height_zyx: The distance where there is one, else foreground minus boundary.
        foreground_zyx: What may be covered.
    """
    from skimage.segmentation import watershed

    return watershed(-height_zyx, seeds_zyx.astype(np.int32), mask=foreground_zyx).astype(np.uint32)


def _maps(stored_czyx: Stored, plan: Plan) -> tuple[Float32, Float32, Float32 | None]:
    """Foreground, foreground minus boundary, and the first distance head's values."""
    foreground = of_head(stored_czyx, plan, "foreground", "seeded")[0]
    core = foreground - of_head(stored_czyx, plan, "boundary", "seeded")[0]
    for head, channels in zip(plan.heads, channel_slices(plan.heads), strict=True):
        if isinstance(head, DistanceHead):
            return foreground, core, probabilities(stored_czyx[channels], [head], plan.inference.logit_scale)[0]
    return foreground, core, None


def _seeds(stored_czyx: Stored, plan: Plan, parameters: Parameters) -> Bool:
    """Where seeds are; none where nothing was predicted."""
    _, core, distance = _maps(stored_czyx, plan)
    thresholds = {name: parameters[name] for name in ("seed_threshold", "distance_threshold")}
    return seed_mask(core, distance, **thresholds) & is_predicted(stored_czyx)


def _regions(block: Block, plan: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Regions]]:
    """What grows from each seed, with the seed's id; then foreground that no seed of the block and its halo reaches, with 0."""
    import cc3d

    foreground, core, distance = _maps(block.stored_czyx, plan)
    predicted = is_predicted(block.stored_czyx)
    for values in itertools.product(*(grid[name] for name in EARLY)):
        given = dict(zip(EARLY, values, strict=True))
        seeds = block.seeds_zyx
        if seeds is None:
            mask = seed_mask(core, distance, seed_threshold=values[0], distance_threshold=values[2])
            seeds = cc3d.connected_components(mask & predicted, connectivity=6)
        local, before = cropped(seeds, Box.of_shape(seeds.shape))
        covered = (foreground > np.float32(given["foreground_threshold"])) & predicted
        ids, names = cropped(grown(local, core if distance is None else distance, covered), block.core)
        rest = cc3d.connected_components(covered[block.core.slices] & (ids == 0), connectivity=6, out_dtype=np.uint32)
        ids += np.where(rest > 0, rest + np.uint32(len(names) - 1), np.uint32(0))
        found = np.concatenate([before[names].astype(np.int64), np.zeros(int(rest.max(initial=0)), np.int64)])
        yield given, Regions(ids, None, found)


def _segments(graph: VolumeGraph, _: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Array]]:
    lookup = _joined(graph)
    joined = graph.kept.joined(lookup)
    for min_size in grid["min_size"]:
        yield {"min_size": min_size}, numbered(absorb_small(joined, int(min_size), by="contact")[lookup], graph.kept.sizes)


def _joined(graph: VolumeGraph) -> Index:
    """Regions of the same seed are one; what has none belongs to what it touches across a face between blocks, or to nothing."""
    seeds, sizes = graph.values, graph.kept.sizes
    lookup = same_seed(seeds)
    of_seeds = graph.kept.joined(lookup)
    lookup_of_rest = absorb_small(
        RegionGraph(np.where(seeds > 0, sizes.sum() + 1, sizes), of_seeds.pairs, of_seeds.contacts, of_seeds.affinities),
        int(sizes.sum()) + 1,
        by="contact",
    )
    return lookup_of_rest[lookup]


def _faces(*_: object) -> Faces:
    return Faces()


def _halo(*_: object) -> Zyx:
    return HALO


SEEDED = Kind(
    defaults={"seed_threshold": 0.5, "foreground_threshold": 0.5, "distance_threshold": 0, "min_size": 0},
    late=frozenset({"min_size"}),
    block=(192, 192, 192),
    halo=_halo,
    regions=_regions,
    faces=_faces,
    segments=_segments,
    seeds=_seeds,
)
