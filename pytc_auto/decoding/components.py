"""Connected components above a threshold: exact for any cutting into blocks."""

from __future__ import annotations

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
    near_channels,
)
from pytc_auto.decoding.regions import grouped, numbered
from pytc_auto.geometry import Box, Zyx
from pytc_auto.io.predictions import UInt8, channel_slices, is_predicted, probabilities
from pytc_auto.schema.agreement import COMPONENTS as HEADS
from pytc_auto.schema.heads import DistanceHead, Head
from pytc_auto.schema.plan import Plan

FORWARD = (16, 4, 1)
"""The bits by which cc3d, which wants x first, is told that a voxel is linked to the next one on z, y and x; that one has the
double of it."""


def voxel_graph(links_kzyx: Bool) -> UInt8:
    """The links of each voxel to those before and behind it, as bits of ``FORWARD``.

    Args:
        links_kzyx: (3, Z, Y, X), whether a voxel is linked to the one before it on z, y and x; at a face of the array, where
            there is none, it does not matter.

    Returns:
        (Z, Y, X); 0 is a voxel without links.
    """
    z, y, x = (np.uint8(bit) for bit in FORWARD)
    links, graph = links_kzyx.view(np.uint8), np.zeros(links_kzyx.shape[1:], np.uint8)
    for number in range(len(graph)):  # section by section, which stays in the cache
        graph_yx = graph[number]
        if number > 0:
            graph_yx += links[0, number] * (2 * z)
        if number + 1 < len(graph):
            graph_yx += links[0, number + 1] * z
        on_y, on_x, flat = links[1, number] * y, links[2, number] * x, graph_yx.reshape(-1)
        on_x[:, 0] = 0
        graph_yx[:-1] += on_y[1:]
        graph_yx[1:] += 2 * on_y[1:]
        flat[:-1] += on_x.reshape(-1)[1:]
        graph_yx += 2 * on_x
    return graph


def linked_components(graph_zyx: UInt8, part: Box) -> tuple[Ids, int]:
    """Components of voxels that are linked.

    Args:
        graph_zyx: From ``voxel_graph``.
        part: What is wanted; components that are linked outside of it only are several.

    Returns:
        Ids 1 … N of the part, 0 is a voxel without links in the part and to its surroundings; and N.
    """
    import cc3d

    graph = np.ascontiguousarray(graph_zyx[part.slices])
    found, count = cc3d.color_connectivity_graph(_thinned(graph).T, connectivity=6, return_N=True)
    ids_zyx: Ids = found.T
    linked = np.ones(count + 1, np.bool_)
    linked[0] = False
    for ids_yx, graph_yx in zip(ids_zyx, graph, strict=True):
        linked[ids_yx[graph_yx == 0]] = False
    number = np.cumsum(linked, dtype=np.uint32)
    number[~linked] = 0
    for ids_yx in ids_zyx:
        np.take(number, ids_yx, out=ids_yx, mode="clip")
    return ids_zyx, int(linked.sum())


def _thinned(graph_zyx: UInt8) -> UInt8:
    """The graph with fewer links back on x and z, and the same components: cc3d has less to join.

    Where all four links of a square are there, the one on x (or z) that lies farther on y is left out. The way around the square
    stays: none of the links on y is left out, and for the one that lies nearer there is a way around if it is left out, too.
    """
    z, _, x = (np.uint8(2 * bit) for bit in FORWARD)  # each four times the next
    thinned, row = graph_zyx.copy(), graph_zyx.shape[2]
    sections = graph_zyx.reshape(len(graph_zyx), -1)
    for number, (here, thin) in enumerate(zip(sections, thinned.reshape(sections.shape), strict=True)):
        square = (here[: -row - 1] << 1) & here[row + 1 :]  # of the first on x nonsense, but they have none before them
        thin[row + 1 :] ^= (square >> 2) & square & x
        if number > 0:
            square = (sections[number - 1, :-row] << 1) & here[row:]
            thin[row:] ^= (square << 2) & square & z
    return thinned


def _neighbors(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Voxels that have another one before them on an axis, and those others."""
    behind, before = ((*[slice(None)] * axis, end) for end in (slice(1, None), slice(None, -1)))
    return behind, before


def _links(stored_czyx: Stored, plan: Plan, threshold: float) -> Bool:
    """Which voxels are linked to the one before, (3, Z, Y, X); never one that was not predicted."""
    head, channels = near_channels(plan, "components")
    levels = np.arange(256, dtype=np.uint8)[None, None, None].repeat(head.channels, 0)
    least = int((probabilities(levels, [head], plan.inference.logit_scale)[0, 0, 0] <= np.float32(threshold)).sum())
    predicted = is_predicted(stored_czyx)
    links = np.zeros((3, *predicted.shape), np.bool_)
    for axis, channel in channels.items():
        np.greater_equal(stored_czyx[channel], least, out=links[axis])
        if not predicted.all():
            behind, before = _neighbors(axis)
            links[axis] &= predicted
            links[axis][behind] &= predicted[before]
    return links


def _components(block: Block, plan: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Regions]]:
    import cc3d

    for threshold in grid["threshold"]:
        if _read(plan)[0].kind == "affinities":
            ids, count = linked_components(voxel_graph(_links(block.stored_czyx, plan, threshold)), block.core)
        else:
            above = _inside(block.stored_czyx[(slice(None), *block.core.slices)], plan) > np.float32(threshold)
            above &= block.predicted_zyx
            ids, count = cc3d.connected_components(above, connectivity=6, out_dtype=np.uint32, return_N=True)
        yield {"threshold": threshold}, Regions(ids, None, np.zeros(count + 1, np.int64))


def _read(plan: Plan) -> tuple[Head, slice]:
    """The head that is cut, and its channels; of a plan that has none of them the first."""
    heads = list(zip(plan.heads, channel_slices(plan.heads), strict=True))
    return min(heads, key=lambda pair: HEADS.index(pair[0].kind) if pair[0].kind in HEADS else len(HEADS))


def _inside(stored_czyx: Stored, plan: Plan) -> Float32:
    """How much a voxel is inside of an instance, 0 to 1; of a distance the middle is at 0."""
    head, channels = _read(plan)
    first = probabilities(stored_czyx[channels], [head], plan.inference.logit_scale)[0]
    return (1 + first) / 2 if isinstance(head, DistanceHead) else first


def _faces(core_czyx: Stored, plan: Plan, parameters: Parameters) -> Faces:
    """Where affinities link, a face counts 1, elsewhere 0."""
    if _read(plan)[0].kind != "affinities":
        return Faces()
    links = _links(core_czyx, plan, parameters["threshold"])
    return Faces(affinities_kzyx=links.astype(np.float32))


def _joined(graph: VolumeGraph, _: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Array]]:
    linked = graph.crossing & (graph.whole.affinities > 0)
    lookup, sizes = grouped(graph.whole.pairs[linked], len(graph.whole.sizes)), graph.kept.sizes
    voxels = np.bincount(lookup, sizes, len(sizes))
    for min_size in grid["min_size"]:
        yield {"min_size": min_size}, numbered(np.where(voxels[lookup] >= min_size, lookup, 0), sizes)


def _halo(*_: object) -> Zyx:
    return (1, 1, 1)


COMPONENTS = Kind(
    defaults={"threshold": 0.5, "min_size": 0},
    late=frozenset({"min_size"}),
    block=(256, 256, 256),
    halo=_halo,
    regions=_components,
    faces=_faces,
    segments=_joined,
    within=False,
)
