"""The decoder ``argmax``: the most probable class; specks take the class around them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytc_auto.decoding.kind import Array, Block, Faces, Grid, Kind, Parameters, Regions, VolumeGraph, of_head
from pytc_auto.decoding.regions import absorb_small, grouped
from pytc_auto.errors import PlanError
from pytc_auto.geometry import Zyx
from pytc_auto.schema.plan import ClassLabels, Plan


def _labels(plan: Plan) -> ClassLabels:
    if not isinstance(plan.labels, ClassLabels):
        raise PlanError(f"{plan.name}: decoder argmax needs labels of kind classes, the plan has {plan.labels.kind}.")
    return plan.labels


def _regions(block: Block, plan: Plan, _: Grid) -> Iterator[tuple[dict[str, float], Regions]]:
    """6-connected components of each class, with their class."""
    import cc3d

    _labels(plan)
    scores = of_head(block.stored_czyx[(slice(None), *block.core.slices)], plan, "classes", "argmax")
    classes, predicted = scores.argmax(0).astype(np.uint16), block.predicted_zyx
    ids = cc3d.connected_components((classes + 1) * predicted, connectivity=6, out_dtype=np.uint32)
    values = np.zeros(int(ids.max(initial=0)) + 1, np.int64)
    values[ids.reshape(-1)] = classes.reshape(-1)
    yield {}, Regions(ids, predicted, values)


def _segments(graph: VolumeGraph, plan: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Array]]:
    """Raw label values; a component under ``min_size`` takes the class of the one with which it has the longest border."""
    raw = list(_labels(plan).values)
    raw_of_class = np.asarray(raw, np.min_scalar_type(max(raw)))
    same = graph.crossing & (graph.values[graph.whole.pairs[:, 0]] == graph.values[graph.whole.pairs[:, 1]])
    lookup = grouped(graph.whole.pairs[same], len(graph.values))
    joined = graph.kept.joined(lookup)
    for min_size in grid["min_size"]:
        taken = absorb_small(joined, int(min_size), by="contact")
        alone = taken == 0
        taken[alone] = np.flatnonzero(alone)
        final = raw_of_class[graph.values[taken[lookup]]]
        final[0] = 0
        yield {"min_size": min_size}, final


def _faces(*_: object) -> Faces:
    return Faces()


def _halo(_: Plan, __: Parameters) -> Zyx:
    return (0, 0, 0)


ARGMAX = Kind(
    defaults={"min_size": 0},
    late=frozenset({"min_size"}),
    block=(256, 256, 256),
    halo=_halo,
    regions=_regions,
    faces=_faces,
    segments=_segments,
)
