"""Stored prediction to segmentation: the table of kinds, one decoder or a whole grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.agglomerate import merges
from pytc_auto.decoding.argmax import class_values
from pytc_auto.decoding.components import foreground_components
from pytc_auto.decoding.mutex import mutex_segments
from pytc_auto.decoding.polarity import synapse_sides
from pytc_auto.decoding.regions import RegionGraph, absorb_small, region_graph
from pytc_auto.decoding.seeded import seeded_segments
from pytc_auto.decoding.watershed import fragments_from_affinities, interior
from pytc_auto.errors import PlanError
from pytc_auto.geometry import AXES, Zyx
from pytc_auto.io.predictions import channel_slices, probabilities
from pytc_auto.schema.agreement import COMPONENTS
from pytc_auto.schema.heads import DistanceHead, FlowHead
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import ClassLabels, Decoder, Plan

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]
Ids = npt.NDArray[np.uint32]
Stored = npt.NDArray[np.uint8]
Grid = Mapping[str, list[float]]
Found = Iterator[tuple[dict[str, float], Array]]
HeadKind = Literal["affinities", "foreground", "boundary", "classes", "polarity"]
ONE_STEP: tuple[Zyx, Zyx, Zyx] = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))


@dataclass(frozen=True)
class Kind:
    """One way to decode.

    Attributes:
        defaults: Its parameters, with the value of each that a grid or a choice does not give.
        run: Yields every combination of a complete grid with its segmentation.
    """

    defaults: Mapping[str, float]
    run: Callable[[Stored, Plan, Grid], Found]


@dataclass(frozen=True, eq=False)
class Near:
    """One-step affinities.

    Attributes:
        affinities_kzyx: On z, y and x, (3, Z, Y, X); 0 on an axis without them.
        axes: Those that have them and more than one voxel.
        inside_zyx: Their mean over both sides of a voxel, over all axes.
    """

    affinities_kzyx: Float32
    axes: list[int]
    inside_zyx: Float32


def decode(stored_czyx: Stored, plan: Plan, choice: DecoderChoice) -> Array:
    """Segment a stored prediction.

    Args:
        stored_czyx: (C, Z, Y, X) uint8 as ``io.predictions`` stores it.
        plan: Heads, labels, voxel size.
        choice: Decoder and parameters; a parameter that is not given has the default of ``KINDS``.

    Returns:
        (Z, Y, X): instance ids from 1 as uint32, 0 is background; the sides of synapse k are 2k - 1 and 2k. Or raw class
        values in the smallest unsigned type. 0 where nothing was predicted, which is stored as 0 in every channel.

    Raises:
        PlanError: The decoder does not know a parameter, or the plan has no head for it.
    """
    kind = KINDS[choice.kind]
    _refuse_unknown(choice.parameters, kind.defaults, f"decoder {choice.kind}")
    grid = {name: [choice.parameters.get(name, default)] for name, default in kind.defaults.items()}
    segmentation = next(segmentation for _, segmentation in kind.run(stored_czyx, plan, grid))
    return _where(_predicted(stored_czyx), segmentation)


def candidates(stored_czyx: Stored, plan: Plan) -> Iterator[tuple[DecoderChoice, Array]]:
    """Every decoder of the plan with every combination of those parameters in its grid that it takes.

    Work that combinations share is done once. Arguments and errors as for ``decode``, which gives the same for each choice.
    """
    predicted_zyx = _predicted(stored_czyx)
    known = {name: value for kind in plan.decoder.kinds for name, value in KINDS[kind].defaults.items()}
    _refuse_unknown(plan.decoder.grid, known, f"{plan.name}: decoder.grid")
    for name in plan.decoder.kinds:
        kind = KINDS[name]
        grid = {parameter: plan.decoder.grid.get(parameter, [default]) for parameter, default in kind.defaults.items()}
        for parameters, segmentation in kind.run(stored_czyx, plan, grid):
            yield DecoderChoice(kind=name, parameters=parameters), _where(predicted_zyx, segmentation)


def _predicted(stored_czyx: Stored) -> npt.NDArray[np.bool_]:
    """Where anything was predicted, (Z, Y, X)."""
    return np.any(stored_czyx != 0, axis=0)


def _where(predicted_zyx: npt.NDArray[np.bool_], segmentation_zyx: Array) -> Array:
    """The segmentation, 0 where nothing was predicted."""
    return segmentation_zyx if predicted_zyx.all() else segmentation_zyx * predicted_zyx


def combinations(decoder: Decoder) -> int:
    """How many candidates a plan's decoders and grid make."""
    return sum(math.prod(len(decoder.grid.get(name, [0])) for name in KINDS[kind].defaults) for kind in decoder.kinds)


def _refuse_unknown(given: Mapping[str, object], known: Mapping[str, object], where: str) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise PlanError(f"{where}: unknown parameter {', '.join(unknown)}. Known are {', '.join(known)}.")


def _head(stored_czyx: Stored, plan: Plan, kind: HeadKind, decoder: str) -> Float32:
    """Probabilities of the channels of one head."""
    for head, channels in zip(plan.heads, channel_slices(plan.heads), strict=True):
        if head.kind == kind:
            return probabilities(stored_czyx[channels], [head], plan.inference.logit_scale)
    heads = ", ".join(head.kind for head in plan.heads)
    raise PlanError(f"{plan.name}: decoder {decoder} needs a head of kind {kind}, the plan has {heads}. Choose another decoder.")


def _near(affinities_kzyx: Float32, plan: Plan) -> Near:
    """The one-step affinities among all."""
    extent = affinities_kzyx.shape[1:]
    present = [axis for axis, step in enumerate(ONE_STEP) if step in plan.offsets]
    missing = [AXES[axis] for axis in (1, 2) if axis not in present]
    if missing:
        raise PlanError(f"{plan.name}: heads have no offset of one voxel back on {', '.join(missing)}. Add it and train again.")
    near = np.zeros((3, *extent), np.float32)
    for axis in present:
        near[axis] = affinities_kzyx[plan.offsets.index(ONE_STEP[axis])]
    axes = [axis for axis in present if extent[axis] > 1]
    return Near(near, axes, interior(near, axes))


def _agglomerate(stored_czyx: Stored, plan: Plan, grid: Grid) -> Found:
    near = _near(_head(stored_czyx, plan, "affinities", "agglomerate"), plan)
    fragments = fragments_from_affinities(near.affinities_kzyx, plan.working_voxel_size_nm, near.axes)
    order = merges(near.affinities_kzyx, fragments)
    for least, kept, graph in _foregrounds(fragments, near, grid):
        for threshold in grid["threshold"]:
            for min_size, found in _without_small(kept, order.lookup(threshold), graph, grid):
                yield {"threshold": threshold, "min_size": min_size, "foreground_threshold": least}, found


def _mutex(stored_czyx: Stored, plan: Plan, grid: Grid) -> Found:
    affinities = _head(stored_czyx, plan, "affinities", "mutex")
    near, voxel_size = _near(affinities, plan), plan.working_voxel_size_nm
    for bias in grid["bias"]:
        segments = mutex_segments(
            affinities, plan.offsets, bias, inside_zyx=near.inside_zyx, axes=near.axes, voxel_size_nm=voxel_size
        )
        for least, kept, graph in _foregrounds(segments, near, grid):
            for min_size, found in _without_small(kept, np.arange(len(graph.sizes)), graph, grid):
                yield {"bias": bias, "min_size": min_size, "foreground_threshold": least}, found


def _foregrounds(regions_zyx: Ids, near: Near, grid: Grid) -> Iterator[tuple[float, Ids, RegionGraph]]:
    """For each foreground threshold the regions inside it and their graph."""
    highest = int(regions_zyx.max(initial=0))
    for least in grid["foreground_threshold"]:
        kept = regions_zyx if least <= 0 else np.where(near.inside_zyx >= least, regions_zyx, np.uint32(0))
        yield least, kept, region_graph(kept, near.axes, near.affinities_kzyx, highest=highest)


def _without_small(
    regions_zyx: Ids, lookup: npt.NDArray[np.int64], graph: RegionGraph, grid: Grid
) -> Iterator[tuple[float, Ids]]:
    """Regions joined by a lookup; small segments are given to neighbors, and removed where they have none."""
    joined = graph.joined(lookup)
    for min_size in grid["min_size"]:
        yield min_size, _numbered(absorb_small(joined, int(min_size), by="affinity")[lookup])[regions_zyx]


def _numbered(lookup: npt.NDArray[np.int64]) -> Ids:
    """The same lookup with ids 1, 2, 3 … in place of those that occur; 0 stays."""
    _, numbered = np.unique(np.concatenate([[0], lookup]), return_inverse=True)
    result: Ids = numbered[1:].astype(np.uint32)
    result[0] = 0
    return result


def _seeded(stored_czyx: Stored, plan: Plan, grid: Grid) -> Found:
    foreground = _head(stored_czyx, plan, "foreground", "seeded")[0]
    boundary = _head(stored_czyx, plan, "boundary", "seeded")[0]
    distance = _distance(stored_czyx, plan)
    thresholds = ("seed_threshold", "foreground_threshold", "distance_threshold")
    for values in itertools.product(*(grid[name] for name in thresholds)):
        parameters = dict(zip(thresholds, values, strict=True))
        segments = seeded_segments(foreground, boundary, distance, **parameters)
        graph = region_graph(segments)
        for min_size in grid["min_size"]:
            lookup = _numbered(absorb_small(graph, int(min_size), by="contact"))
            yield {**parameters, "min_size": min_size}, lookup[segments]


def _distance(stored_czyx: Stored, plan: Plan) -> Float32 | None:
    """The first distance head's values; None without one."""
    for head, channels in zip(plan.heads, channel_slices(plan.heads), strict=True):
        if isinstance(head, DistanceHead):
            return probabilities(stored_czyx[channels], [head], plan.inference.logit_scale)[0]
    return None


def _components(stored_czyx: Stored, plan: Plan, grid: Grid) -> Found:
    heads = list(zip(plan.heads, channel_slices(plan.heads), strict=True))
    head, channels = min(
        heads, key=lambda pair: COMPONENTS.index(pair[0].kind) if pair[0].kind in COMPONENTS else len(COMPONENTS)
    )
    first = probabilities(stored_czyx[channels], [head], plan.inference.logit_scale)[0]
    inside = (1 + first) / 2 if isinstance(head, DistanceHead | FlowHead) else first
    for threshold in grid["threshold"]:
        for min_size, found in foreground_components(inside, threshold, grid["min_size"]):
            yield {"threshold": threshold, "min_size": min_size}, found


def _argmax(stored_czyx: Stored, plan: Plan, grid: Grid) -> Found:
    if not isinstance(plan.labels, ClassLabels):
        raise PlanError(f"{plan.name}: decoder argmax needs labels of kind classes, the plan has {plan.labels.kind}.")
    scores = _head(stored_czyx, plan, "classes", "argmax")
    for min_size in grid["min_size"]:
        yield {"min_size": min_size}, class_values(scores, list(plan.labels.values), int(min_size))


def _polarity(stored_czyx: Stored, plan: Plan, grid: Grid) -> Found:
    sides, voxel_size = _head(stored_czyx, plan, "polarity", "polarity"), plan.working_voxel_size_nm
    for least, gap, min_size in itertools.product(grid["threshold"], grid["gap_nm"], grid["min_size"]):
        found = synapse_sides(sides, voxel_size, threshold=least, gap_nm=gap, min_size=int(min_size))
        yield {"threshold": least, "gap_nm": gap, "min_size": min_size}, found


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "agglomerate": Kind({"threshold": 0.5, "min_size": 0, "foreground_threshold": 0}, _agglomerate),
        "mutex": Kind({"bias": 0.5, "min_size": 0, "foreground_threshold": 0}, _mutex),
        "seeded": Kind({"seed_threshold": 0.5, "foreground_threshold": 0.5, "distance_threshold": 0, "min_size": 0}, _seeded),
        "components": Kind({"threshold": 0.5, "min_size": 0}, _components),
        "argmax": Kind({"min_size": 0}, _argmax),
        "polarity": Kind({"threshold": 0.5, "gap_nm": 0, "min_size": 0}, _polarity),
    }
)
"""Every kind of decoder. Sizes are in voxels, gaps in nm; the other parameters lie in 0 … 1.

The distance threshold counts where a plan has a distance head."""
