"""Skeletons of neurons: the truth by which run lengths are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx, ZyxFloat
from pytc_auto.io.open import open_volume
from pytc_auto.io.restricted_pickle import Record, load_pickle
from pytc_auto.io.volume import Volume, damaged
from pytc_auto.schema.dataset import SkeletonUnits, VolumeEntry

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SWC = ".swc"
GRAPHS = (".pkl", ".pickle")
_SWC_COLUMNS = 7
_FAR = 1e12
"""No position is farther away, whatever its unit."""
_TOUCH = 1e-3
"""Voxels by which a position may fall short of the voxel it was computed from."""


@dataclass(frozen=True, eq=False)
class Skeletons:
    """Some skeletons in one volume; a :class:`DataError` is raised where they have no length.

    Attributes:
        source: Where they come from, for messages.
        nodes_zyx: (N, 3) the voxel of each node; it may lie outside the volume.
        nodes_nm: (N, 3) z, y, x in nanometers.
        edges: (E, 2) numbers of nodes, each edge once.
        skeleton: (N,) to which each node belongs, from 0.
        piece: (N,) in which piece of its skeleton each node lies, from 0, over all skeletons; None where each is one piece, its
            branches and gaps included. Lengths are of pieces.
    """

    source: str
    nodes_zyx: Integers
    nodes_nm: Floats
    edges: Integers
    skeleton: Integers
    piece: Integers | None = None

    def __post_init__(self) -> None:
        if not self.edge_lengths_nm.sum() > 0:
            raise DataError(
                f"{self.source}: no edge has a length, so there is no run to measure. Give traced skeletons of the volume."
            )

    @cached_property
    def edge_lengths_nm(self) -> Floats:
        """(E,) straight from node to node."""
        start, stop = self.nodes_nm[self.edges].transpose(1, 0, 2)
        return np.linalg.norm(stop - start, axis=1)

    @property
    def pieces(self) -> Integers:
        """(N,) the piece of each node."""
        return self.skeleton if self.piece is None else self.piece

    @cached_property
    def lengths_nm(self) -> Floats:
        """(P,) of each piece."""
        of_edge = self.pieces[self.edges[:, 0]]
        lengths = np.bincount(of_edge, self.edge_lengths_nm, minlength=int(self.pieces.max(initial=-1)) + 1)
        return lengths.astype(np.float64)

    @property
    def count(self) -> int:
        """How many skeletons have a length."""
        long = self.edge_lengths_nm > 0
        return len(np.unique(self.skeleton[self.edges[long, 0]]))

    def length_in(self, box: Box) -> float:
        """Length of the edges that lie in a box, in nanometers."""
        return float(self.edge_lengths_nm[self._in(box)[self.edges].all(axis=1)].sum())

    def clipped(self, box: Box) -> Skeletons:
        """What lies in a box of the volume: its nodes, and the edges whose nodes both do.

        Nobody who sees the box alone can tell that two pieces of a skeleton belong together if the link is outside, so each piece
        that hangs together inside is one of its own, and lengths are of pieces. Of which skeleton a piece is stays known: pieces
        of one may share a segment without harm.

        Raises:
            DataError: No edge lies inside.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if not self.length_in(box) > 0:
            raise DataError(f"{self.source}: no edge lies in {box} (z, y, x). Choose a box that the skeletons run through.")
        kept = self._kept(self._in(box))
        start, stop = kept.edges.T
        links = coo_array((np.ones(len(start), np.int8), (start, stop)), shape=(len(kept.skeleton),) * 2)
        _, piece = connected_components(links, directed=False)
        return replace(kept, piece=piece.astype(np.int64))

    def moved(self, start: Zyx) -> Skeletons:
        """In voxels that are counted from another one; lengths stay."""
        return replace(self, nodes_zyx=self.nodes_zyx - np.array(start))

    def coarser(self, factor: Zyx) -> Skeletons:
        """On a grid of larger voxels; lengths stay."""
        return replace(self, nodes_zyx=self.nodes_zyx // np.array(factor))

    def _in(self, box: Box) -> npt.NDArray[np.bool_]:
        inside: npt.NDArray[np.bool_] = np.all((self.nodes_zyx >= box.start) & (self.nodes_zyx < box.stop), axis=1)
        return inside

    def _kept(self, keep: npt.NDArray[np.bool_]) -> Skeletons:
        """Some of the nodes, and the edges between them."""
        number = np.cumsum(keep) - 1
        edges = self.edges[keep[self.edges].all(axis=1)]
        return Skeletons(self.source, self.nodes_zyx[keep], self.nodes_nm[keep], number[edges], self.skeleton[keep])

    def inside(self, shape: Sequence[int]) -> Skeletons:
        """Without the nodes that lie outside a volume, and without the edges that touch one of these.

        Raises:
            DataError: More than half of the nodes lie outside, or no edge lies inside.
        """
        keep = self._in(Box.of_shape(shape))
        if 2 * np.count_nonzero(keep) < len(keep):
            reach = f"{self.nodes_zyx.min(axis=0).tolist()} to {self.nodes_zyx.max(axis=0).tolist()}"
            raise DataError(
                f"{self.source}: {np.count_nonzero(~keep)} of {len(keep)} nodes lie outside the segmentation of shape "
                f"{list(shape)}; in its voxels they reach from {reach} (z, y, x). Check the units of the skeletons "
                "(--skeleton-units), the voxel size, and that both belong to one volume; of a part of one, give its --box."
            )
        return self._kept(keep)


def open_skeletons(entry: VolumeEntry) -> Skeletons:
    """The skeletons of an entry that has some, in voxels of the common grid of its image and labels.

    Raises:
        DataError: As :func:`read_skeletons`; or the image cannot be opened.
    """
    assert entry.skeletons is not None
    image = open_volume(entry.image, axes=entry.axes, channel=entry.channel)
    z, y, x = (size / scale for size, scale in zip(entry.voxel_size_nm, entry.image_scale, strict=True))
    image.voxel_size_nm = (z, y, x)
    return read_skeletons(entry.skeletons, image, entry.skeleton_units).coarser(entry.image_scale)


def read_skeletons(path: str | Path, volume: Volume, units: SkeletonUnits = "nm") -> Skeletons:
    """The skeletons of a volume.

    Args:
        path: One of: an SWC file (one skeleton, even if it has several roots); a folder of SWC files; a pickled networkx graph
            with the attributes of NISB: nodes have ``id`` (of the skeleton), ``nm_position`` and, where the voxel is given, too,
            ``index_position``, both x, y, z.
        volume: In which they lie. Its voxel size and its offset turn nanometers into voxels; a voxel reaches from its number to
            the next. ``index_position`` is taken as it is where the volume has no offset.
        units: Of SWC files, which store x, y, z in nanometers, micrometers or voxels, as the program that wrote them likes.

    Raises:
        DataError: A file is damaged, of another kind, without an edge, or does not fit the volume.
    """
    place = Path(path)
    if not place.exists():
        raise DataError(f"{path}: is not there. Give a file or a folder of skeletons.")
    with damaged(str(path)):
        if place.is_dir() or place.suffix.lower() == SWC:
            return _from_swc(place, volume, units)
        if place.suffix.lower() in GRAPHS:
            return _from_graph(place, volume)
    raise DataError(f"{path}: is no file of skeletons. Known: .swc, a folder of these, and networkx graphs in .pkl.")


def _from_swc(place: Path, volume: Volume, units: SkeletonUnits) -> Skeletons:
    """Every file is a skeleton."""
    files = sorted(p for p in place.iterdir() if p.suffix.lower() == SWC) if place.is_dir() else [place]
    if not files:
        raise DataError(f"{place}: holds no SWC file. Give a folder of .swc files, one for each neuron.")
    trees = [_swc_tree(file) for file in files]
    sizes = [len(position) for position, _ in trees]
    firsts = [0, *accumulate(sizes)]
    position = np.concatenate([p for p, _ in trees])
    size, offset = _voxel_size(volume), np.array(volume.offset_nm or (0, 0, 0))
    nodes_nm = position * size + offset if units == "voxel" else position * {"nm": 1, "um": 1000}[units]
    return Skeletons(
        source=str(place),
        nodes_zyx=_voxels(nodes_nm, volume),
        nodes_nm=nodes_nm,
        edges=np.concatenate([edges + first for (_, edges), first in zip(trees, firsts, strict=False)]),
        skeleton=np.repeat(np.arange(len(files)), sizes),
    )


def _swc_tree(file: Path) -> tuple[Floats, Integers]:
    """Positions of the nodes, (N, 3) z, y, x in the file's units, and edges, (E, 2)."""
    with damaged(str(file)):
        lines = [line.split() for line in file.read_text(encoding="latin-1").splitlines() if line.strip()[:1] not in ("", "#")]
        table = np.array([line[:_SWC_COLUMNS] for line in lines], np.float64).reshape(-1, _SWC_COLUMNS)
    number, parent, position = table[:, 0], table[:, 6], table[:, 4:1:-1]
    order = np.argsort(number, kind="stable")
    child = np.flatnonzero(parent >= 0)
    at = np.searchsorted(number[order], parent[child])
    known = at < len(order)
    known[known] = number[order][at[known]] == parent[child][known]
    if len(np.unique(number)) < len(number) or np.isnan(parent).any() or not known.all():
        raise DataError(f"{file}: has a node number twice, or a parent that is no node. Export it again.")
    if not (np.abs(position) < _FAR).all():
        raise DataError(f"{file}: has a position that is not a number, or is too large. Export it again.")
    return position, np.stack([child, order[at]], axis=1).astype(np.int64)


def _from_graph(place: Path, volume: Volume) -> Skeletons:
    """NISB's layout; edges are straight, the stored ``edge_length`` is not read."""
    nodes, neighbors = _graph(place)
    names = {node: number for number, node in enumerate(nodes)}
    try:
        edges = np.array([(names[u], names[v]) for u, found in neighbors.items() for v in found], np.int64).reshape(-1, 2)
        ids = np.array([int(node["id"]) for node in nodes.values()], object)
        nodes_nm = _positions(nodes, "nm_position")
        indexed = all("index_position" in node for node in nodes.values())
        index_zyx = _positions(nodes, "index_position").astype(np.int64) if indexed else None
    except KeyError as error:
        raise DataError(
            f"{place}: a node has no {error}. Give a graph whose nodes have id and nm_position, as NISB's."
        ) from error
    skeleton = np.unique(ids, return_inverse=True)[1].astype(np.int64).reshape(-1)
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    if np.any(skeleton[edges[:, 0]] != skeleton[edges[:, 1]]):
        raise DataError(f"{place}: an edge links nodes of two skeletons (id). Mend the graph: a skeleton's nodes have one id.")
    if index_zyx is not None:
        _check_scale(place, index_zyx, nodes_nm, volume)
    nodes_zyx = _voxels(nodes_nm, volume) if index_zyx is None or any(volume.offset_nm or ()) else index_zyx
    return Skeletons(str(place), nodes_zyx, nodes_nm, edges, skeleton)


def _graph(place: Path) -> tuple[dict[Any, dict[str, Any]], dict[Any, dict[Any, Any]]]:
    """Attributes by node, and neighbors by node."""
    graph = load_pickle(place)
    state = graph.state if isinstance(graph, Record) else None
    if not isinstance(state, Mapping) or not all(isinstance(state.get(key), dict) for key in ("_node", "_adj")):
        raise DataError(f"{place}: holds no networkx graph. Give NISB's skeleton.pkl, or SWC files.")
    return state["_node"], state["_adj"]


def _positions(nodes: Mapping[Any, Mapping[str, Any]], name: str) -> Floats:
    """(N, 3) z, y, x."""
    found = np.array([np.asarray(node[name], np.float64) for node in nodes.values()]).reshape(len(nodes), 3)
    if not (np.abs(found) < _FAR).all():
        raise ValueError(f"{name} of a node is not a number, or is too large")
    return found[:, ::-1]


def _voxels(nodes_nm: Floats, volume: Volume) -> Integers:
    offset: ZyxFloat = volume.offset_nm or (0, 0, 0)
    return np.floor((nodes_nm - offset) / _voxel_size(volume) + _TOUCH).astype(np.int64)


def _check_scale(place: Path, nodes_zyx: Integers, nodes_nm: Floats, volume: Volume) -> None:
    """See that both positions of a node are one place; of a volume with an offset, which may be a part, that voxels fit."""
    if volume.voxel_size_nm is None or not len(nodes_nm):
        return
    apart = nodes_nm - nodes_zyx * np.array(volume.voxel_size_nm)
    if any(volume.offset_nm or ()):
        apart -= np.median(apart, axis=0)
    if np.any(np.median(np.abs(apart), axis=0) > volume.voxel_size_nm):
        size = [
            float(np.median(a[i > 0] / i[i > 0])) if np.any(i > 0) else 0.0 for a, i in zip(nodes_nm.T, nodes_zyx.T, strict=True)
        ]
        raise DataError(
            f"{place}: its nodes are of voxels of about {[round(s, 2) for s in size]} nm (z, y, x), but {volume.source} has "
            f"{list(volume.voxel_size_nm)}. Mend the voxel size or the axis order of one of the two."
        )


def _voxel_size(volume: Volume) -> Floats:
    if volume.voxel_size_nm is None:
        raise DataError(
            f"{volume.source}: has no voxel size, so run lengths cannot be measured. Give it with --voxel-size Z,Y,X."
        )
    return np.array(volume.voxel_size_nm)
