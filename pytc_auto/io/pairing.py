"""Which image goes with which labels: by name in two folders, or by key in one container."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytc_auto.errors import DataError
from pytc_auto.io.container import Contents, listing
from pytc_auto.io.open import KNOWN_FORMATS, contents_of, format_of, is_container, stem
from pytc_auto.schema.dataset import Declared

IMAGE_KEYS = ("raw", "image", "images", "img", "em", "volume", "data")
LABEL_KEYS = (
    "neuron_ids",
    "labels",
    "label",
    "segmentation",
    "seg",
    "instances",
    "groundtruth",
    "ground_truth",
    "gt",
    "truth",
    "mask",
)
WANTED = (
    "A data set is a folder with images/ and labels/, whose files have the same names, or one HDF5 or zarr container with both."
)


@dataclass(frozen=True)
class Pair:
    """An image and its labels, as paths for ``open_volume``."""

    name: str
    image: str
    labels: str


def container_pair(path: Path, declared: Declared) -> Pair:
    """The image and the labels of one container, by declared or well-known keys.

    Raises:
        DataError: One of them cannot be told.
    """
    contents = contents_of(path)
    labels = declared.labels_key or known_key(contents, LABEL_KEYS) or _only(k for k in contents if "labels" in k.split("/"))
    others = {k: shape for k, shape in contents.items() if k != labels}
    image = declared.image_key or ("" if "" in others else known_key(others, IMAGE_KEYS) or _only(others))
    faults = []
    for what, key, field in (("image", image, "image_key"), ("labels", labels, "labels_key")):
        held = f"it holds {listing(contents) or 'nothing'}"
        if key is None:
            faults.append(f"{path}: no data set in it is known as {what}; {held}. Declare {field} in dataset.yaml beside it.")
        elif key not in contents:
            faults.append(f"{path}: has no data set {key}; {held}. Mend {field} in dataset.yaml.")
    if faults:
        raise DataError("\n".join(faults))
    return Pair(stem(path), f"{path}:{image}" if image else str(path), f"{path}:{labels}")


def folder_pairs(root: Path, declared: Declared) -> list[Pair]:
    """The volumes of images/ and labels/ that have equal names, in order of name.

    A folder that holds nothing but several PNG files is one stack of sections.

    Raises:
        DataError: A folder is missing or holds nothing readable, or a volume has no partner; all are named.
    """
    images, labels = volumes_in(root / "images"), volumes_in(root / "labels")
    faults = [f for f in (_empty(root, "images", images), _empty(root, "labels", labels)) if f]
    if not faults:
        faults += [_lonely(root, "images", name, labels) for name in images if name not in labels]
        faults += [_lonely(root, "labels", name, images) for name in labels if name not in images]
        faults += [*_twice(root / "images", images), *_twice(root / "labels", labels)]
    if faults:
        raise DataError("\n".join(faults))
    return [
        Pair(
            name,
            _with_key(paths[0], declared.image_key, IMAGE_KEYS),
            _with_key(labels[name][0], declared.labels_key, LABEL_KEYS),
        )
        for name, paths in images.items()
    ]


def volumes_in(folder: Path) -> dict[str, list[Path]]:
    """All that can be read in a folder, by name in order; more than one path where a name is used twice."""
    if not folder.is_dir():
        return {}
    paths = [p for p in sorted(folder.iterdir()) if not p.name.startswith(".") and format_of(p) is not None]
    if len(paths) > 1 and all(p.suffix.lower() == ".png" for p in paths):
        return {"stack": [folder]}
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(stem(path), []).append(path)
    return found


def known_key(contents: Contents, names: Iterable[str]) -> str | None:
    """The one key whose last part is a known name; the names that come first win."""
    for name in names:
        found = _only(key for key in contents if key.lower().rpartition("/")[2] == name)
        if found is not None:
            return found
    return None


def _only(values: Iterable[str]) -> str | None:
    found = list(values)
    return found[0] if len(found) == 1 else None


def _with_key(path: Path, declared: str | None, names: Iterable[str]) -> str:
    """A path for ``open_volume``: with the declared key, or with a well-known one if the container holds several data sets."""
    if not is_container(path):
        return str(path)
    contents = contents_of(path)
    key = declared or (known_key(contents, names) if len(contents) > 1 else None)
    return f"{path}:{key}" if key else str(path)


def _empty(root: Path, side: str, found: dict[str, list[Path]]) -> str | None:
    """What is wrong with images/ or labels/ as a whole."""
    folder = root / side
    if found:
        return None
    if folder.is_dir():
        return f"{folder}: holds nothing readable. Put the {side} here; known: {KNOWN_FORMATS}."
    if side == "labels":
        return f"{folder}: is missing. Put labels for each image here, under the image's name."
    inner = sorted(p.parent.name for p in root.glob("*/images"))
    containers = [] if inner else sorted(p.name for p in root.iterdir() if is_container(p))
    near = [f"{root / name}" for name in inner or containers]
    return f"{folder}: is missing. {WANTED}" + (f" Did you mean {' or '.join(near)}?" if near else "")


def _lonely(root: Path, side: str, name: str, partners: dict[str, list[Path]]) -> str:
    """What is said of a volume that has no partner."""
    other = "labels" if side == "images" else "images"
    unread = [p.name for p in sorted((root / other).iterdir()) if p.name.split(".")[0] == name]
    close = difflib.get_close_matches(name, partners, n=1)
    if unread:
        hint = f" {other}/{unread[0]} is there, but its format is not known; known: {KNOWN_FORMATS}."
    else:
        hint = f" Did you mean {other}/{close[0]}? Names must be equal." if close else ""
    return f"{root / other / name}: is missing, but {side}/{name} is there.{hint} Add it or move {side}/{name} elsewhere."


def _twice(folder: Path, found: dict[str, list[Path]]) -> list[str]:
    return [
        f"{folder}: {' and '.join(p.name for p in paths)} have the same name. Keep one."
        for paths in found.values()
        if len(paths) > 1
    ]
