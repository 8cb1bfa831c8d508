"""What the decoders have in common.

Each of them makes regions of a block, counts what lies between regions, and then decides on the graph of the whole volume what
becomes of each region. A volume that is decoded in memory is one block.

    stored prediction ─ regions ─► regions of a block ─ faces ─► graph of all blocks ─ segments ─► region → segment
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.agglomerate import Merges
from pytc_auto.decoding.regions import Index, RegionGraph, region_graph, region_sizes
from pytc_auto.decoding.watershed import interior
from pytc_auto.errors import PlanError
from pytc_auto.geometry import AXES, Box, Zyx
from pytc_auto.io.predictions import channel_slices, is_predicted, probabilities
from pytc_auto.schema.heads import AffinityHead
from pytc_auto.schema.plan import Plan

Array = npt.NDArray[Any]
Bool = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]
Ids = npt.NDArray[np.uint32]
Stored = npt.NDArray[np.uint8]
Grid = Mapping[str, list[float]]
Parameters = Mapping[str, float]
HeadKind = Literal["affinities", "foreground", "boundary", "classes", "polarity"]
ONE_STEP: tuple[Zyx, Zyx, Zyx] = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))


@dataclass(frozen=True, eq=False)
class Block:
    """A block with what is around it.

    Attributes:
        stored_czyx: Prediction of the block and its halo, which ends with the volume.
        core: The block, in voxels of ``stored_czyx``.
        seeds_zyx: Of the decoders with seeds: ids of the whole volume, of the extent of ``stored_czyx``; else None.
        start: Where ``stored_czyx`` begins in the volume.
        extent: Of the volume; None: it is all in the block.
    """

    stored_czyx: Stored
    core: Box
    seeds_zyx: Array | None = None
    start: Zyx = (0, 0, 0)
    extent: Zyx | None = None

    @property
    def predicted_zyx(self) -> Bool:
        """Where in the core anything was predicted."""
        return is_predicted(self.stored_czyx[(slice(None), *self.core.slices)])

    def number(self, voxels: Index) -> Index:
        """Numbers from 1 of voxels of ``stored_czyx``, (N, 3), in the whole volume."""
        extent = self.extent or self.stored_czyx.shape[1:]
        return np.ravel_multi_index((voxels + np.array(self.start)).T, extent).astype(np.int64) + 1


@dataclass(frozen=True, eq=False)
class Faces:
    """What the faces between voxels of a block are worth.

    Attributes:
        axes: On which voxels are neighbors.
        affinities_kzyx: The value lies on the voxel with the higher index; None: all 1.
        histograms: Whether more than their sum at each border matters.
    """

    axes: Sequence[int] = (0, 1, 2)
    affinities_kzyx: Float32 | None = None
    histograms: bool = False


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of a block.

    Attributes:
        ids_zyx: 1 … N, (Z, Y, X) of the block; 0 is background.
        kept_zyx: The segmentation is 0 where it is false; regions link through such voxels, too, but have no size there.
            None: all is kept.
        values: (N + 1,) what the decoder wants to know of each region later, such as its seed.
        beyond: The same regions in the halo behind the block on z, y and x, as far as the decoder compares them with those
            that the next block has there; else empty.
        faces: What the faces in the block are worth, if borders within a block matter.
    """

    ids_zyx: Ids
    kept_zyx: Bool | None
    values: Index
    beyond: tuple[Ids, ...] = ()
    faces: Faces = Faces()


@dataclass(frozen=True, eq=False)
class VolumeGraph:
    """The regions of all blocks.

    Attributes:
        whole: Of the regions with all their voxels; its sizes are those of ``kept``.
        kept: Of what is kept of them.
        values: As ``Regions`` has them.
        crossing: (E,) which pairs of ``whole`` lie in two blocks.
        merges: Of the regions, where the decoder agglomerates.
        same: (M, 2) regions of two blocks that are the same by what both have beyond the face; None: nothing was compared.
    """

    whole: RegionGraph
    kept: RegionGraph
    values: Index
    crossing: Bool
    merges: Merges | None = None
    same: Index | None = None


@dataclass(frozen=True)
class Kind:
    """One way to decode.

    Attributes:
        defaults: Its parameters, with the value of each that a grid or a choice does not give.
        late: Those that the regions do not depend on: another value needs the graph only.
        block: Voxels of a block, in whole chunks.
        halo: Voxels around a block that its regions depend on.
        regions: Yields the regions of a block for each combination of the other parameters.
        faces: What the faces in a part of the volume are worth.
        segments: Yields what each region becomes, 0 for background, for each combination of all parameters.
        within: Whether borders within a block matter; those to other blocks always do.
        merges: Agglomerates the graph, with the values of its regions, by the parameters that are not late; None: nothing is
            agglomerated.
        seeds: Where seeds are, which are numbered in the whole volume before regions are made; None without seeds.
    """

    defaults: Mapping[str, float]
    late: frozenset[str]
    block: Zyx
    halo: Callable[[Plan, Parameters], Zyx]
    regions: Callable[[Block, Plan, Grid], Iterator[tuple[dict[str, float], Regions]]]
    faces: Callable[[Stored, Plan, Parameters], Faces]
    segments: Callable[[VolumeGraph, Plan, Grid], Iterator[tuple[dict[str, float], Array]]]
    within: bool = True
    merges: Callable[[RegionGraph, Index, Parameters], Merges] | None = None
    seeds: Callable[[Stored, Plan, Parameters], Bool] | None = None


@dataclass(frozen=True, eq=False)
class Near:
    """One-step affinities.

    Attributes:
        affinities_kzyx: On z, y and x, (3, Z, Y, X); 0 on an axis without them.
        axes: Those that have them.
    """

    affinities_kzyx: Float32
    axes: list[int]

    @property
    def inner_axes(self) -> list[int]:
        """Those with affinities and more than one voxel."""
        return [axis for axis in self.axes if self.affinities_kzyx.shape[1 + axis] > 1]

    def inside(self) -> Float32:
        """Their mean over both sides of a voxel, over all axes."""
        return interior(self.affinities_kzyx, self.inner_axes)


def of_head(stored_czyx: Stored, plan: Plan, kind: HeadKind, decoder: str) -> Float32:
    """Probabilities of the channels of one head."""
    for head, channels in zip(plan.heads, channel_slices(plan.heads), strict=True):
        if head.kind == kind:
            return probabilities(stored_czyx[channels], [head], plan.inference.logit_scale)
    raise _without_head(plan, kind, decoder)


def _without_head(plan: Plan, kind: HeadKind, decoder: str) -> PlanError:
    heads = ", ".join(head.kind for head in plan.heads)
    return PlanError(f"{plan.name}: decoder {decoder} needs a head of kind {kind}, the plan has {heads}. Choose another decoder.")


def _affinity_head(plan: Plan, decoder: str) -> tuple[AffinityHead, int]:
    """The head, and its first channel."""
    for head, channels in zip(plan.heads, channel_slices(plan.heads), strict=True):
        if isinstance(head, AffinityHead):
            return head, channels.start
    raise _without_head(plan, "affinities", decoder)


def near_affinities(stored_czyx: Stored, plan: Plan, decoder: str) -> Near:
    """The one-step affinities among all.

    Raises:
        PlanError: There are none, or not on y and x.
    """
    head, channels = near_channels(plan, decoder)
    near = np.zeros((3, *stored_czyx.shape[1:]), np.float32)
    near[list(channels)] = probabilities(
        stored_czyx[list(channels.values())],
        [head.replace(offsets=[ONE_STEP[axis] for axis in channels])],
        plan.inference.logit_scale,
    )
    return Near(near, list(channels))


def near_channels(plan: Plan, decoder: str) -> tuple[AffinityHead, dict[int, int]]:
    """The head, and for each axis with one-step affinities their channel.

    Raises:
        PlanError: There are none, or not on y and x.
    """
    head, first = _affinity_head(plan, decoder)
    present = [axis for axis, step in enumerate(ONE_STEP) if step in plan.offsets]
    missing = [AXES[axis] for axis in (1, 2) if axis not in present]
    if missing:
        raise PlanError(f"{plan.name}: heads have no offset of one voxel back on {', '.join(missing)}. Add it and train again.")
    return head, {axis: first + plan.offsets.index(ONE_STEP[axis]) for axis in present}


def cropped(ids_zyx: Array, core: Box) -> tuple[Ids, Array]:
    """The core of a block, its ids 1 … N, and (N + 1,) what each was called before."""
    import fastremap

    inner = ids_zyx[core.slices]
    highest = int(inner.max(initial=0))
    if highest <= inner.size:
        return _cropped(inner, highest)
    number, known = fastremap.renumber(inner, preserve_zero=True, in_place=False)
    before = np.zeros(len(known) + (0 not in known), ids_zyx.dtype)
    before[list(known.values())] = list(known)
    return number.astype(np.uint32, copy=False), before


def _cropped(inner_zyx: Array, highest: int) -> tuple[Ids, Array]:
    """The same for ids that are not far apart; nothing is done where they are 1 … N."""
    there = region_sizes(inner_zyx, highest) > 0
    there[0] = False
    before = np.flatnonzero(np.append(True, there[1:])).astype(inner_zyx.dtype)
    if there[1:].all():
        return inner_zyx.astype(np.uint32, copy=False), before
    return np.take(np.cumsum(there, dtype=np.uint32) * there, inner_zyx).astype(np.uint32, copy=False), before


def kept_ids(regions: Regions) -> Ids:
    """The ids where the segmentation is kept, 0 elsewhere; the same array where all is kept."""
    if regions.kept_zyx is None or (regions.kept_zyx | (regions.ids_zyx == 0)).all():
        return regions.ids_zyx
    return regions.ids_zyx * regions.kept_zyx


def inner_graph(regions: Regions, ids_zyx: Ids, *, borders: bool) -> RegionGraph:
    """The graph of one block: of ``regions.ids_zyx``, or of those that are kept; without borders where they do not matter."""
    faces = regions.faces
    axes, histograms = faces.axes if borders else (), faces.histograms and ids_zyx is regions.ids_zyx
    return region_graph(ids_zyx, axes, faces.affinities_kzyx, highest=len(regions.values) - 1, histograms=histograms)
