"""Stored prediction to segmentation: the table of kinds, one decoder or a whole grid."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.agglomerate import agglomerated
from pytc_auto.decoding.argmax import class_values
from pytc_auto.decoding.mutex import mutex_segments
from pytc_auto.decoding.seeded import seeded_segments
from pytc_auto.decoding.small import merge_small, remove_small
from pytc_auto.decoding.watershed import boundary_map, fragments_from_affinities
from pytc_auto.errors import PlanError
from pytc_auto.io.predictions import probabilities
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import ClassLabels, Plan

Array = npt.NDArray[Any]
Stored = npt.NDArray[np.uint8]
Grid = Mapping[str, list[float]]

PARAMETERS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "agglomerate": MappingProxyType({"threshold": 0.5, "min_size": 0, "foreground_threshold": 0.0}),
        "mutex": MappingProxyType({"bias": 0.5, "min_size": 0, "foreground_threshold": 0.0}),
        "seeded": MappingProxyType({"seed_threshold": 0.5, "foreground_threshold": 0.5, "min_size": 0}),
        "argmax": MappingProxyType({"min_size": 0}),
    }
)
"""What each kind takes, and the value where a grid has none."""


def decode(stored_czyx: Stored, plan: Plan, choice: DecoderChoice) -> Array:
    """Segment a stored prediction.

    Args:
        stored_czyx: uint8 as ``io.predictions`` stores it.
        plan: Heads, labels, voxel size.
        choice: Decoder and parameters.

    Returns:
        (Z, Y, X): uint32 ids with 0 as background, or raw class values.

    Raises:
        PlanError: The decoder does not know a parameter.
    """
    unknown = sorted(set(choice.parameters) - set(PARAMETERS[choice.kind]))
    if unknown:
        known = ", ".join(PARAMETERS[choice.kind])
        raise PlanError(f"decoder {choice.kind}: unknown parameter {', '.join(unknown)}. It knows {known}.")
    grid = {name: [value] for name, value in choice.parameters.items()}
    return next(segmentation for _, segmentation in _RUN[choice.kind](stored_czyx, plan, grid))


def candidates(stored_czyx: Stored, plan: Plan) -> Iterator[tuple[DecoderChoice, Array]]:
    """Every decoder of the plan's grid with its segmentation; shared work is done once."""
    for kind in plan.decoder.kinds:
        yield from _RUN[kind](stored_czyx, plan, plan.decoder.grid)


def _values(kind: str, grid: Grid, name: str) -> list[float]:
    return list(grid.get(name, [PARAMETERS[kind][name]]))


def _agglomerate(stored_czyx: Stored, plan: Plan, grid: Grid) -> Iterator[tuple[DecoderChoice, Array]]:
    near = _near(probabilities(stored_czyx, plan.heads), plan)
    fragments = fragments_from_affinities(near, plan.working_voxel_size_nm)
    thresholds = sorted(_values("agglomerate", grid, "threshold"))
    for threshold, segments in zip(thresholds, agglomerated(near, fragments, thresholds), strict=True):
        yield from _finished("agglomerate", {"threshold": threshold}, segments, near, grid)


def _mutex(stored_czyx: Stored, plan: Plan, grid: Grid) -> Iterator[tuple[DecoderChoice, Array]]:
    affinities = probabilities(stored_czyx, plan.heads)
    near = _near(affinities, plan)
    for bias in _values("mutex", grid, "bias"):
        yield from _finished("mutex", {"bias": bias}, mutex_segments(affinities, plan.offsets, bias), near, grid)


def _finished(
    kind: str, parameters: dict[str, float], segments: npt.NDArray[np.uint64], near: npt.NDArray[np.float32], grid: Grid
) -> Iterator[tuple[DecoderChoice, Array]]:
    """Small segments merged, background taken out."""
    inside = boundary_map(near)
    for min_size in _values(kind, grid, "min_size"):
        merged = merge_small(segments, near, int(min_size))
        for foreground in _values(kind, grid, "foreground_threshold"):
            result = merged
            if foreground > 0:
                result = remove_small(np.where(inside >= foreground, merged, 0), max(1, int(min_size)))
            choice = {**parameters, "min_size": min_size, "foreground_threshold": foreground}
            yield _choice(kind, choice), result.astype(np.uint32)


def _near(affinities_kzyx: npt.NDArray[np.float32], plan: Plan) -> npt.NDArray[np.float32]:
    """The one-step affinities on z, y and x; an axis without one has no neighbors (0)."""
    near = np.zeros((3, *affinities_kzyx.shape[1:]), np.float32)
    for axis in range(3):
        step = tuple(-1 if i == axis else 0 for i in range(3))
        if step in plan.offsets:
            near[axis] = affinities_kzyx[plan.offsets.index(step)]
    return near


def _seeded(stored_czyx: Stored, plan: Plan, grid: Grid) -> Iterator[tuple[DecoderChoice, Array]]:
    values = probabilities(stored_czyx, plan.heads)
    kinds = [head.kind for head in plan.heads]
    foreground, boundary = values[kinds.index("foreground")], values[kinds.index("boundary")]
    names = ("seed_threshold", "foreground_threshold")
    for seed, inside in itertools.product(*(_values("seeded", grid, name) for name in names)):
        segments = seeded_segments(foreground, boundary, seed_threshold=seed, foreground_threshold=inside)
        for min_size in _values("seeded", grid, "min_size"):
            result = remove_small(segments.astype(np.uint64), max(1, int(min_size))).astype(np.uint32)
            yield _choice("seeded", {"seed_threshold": seed, "foreground_threshold": inside, "min_size": min_size}), result


def _argmax(stored_czyx: Stored, plan: Plan, grid: Grid) -> Iterator[tuple[DecoderChoice, Array]]:
    if not isinstance(plan.labels, ClassLabels):
        raise PlanError(f"{plan.name}: decoder argmax needs labels of kind classes, the plan has {plan.labels.kind}.")
    for min_size in _values("argmax", grid, "min_size"):
        yield _choice("argmax", {"min_size": min_size}), class_values(stored_czyx, list(plan.labels.values), int(min_size))


def _choice(kind: str, parameters: dict[str, float]) -> DecoderChoice:
    return DecoderChoice.parse({"kind": kind, "parameters": parameters}, "decoder")


_RUN = MappingProxyType({"agglomerate": _agglomerate, "mutex": _mutex, "seeded": _seeded, "argmax": _argmax})
