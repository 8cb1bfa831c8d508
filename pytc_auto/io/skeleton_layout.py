"""Where the skeletons of a data set's volumes lie.

DATASET/skeletons/NAME.swc, NAME.pkl or NAME/   beside images/ and labels/, or beside containers
DATASET/SEED/skeleton.pkl                       beside the volume's container, as in NISB
DATASET/dataset.yaml: volumes                   each by path
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytc_auto.errors import DataError
from pytc_auto.io.pairing import Pair, Side, twice, visible
from pytc_auto.io.skeletons import GRAPHS, SWC

FOLDER, GRAPH = "skeletons", "skeleton.pkl"
KNOWN = ".swc, .pkl and folders of .swc files"


def with_skeletons(pairs: Sequence[Pair], folder: Path, *, beside: Mapping[str, Path], others: bool = False) -> list[Pair]:
    """The volumes of a data set with their skeletons, where they have some.

    Args:
        pairs: Image and labels, by name.
        folder: That may hold a folder of skeletons.
        beside: The folder of each volume's container, by name, where volumes lie in containers.
        others: Whether skeletons of other volumes may lie there, too.

    Raises:
        DataError: Skeletons have no image, a volume has several, or the folder holds none that are known; all are listed.
    """
    side = _side(folder / FOLDER)
    faults = [] if others else [_without_image(name, side, pairs) for name in side.found if name not in {p.name for p in pairs}]
    faults += [*twice(side), *_unread(side, pairs)]
    if side.folder.is_dir() and not side.found and not faults:
        faults.append(f"{side.folder}: holds no skeletons. Put {KNOWN} here, under the names of their images, or remove it.")
    graphs = {name: place / GRAPH for name, place in beside.items() if (place / GRAPH).is_file()}
    shared = [graph for graph in dict.fromkeys(graphs.values()) if list(graphs.values()).count(graph) > 1]
    faults += [f"{graph}: lies beside several volumes. Put it into {folder / FOLDER}, under one's name." for graph in shared]
    faults += [f"{graphs[n]} and {side.found[n][0]}: are skeletons of one volume. Keep one." for n in graphs if n in side.found]
    if faults:
        raise DataError("\n".join(faults))
    found = {**graphs, **{name: paths[0] for name, paths in side.found.items()}}
    return [replace(pair, skeletons=str(found[pair.name])) if pair.name in found else pair for pair in pairs]


def _side(folder: Path) -> Side:
    """All skeletons of a folder by name."""
    found: dict[str, list[Path]] = {}
    for path in visible(folder):
        if _is_known(path):
            found.setdefault(path.name if path.is_dir() else path.stem, []).append(path)
    return Side(folder, found)


def _is_known(path: Path) -> bool:
    if path.is_dir():
        return any(inner.suffix.lower() == SWC for inner in visible(path))
    return path.suffix.lower() in (SWC, *GRAPHS)


def _unread(side: Side, pairs: Sequence[Pair]) -> list[str]:
    """What is said of files that have an image's name, but are no skeletons."""
    names = {pair.name for pair in pairs} - set(side.found)
    return [
        f"{path}: is no file of skeletons. Known are {KNOWN}."
        for path in visible(side.folder)
        if not _is_known(path) and (path.name in names or path.stem in names)
    ]


def _without_image(name: str, side: Side, pairs: Sequence[Pair]) -> str:
    """What is said of skeletons without an image."""
    place = side.found[name][0]
    names = [pair.name for pair in pairs if pair.name not in side.found]
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        hint = f"Did you mean {close[0]}? Names must be equal."
    elif place.suffix.lower() == SWC and names:
        hint = f"If it is one neuron of a volume, put all of that volume's into one folder, such as {FOLDER}/{names[0]}/."
    else:
        hint = f"Images are called {', '.join(pair.name for pair in pairs)}."
    return f"{place}: has no image. {hint}"
