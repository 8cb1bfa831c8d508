"""Connected components above a threshold: exact for any cutting into blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.kind import (
    Array,
    Block,
    Bool,
    Faces,
    Float32,
    Grid,
    Kind,
    Parameters,
    Regions,
    Stored,
    VolumeGraph,
    near_channels,
)
from pytc_auto.decoding.regions import grouped, numbered
from pytc_auto.geometry import Zyx
from pytc_auto.io.predictions import channel_slices, probabilities
from pytc_auto.schema.agreement import COMPONENTS as HEADS
from pytc_auto.schema.heads import DistanceHead, FlowHead, Head
from pytc_auto.schema.plan import Plan

FORWARD = (1, 4, 16)
"""The bits by which cc3d is told that a voxel is linked to the next one on the first, second and third axis; that one has the
double of it."""


def linked_components(links_kzyx: Bool) -> npt.NDArray[np.uint32]:
    """Components of voxels that are linked.

    Args:
        links_kzyx: (3, Z, Y, X), whether a voxel is linked to the one before it on z, y and x; at a face of the array, where
            there is none, it does not matter.

    Returns:
        (Z, Y, X), ids from 1; a voxel without links is a component by itself.
    """
    import cc3d

    graph = np.zeros(links_kzyx.shape[1:], np.uint8)
    for axis, bit in enumerate(FORWARD):
        link = np.moveaxis(links_kzyx[axis], axis, 0)[1:].view(np.uint8)
        moved = np.moveaxis(graph, axis, 0)
        moved[:-1] |= link * np.uint8(bit)
        moved[1:] |= link * np.uint8(2 * bit)
    found: npt.NDArray[np.uint32] = cc3d.color_connectivity_graph(graph, connectivity=6)
    return found


def touched(links_kzyx: Bool) -> Bool:
    """Which voxels have a link, (Z, Y, X); links as for ``linked_components``."""
    found = np.zeros(links_kzyx.shape[1:], np.bool_)
    for axis in range(3):
        link, moved = np.moveaxis(links_kzyx[axis], axis, 0)[1:], np.moveaxis(found, axis, 0)
        moved[1:] |= link
        moved[:-1] |= link
    return found


def _links(stored_czyx: Stored, plan: Plan, threshold: float) -> Bool:
    """Which voxels are linked to the one before, (3, Z, Y, X); never one that was not predicted."""
    head, channels = near_channels(plan, "components")
    levels = np.arange(256, dtype=np.uint8)[None, None, None].repeat(head.channels, 0)
    least = int((probabilities(levels, [head], plan.inference.logit_scale)[0, 0, 0] <= np.float32(threshold)).sum())
    predicted: Bool = (stored_czyx != 0).any(axis=0)
    links = np.zeros((3, *predicted.shape), np.bool_)
    for axis, channel in channels.items():
        np.logical_and(stored_czyx[channel] >= least, predicted, out=links[axis])
        np.moveaxis(links[axis], axis, 0)[1:] &= np.moveaxis(predicted, axis, 0)[:-1]
    return links


def _components(block: Block, plan: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Regions]]:
    import cc3d

    for threshold in grid["threshold"]:
        if _read(plan)[0].kind == "affinities":
            links = _links(block.stored_czyx, plan, threshold)
            ids = linked_components(links[(slice(None), *block.core.slices)])
            ids[~touched(links)[block.core.slices]] = 0
            ids = _dense(ids)
        else:
            above = _inside(block.stored_czyx[(slice(None), *block.core.slices)], plan) > np.float32(threshold)
            ids = cc3d.connected_components(above & block.predicted_zyx, connectivity=6, out_dtype=np.uint32)
        yield {"threshold": threshold}, Regions(ids, ids > 0, np.zeros(int(ids.max(initial=0)) + 1, np.int64))


def _read(plan: Plan) -> tuple[Head, slice]:
    """The head that is cut, and its channels; of a plan that has none of them the first."""
    heads = list(zip(plan.heads, channel_slices(plan.heads), strict=True))
    return min(heads, key=lambda pair: HEADS.index(pair[0].kind) if pair[0].kind in HEADS else len(HEADS))


def _inside(stored_czyx: Stored, plan: Plan) -> Float32:
    """How much a voxel is inside of an instance, 0 to 1; of a distance or flow the middle is at 0."""
    head, channels = _read(plan)
    first = probabilities(stored_czyx[channels], [head], plan.inference.logit_scale)[0]
    return (1 + first) / 2 if isinstance(head, DistanceHead | FlowHead) else first


def _dense(ids_zyx: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The same regions with ids 1 … N."""
    import fastremap

    number, _ = fastremap.renumber(ids_zyx, preserve_zero=True, in_place=True)
    return number.astype(np.uint32, copy=False)


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
