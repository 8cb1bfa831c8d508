"""The decoders ``agglomerate`` and ``mutex``: from affinities, filling everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pytc_auto.decoding.agglomerate import Merges, merges
from pytc_auto.decoding.kind import (
    Array,
    Block,
    Faces,
    Grid,
    Ids,
    Kind,
    Near,
    Parameters,
    Regions,
    Stored,
    VolumeGraph,
    cropped,
    near_affinities,
    of_head,
)
from pytc_auto.decoding.mutex import mutex_segments
from pytc_auto.decoding.regions import Index, RegionGraph, absorb_small, grouped, numbered, same_seed
from pytc_auto.decoding.watershed import FLAT, fragments_from_affinities
from pytc_auto.geometry import Box, Zyx, anisotropy, cutting_axis, zyx
from pytc_auto.schema.plan import Plan

FRAGMENT_HALO = 32
"""Voxels around a block in which the distance to the membrane is measured: what is farther off is deep inside an object."""
FLOODED_HALO = 20
"""Voxels around a block that are flooded with it: so that a fragment that lies in two blocks is seen whole in both."""
LEAST_MUTEX_HALO = 16


def _fragments(block: Block, plan: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Regions]]:
    near = near_affinities(block.stored_czyx, plan, "agglomerate")
    flooded = block.core.grow(_limited(plan, FLOODED_HALO)).intersect(Box.of_shape(block.stored_czyx.shape[1:]))
    fragments = fragments_from_affinities(near.affinities_kzyx, plan.working_voxel_size_nm, near.inner_axes, flooded=flooded)
    core, seeds = block.core.relative_to(flooded.start), block.number(fragments.seeds + np.array(flooded.start))
    ids = fragments.ids_zyx[core.slices]
    for quantile in grid["quantile"]:
        for parameters, regions in _foregrounds(block, ids, near, grid, seeds, histograms=quantile > 0):
            yield {"quantile": quantile, **parameters}, regions


def _fragment_halo(plan: Plan, _: Parameters) -> Zyx:
    return _limited(plan, FRAGMENT_HALO)


def _limited(plan: Plan, halo: int) -> Zyx:
    """The halo; one voxel across sections that are flooded by themselves."""
    size = plan.working_voxel_size_nm
    apart = anisotropy(size) >= FLAT
    return zyx([1 if axis == cutting_axis(size) and apart else halo for axis in range(3)])


def _mutex(block: Block, plan: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Regions]]:
    near = near_affinities(block.stored_czyx, plan, "mutex")
    affinities = of_head(block.stored_czyx, plan, "affinities", "mutex")
    for bias in grid["bias"]:
        segments = mutex_segments(
            affinities,
            plan.offsets,
            bias,
            inside_zyx=near.inside(),
            axes=near.inner_axes,
            voxel_size_nm=plan.working_voxel_size_nm,
        )
        beyond = _beyond(segments, block)
        for parameters, regions in _foregrounds(block, segments[block.core.slices], near, grid):
            yield {"bias": bias, **parameters}, replace(regions, beyond=beyond)


def _beyond(segments_zyx: Ids, block: Block) -> tuple[Ids, ...]:
    """The segments of the core where they go on behind it, on each axis, with the ids that they have in the core."""
    if block.core.stop == segments_zyx.shape:
        return ()
    _, names = cropped(segments_zyx[block.core.slices] * block.predicted_zyx, Box.of_shape(block.core.shape))
    number = np.zeros(int(segments_zyx.max(initial=0)) + 1, np.uint32)
    number[names] = np.arange(len(names))
    behind = []
    for axis in range(3):
        place = list(block.core.slices)
        place[axis] = slice(block.core.stop[axis], None)
        behind.append(number[segments_zyx[tuple(place)]])
    return tuple(behind)


def _mutex_halo(plan: Plan, _: Parameters) -> Zyx:
    """As far as the longest offset reaches on each axis, at least a little."""
    return zyx([max(LEAST_MUTEX_HALO, *(abs(offset[axis]) for offset in plan.offsets)) for axis in range(3)])


def _foregrounds(
    block: Block, core_zyx: Ids, near: Near, grid: Grid, seeds: Index | None = None, *, histograms: bool = False
) -> Iterator[tuple[dict[str, float], Regions]]:
    """For each foreground threshold the regions; the ids are the same array. The values are the numbers of the seeds."""
    predicted = block.predicted_zyx
    ids, before = cropped(core_zyx if predicted.all() else core_zyx * predicted, Box.of_shape(block.core.shape))
    values = np.zeros(len(before), np.int64) if seeds is None else np.where(before > 0, seeds[before], 0)
    faces = Faces(near.axes, near.affinities_kzyx[(slice(None), *block.core.slices)], histograms)
    for least in grid["foreground_threshold"]:
        kept = None if least <= 0 else near.inside()[block.core.slices] >= least
        yield {"foreground_threshold": least}, Regions(ids, kept, values, faces=faces)


def _faces(core_czyx: Stored, plan: Plan, parameters: Parameters) -> Faces:
    near = near_affinities(core_czyx, plan, "agglomerate")
    return Faces(near.axes, near.affinities_kzyx, parameters.get("quantile", 0) > 0)


def _merges(graph: RegionGraph, seeds: Index, parameters: Parameters) -> Merges:
    """Of fragments; the parts of one that lie in several blocks have the same seed, and are one from the start."""
    return merges(graph.joined(same_seed(seeds)), parameters["quantile"])


def _agglomerated(graph: VolumeGraph, _: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Array]]:
    one, order = same_seed(graph.values), graph.merges
    assert order is not None
    for threshold in grid["threshold"]:
        for min_size, lookup in _without_small(order.lookup(threshold)[one], graph.kept, grid):
            yield {"threshold": threshold, "min_size": min_size}, lookup


def _mutex_joined(graph: VolumeGraph, _: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Array]]:
    lookup = np.arange(len(graph.values)) if graph.same is None else grouped(graph.same, len(graph.values))
    for min_size, final in _without_small(lookup, graph.kept, grid):
        yield {"min_size": min_size}, final


def _without_small(lookup: Index, kept: RegionGraph, grid: Grid) -> Iterator[tuple[float, Array]]:
    """Small segments are given to neighbors, and removed where they have none."""
    joined = kept.joined(lookup)
    for min_size in grid["min_size"]:
        yield min_size, numbered(absorb_small(joined, int(min_size), by="affinity")[lookup], kept.sizes)


AGGLOMERATE = Kind(
    defaults={"threshold": 0.5, "min_size": 0, "foreground_threshold": 0, "quantile": 0},
    late=frozenset({"threshold", "min_size"}),
    block=(192, 192, 192),
    halo=_fragment_halo,
    regions=_fragments,
    faces=_faces,
    segments=_agglomerated,
    merges=_merges,
)
MUTEX = Kind(
    defaults={"bias": 0.5, "min_size": 0, "foreground_threshold": 0},
    late=frozenset({"min_size"}),
    block=(128, 128, 128),
    halo=_mutex_halo,
    regions=_mutex,
    faces=_faces,
    segments=_mutex_joined,
)
