"""Stored prediction to segmentation: the table of kinds, one decoder or a whole grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from numbers import Real
from types import MappingProxyType

import numpy as np

from pytc_auto.decoding.affinity_kinds import AGGLOMERATE, MUTEX
from pytc_auto.decoding.argmax import ARGMAX
from pytc_auto.decoding.components import COMPONENTS
from pytc_auto.decoding.kind import Array, Block, Grid, Kind, Parameters, Regions, Stored, VolumeGraph, inner_graph, kept_ids
from pytc_auto.decoding.polarity import POLARITY
from pytc_auto.decoding.seeded import SEEDED
from pytc_auto.errors import PlanError
from pytc_auto.geometry import Box
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Decoder, Plan

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "agglomerate": AGGLOMERATE,
        "mutex": MUTEX,
        "components": COMPONENTS,
        "seeded": SEEDED,
        "argmax": ARGMAX,
        "polarity": POLARITY,
    }
)
"""Every kind of decoder. Sizes are in voxels, gaps in nm; the other parameters lie in 0 … 1. Quantile 0 is the mean.

The distance threshold counts where a plan has a distance head."""

LENGTHS = frozenset({"min_size", "gap_nm"})
"""Parameters without an upper limit."""


def decode(stored_czyx: Stored, plan: Plan, choice: DecoderChoice) -> Array:
    """Segment a stored prediction that is held in memory.

    Args:
        stored_czyx: (C, Z, Y, X) uint8 as ``io.predictions`` stores it.
        plan: Heads, labels, voxel size.
        choice: Decoder and parameters; a parameter that is not given has the default of ``KINDS``.

    Returns:
        (Z, Y, X): instance ids 1, 2, 3 … as uint32, 0 is background; the sides of synapse k are 2k - 1 and 2k. Or raw class
        values in the smallest unsigned type. 0 where nothing was predicted, which is stored as 0 in every channel.

    Raises:
        PlanError: The decoder does not know a parameter, or the plan has no head for it.
    """
    grid = {name: [value] for name, value in complete(choice).parameters.items()}
    return next(segmentation for _, segmentation in _decoded(KINDS[choice.kind], stored_czyx, plan, grid))


def candidates(stored_czyx: Stored, plan: Plan) -> Iterator[tuple[DecoderChoice, Array]]:
    """Every decoder of the plan with every combination of those parameters in its grid that it takes.

    Work that combinations share is done once. Arguments and errors as for ``decode``, which gives the same for each choice.
    """
    known = {name: value for kind in plan.decoder.kinds for name, value in KINDS[kind].defaults.items()}
    refuse_unknown(plan.decoder.grid, known, f"{plan.name}: decoder.grid")
    for name in plan.decoder.kinds:
        kind = KINDS[name]
        grid = {parameter: plan.decoder.grid.get(parameter, [default]) for parameter, default in kind.defaults.items()}
        for parameters, segmentation in _decoded(kind, stored_czyx, plan, grid):
            yield DecoderChoice(kind=name, parameters=parameters), segmentation


def combinations(decoder: Decoder) -> int:
    """How many candidates a plan's decoders and grid make."""
    return sum(math.prod(len(decoder.grid.get(name, [0])) for name in KINDS[kind].defaults) for kind in decoder.kinds)


def complete(choice: DecoderChoice) -> DecoderChoice:
    """The choice with a value for each parameter of its kind.

    Raises:
        PlanError: The decoder does not know a parameter.
    """
    kind = KINDS[choice.kind]
    refuse_unknown(choice.parameters, kind.defaults, f"decoder {choice.kind}")
    return choice.replace(parameters={**kind.defaults, **choice.parameters})


def refuse_unknown(given: Mapping[str, object], known: Mapping[str, object], where: str) -> None:
    """Raise a PlanError where a parameter is not among the known ones."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise PlanError(f"{where}: unknown parameter {', '.join(unknown)}. Known are {', '.join(known)}.")


def refuse_impossible(parameters: Mapping[str, float], where: str) -> None:
    """Raise a PlanError where a value lies outside what its parameter can be; all of them are told."""
    faults = []
    for name, value in parameters.items():
        number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
        if not (0 <= number < math.inf if name in LENGTHS else 0 <= number <= 1):
            wanted = "a number from 0 on" if name in LENGTHS else "a number from 0 to 1"
            faults.append(f"{where}: {name} is {value!r}. Give {wanted}.")
    if faults:
        raise PlanError("\n".join(faults))


def painted(regions: Regions, lookup: Array) -> Array:
    """The segmentation of a block."""
    if lookup.dtype == regions.ids_zyx.dtype and np.array_equal(lookup, np.arange(len(lookup))):
        painted_zyx = regions.ids_zyx.copy()
    else:
        painted_zyx = np.take(lookup, regions.ids_zyx)
    if regions.kept_zyx is not None:
        painted_zyx[~regions.kept_zyx] = 0
    return painted_zyx


def _decoded(kind: Kind, stored_czyx: Stored, plan: Plan, grid: Grid) -> Iterator[tuple[dict[str, float], Array]]:
    """The volume as one block, with every combination of a complete grid."""
    block = Block(stored_czyx, Box.of_shape(stored_czyx.shape[1:]))
    early = {name: values for name, values in grid.items() if name not in kind.late}
    late = {name: values for name, values in grid.items() if name in kind.late}
    borders = kind.within and (kind.merges is not None or max(grid.get("min_size", [0])) > 0)
    before: Regions | None = None
    whole: VolumeGraph | None = None
    for parameters, regions in kind.regions(block, plan, early):
        if whole is None or before is None or regions.ids_zyx is not before.ids_zyx or regions.faces is not before.faces:
            whole = _volume_graph(kind, regions, parameters, borders=borders)
        before = regions
        graph = _of_kept(whole, regions, borders=borders)
        fixed = {name: [value] for name, value in parameters.items()}
        for rest, lookup in kind.segments(graph, plan, {**fixed, **late}):
            yield {**parameters, **rest}, painted(regions, lookup)


def _volume_graph(kind: Kind, regions: Regions, parameters: Parameters, *, borders: bool) -> VolumeGraph:
    """The graph of all voxels of regions of one block; borders matter to agglomeration, and to what is too small."""
    graph = inner_graph(regions, regions.ids_zyx, borders=borders)
    nowhere = np.zeros(len(graph.pairs), np.bool_)
    merged = kind.merges(graph, regions.values, parameters) if kind.merges else None
    sums = graph.without_histograms()
    return VolumeGraph(sums, sums, regions.values, nowhere, merged)


def _of_kept(graph: VolumeGraph, regions: Regions, *, borders: bool) -> VolumeGraph:
    """The same, with the graph of the voxels that are kept."""
    kept_zyx = kept_ids(regions)
    if kept_zyx is regions.ids_zyx:
        return graph
    kept = inner_graph(regions, kept_zyx, borders=borders)
    return VolumeGraph(graph.whole, kept, regions.values, graph.crossing, graph.merges)
