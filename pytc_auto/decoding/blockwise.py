"""Volumes of any size: regions and borders block by block, one graph, and one lookup table for all blocks.

    predictions ─ RegionTask ─► regions, borders in blocks ─ FaceTask ─► borders between blocks
                                                          ─ graph ─► lookup ─ PaintTask ─► labels

A task reads from the disk and writes its own block; blocks may be done in any order and in several processes, but one stage
after the other. What is between the stages is as large as the graph. A volume of one block is decoded as in memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.agglomerate import Merges
from pytc_auto.decoding.block_files import RegionFiles, file_name, joined, load, save
from pytc_auto.decoding.decode import KINDS
from pytc_auto.decoding.histograms import Histograms
from pytc_auto.decoding.kind import Array, Block, Faces, Kind, Regions, Stored, VolumeGraph, cropped, inner_graph, kept_ids
from pytc_auto.decoding.mutex import same_segments
from pytc_auto.decoding.regions import Index, RegionGraph, grouped, region_graph
from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.io.ome_zarr import open_level
from pytc_auto.io.working_grid import WorkingGrid
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Plan

Run = Callable[[Callable[[Box], None], Sequence[Box], str], None]
"""Does a task for each of the boxes that is not done yet; the name is that of the stage."""


@dataclass(frozen=True)
class Decoding:
    """A volume to decode.

    Attributes:
        predictions: OME-Zarr group whose finest level has the stored predictions, (C, Z, Y, X).
        folder: Where regions and graph are kept.
        plan: Heads, labels, voxel size.
        choice: Decoder with all its parameters.
        shape: Of the predictions, (Z, Y, X).
        block: Extent of a block, in whole chunks of 64 voxels; that of the kind, if it is None.
    """

    predictions: Path
    folder: Path
    plan: Plan
    choice: DecoderChoice
    shape: Zyx
    block: Zyx | None = None

    @property
    def kind(self) -> Kind:
        """Of the decoder."""
        return KINDS[self.choice.kind]

    @property
    def regions(self) -> RegionFiles:
        """The regions, from which segments are made."""
        return RegionFiles(self.folder / "fragments", self.shape, self.block or self.kind.block)

    @property
    def seeds(self) -> RegionFiles:
        """The components of seeds, of a decoder that has some."""
        return RegionFiles(self.folder / "seeds", self.shape, self.block or self.kind.block)

    @property
    def graph(self) -> Path:
        """The file of the graph."""
        return self.folder / "graph.npz"

    @property
    def early(self) -> dict[str, float]:
        """The parameters that the regions depend on."""
        return {name: value for name, value in self.choice.parameters.items() if name not in self.kind.late}

    def read(self, box: Box) -> Stored:
        """Stored predictions of a box."""
        stored: Stored = open_level(self.predictions)[(slice(None), *box.slices)]
        return stored

    def around(self, box: Box) -> Box:
        """A block with its halo, within the volume."""
        return box.grow(self.kind.halo(self.plan, self.early)).intersect(Box.of_shape(self.shape))


@dataclass(frozen=True)
class SeedTask:
    """The components of seeds in each block."""

    decoding: Decoding

    def __call__(self, box: Box) -> None:
        """One block."""
        import cc3d

        seeds = self.decoding.kind.seeds
        assert seeds is not None
        mask = seeds(self.decoding.read(box), self.decoding.plan, self.decoding.early)
        ids = cc3d.connected_components(mask, connectivity=6, out_dtype=np.uint32)
        self.decoding.seeds.write(box, Regions(ids, None, np.zeros(int(ids.max(initial=0)) + 1, np.int64)), _NO_BORDERS)


@dataclass(frozen=True)
class RegionTask:
    """The regions of each block, and the borders between them."""

    decoding: Decoding

    def __call__(self, box: Box) -> None:
        """One block; one without predictions has no regions."""
        decoding, around = self.decoding, self.decoding.around(box)
        core = box.relative_to(around.start)
        block = Block(decoding.read(around), core, self._seeds(around), around.start, decoding.shape)
        found: Regions | None = None
        if block.predicted_zyx.any():
            grid = {name: [value] for name, value in decoding.early.items()}
            _, found = next(decoding.kind.regions(block, decoding.plan, grid))
        decoding.regions.write(box, found, _NO_BORDERS if found is None else _within(decoding.kind, found))

    def _seeds(self, around: Box) -> Index | None:
        """Numbers of seeds in the whole volume."""
        if self.decoding.kind.seeds is None:
            return None
        return self._seed_lookup[self.decoding.seeds.read(around)]

    @cached_property
    def _seed_lookup(self) -> Index:
        return load(self.decoding.seeds.folder / "lookup.npz")["lookup"]


def _within(kind: Kind, regions: Regions) -> dict[str, npt.NDArray[Any]]:
    """The borders between the regions of a block, with their numbers in it."""
    kept_zyx = kept_ids(regions)
    whole = kept = inner_graph(regions, regions.ids_zyx, borders=kind.within)
    if kept_zyx is not regions.ids_zyx:
        kept = inner_graph(regions, kept_zyx, borders=kind.within)
    names = np.arange(len(regions.values))
    return _named("whole", whole, names) | _named("kept", kept, names)


@dataclass(frozen=True)
class FaceTask:
    """What lies between the regions of each block and those of the blocks before.

    Attributes:
        decoding: Of the volume.
        folder: A file for each block.
        of_seeds: Whether the regions are the seeds.
    """

    decoding: Decoding
    folder: Path
    of_seeds: bool = False

    def __call__(self, box: Box) -> None:
        """One block."""
        borders = joined([_NO_BORDERS, *(self._borders(box, axis) for axis in range(3) if box.start[axis] > 0)])
        same = np.empty((0, 2), np.int64) if self.of_seeds else self._same(box)
        save(self.folder / f"{file_name(box)}.npz", {**borders, "same": same})

    def _same(self, box: Box) -> Index:
        """Regions of the blocks before that are one with a region of this block, (M, 2)."""
        pairs = [np.empty((0, 2), np.int64)]
        for axis in range(3):
            seen = self.decoding.regions.read_beyond(box, axis)
            if seen is not None:
                here, ids = seen
                (theirs, names), (ours, own) = (
                    cropped(numbers, Box.of_shape(here.shape)) for numbers in (ids, self.decoding.regions.read(here))
                )
                first, second = same_segments(theirs, ours)
                pairs.append(np.stack([names[first], own[second]], 1))
        return np.concatenate(pairs)

    def _borders(self, box: Box, axis: int) -> dict[str, npt.NDArray[Any]]:
        """Pairs of numbers of the whole volume, with their faces between a block and the one before it on an axis."""
        decoding = self.decoding
        regions, faces = decoding.seeds if self.of_seeds else decoding.regions, Faces()
        first = Box(box.start, zyx([box.start[axis] + 1 if i == axis else n for i, n in enumerate(box.stop)]))
        if not self.of_seeds:
            faces = decoding.kind.faces(decoding.read(first), decoding.plan, decoding.early)
        across = [axis] if axis in faces.axes else []
        before = zyx([int(i == axis) for i in range(3)])
        seen = Box(zyx([a - n for a, n in zip(box.start, before, strict=True)]), first.stop)
        local, names = cropped(regions.read(seen), Box.of_shape(seen.shape))
        whole = kept = region_graph(local, across, faces.affinities_kzyx, before=before, histograms=faces.histograms)
        mask = regions.read_kept(seen)
        if (~mask & (local > 0)).any():
            kept = region_graph(local * mask, across, faces.affinities_kzyx, before=before)
        return _named("whole", whole, names) | _named("kept", kept, names)


_GRAPHS = ("whole", "kept")
_EDGES = ("pairs", "contacts", "affinities")
_HISTOGRAMS = tuple(field.name for field in fields(Histograms))
_NO_BORDERS = {
    **{f"{kind}_{name}": np.empty((0, 2) if name == "pairs" else 0, np.int64) for kind in _GRAPHS for name in _EDGES},
    **{f"whole_{name}": getattr(Histograms(), name) for name in _HISTOGRAMS},
}


def _named(kind: str, graph: RegionGraph, names: Index) -> dict[str, npt.NDArray[Any]]:
    """The edges of a graph with other ids."""
    pairs = np.sort(names[graph.pairs], axis=1)
    named = {f"{kind}_pairs": pairs, f"{kind}_contacts": graph.contacts, f"{kind}_affinities": graph.affinities}
    if kind == "whole":
        named |= {f"whole_{name}": getattr(graph.histograms, name) for name in _HISTOGRAMS}
    return named


@dataclass(frozen=True)
class PaintTask:
    """The segmentation, in blocks of its own grid.

    Attributes:
        regions: What is painted.
        lookup: File with what becomes of each region.
        labels: Group whose finest level is written to.
        start: Where the labels begin on the input's grid.
        part: Where the regions begin on the working grid.
        grid: The working grid of the input.
    """

    regions: RegionFiles
    lookup: Path
    labels: Path
    start: Zyx
    part: Zyx
    grid: WorkingGrid

    def __call__(self, box: Box) -> None:
        """One block."""
        wanted = box.shift(self.start)
        coarse = self.grid.box(wanted)
        here = coarse.relative_to(self.part)
        values: Array = self._table[self.regions.read(here)]
        values[~self.regions.read_kept(here)] = 0
        open_level(self.labels, writable=True)[box.slices] = self.grid.spread(values, coarse, wanted)

    @cached_property
    def _table(self) -> Array:
        return load(self.lookup)["lookup"]


def make_graph(decoding: Decoding, run: Run) -> None:
    """Regions and their graph, as far as they are not there.

    Args:
        decoding: What is decoded.
        run: Does the blocks of a stage.
    """
    if decoding.graph.is_file():
        return
    if decoding.kind.seeds is not None:
        _make_seeds(decoding, run)
    regions, borders = decoding.regions, decoding.folder / "edges"
    regions.create()
    run(RegionTask(decoding), regions.boxes, "fragments")
    regions.number()
    run(FaceTask(decoding, borders), regions.boxes, "edges")
    between = joined(load(borders / f"{file_name(box)}.npz") for box in regions.boxes)
    same = between.pop("same")
    _write_graph(decoding, joined([between, *regions.borders(list(_NO_BORDERS))]) | {"same": same})
    for unneeded in (borders, regions.folder / "blocks", decoding.seeds.folder):
        shutil.rmtree(unneeded, ignore_errors=True)


def _make_seeds(decoding: Decoding, run: Run) -> None:
    """Number the seeds of the volume: components that touch across a face between blocks are one."""
    seeds, borders = decoding.seeds, decoding.seeds.folder / "edges"
    seeds.create()
    run(SeedTask(decoding), seeds.boxes, "seeds")
    seeds.number()
    run(FaceTask(decoding, borders, of_seeds=True), seeds.boxes, "seed edges")
    pairs = joined(load(borders / f"{file_name(box)}.npz", "whole_pairs") for box in seeds.boxes)["whole_pairs"]
    save(seeds.folder / "lookup.npz", {"lookup": grouped(pairs, len(seeds.sizes))})


def _write_graph(decoding: Decoding, edges: dict[str, npt.NDArray[Any]]) -> None:
    """The graph of all blocks with its merges. A pair of regions has all its faces in one block's file."""
    stored = {"sizes": decoding.regions.sizes, "values": decoding.regions.values, **edges}
    if all(np.array_equal(edges[f"whole_{name}"], edges[f"kept_{name}"]) for name in _EDGES):
        stored = {name: array for name, array in stored.items() if not name.startswith("kept_")}
    histograms = Histograms(*(stored.pop(f"whole_{name}") for name in _HISTOGRAMS))
    if decoding.kind.merges is not None:
        whole = replace(_graph(stored, "whole"), histograms=histograms)
        found = decoding.kind.merges(whole, stored["values"], decoding.early)
        stored |= {"merge_pairs": found.pairs, "merge_scores": found.scores}
    save(decoding.graph, stored)


def read_graph(decoding: Decoding) -> VolumeGraph:
    """The graph that was made."""
    stored = load(decoding.graph)
    whole, of_block = _graph(stored, "whole"), decoding.regions.blocks_of(stored["whole_pairs"])
    merged = None
    if "merge_pairs" in stored:
        merged = Merges(stored["merge_pairs"], stored["merge_scores"], len(stored["sizes"]) - 1)
    kept = _graph(stored, "kept") if "kept_pairs" in stored else whole
    return VolumeGraph(whole, kept, stored["values"], of_block[:, 0] != of_block[:, 1], merged, stored["same"])


def _graph(stored: dict[str, npt.NDArray[Any]], kind: str) -> RegionGraph:
    pairs, contacts, affinities = (stored[f"{kind}_{name}"] for name in _EDGES)
    return RegionGraph(stored["sizes"], pairs, contacts, affinities)


def segments(decoding: Decoding) -> Array:
    """What each region becomes with the parameters of the choice, (N + 1,)."""
    grid = {name: [value] for name, value in decoding.choice.parameters.items()}
    return next(lookup for _, lookup in decoding.kind.segments(read_graph(decoding), decoding.plan, grid))
