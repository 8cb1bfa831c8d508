"""Which image goes with which labels: by name in two folders, or by key in one container."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytc_auto.errors import DataError
from pytc_auto.io.container import Contents, listing
from pytc_auto.io.open import KNOWN_FORMATS, contents_of, format_of, is_container, stem
from pytc_auto.io.volume import damaged
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


MOST_NAMED = 5


@dataclass(frozen=True)
class Pair:
    """An image, and its labels and skeletons where it has some: paths or URLs for ``open_volume`` and ``read_skeletons``."""

    name: str
    image: str
    labels: str | None
    skeletons: str | None = None


@dataclass(frozen=True)
class Layout:
    """What is found in a data set's folder.

    Attributes:
        pairs: Its volumes.
        declared: What dataset.yaml tells, and where it is silent what the layout itself tells.
        remarks: What was assumed, for a person to check.
    """

    pairs: list[Pair]
    declared: Declared
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Side:
    """The folder of the images, or that of the labels.

    Attributes:
        folder: Where it is.
        found: All that can be read in it, by name in order; more than one path where a name is used twice.
    """

    folder: Path
    found: Mapping[str, list[Path]]


def side_of(folder: Path) -> Side:
    """All volumes of a folder: files, containers and folders of sections; nothing where there is no such folder.

    Raises:
        DataError: A link beside them leads nowhere.
    """
    found: dict[str, list[Path]] = {}
    for path in visible(folder):
        if format_of(path) is not None:
            found.setdefault(stem(path), []).append(path)
    lost = [path for path in visible(folder) if path.is_symlink() and not path.exists()]
    if lost and found:
        told = "is a link to {}, which is not there. Mount its disk, or remove the link."
        raise DataError("\n".join(f"{path}: {told.format(path.readlink())}" for path in lost[:MOST_NAMED]))
    return Side(folder, found)


def matched(images: Side, labels: Side, declared: Declared) -> list[Pair]:
    """The images, each with the labels of its name; an image may have none.

    Raises:
        DataError: A name is used twice, labels have no image, or labels of nearly an image's name have another; all are named.
    """
    faults = [f for name in images.found if name not in labels.found and (f := _lonely_image(name, images, labels))]
    faults += [_lonely_labels(name, images, labels) for name in labels.found if name not in images.found]
    faults += [*twice(images), *twice(labels)]
    if faults:
        raise DataError("\n".join(faults))
    return [
        Pair(
            name,
            with_key(paths[0], declared.image_key, IMAGE_KEYS),
            with_key(labels.found[name][0], declared.labels_key, LABEL_KEYS) if name in labels.found else None,
        )
        for name, paths in images.found.items()
    ]


def container_pair(name: str, path: Path, declared: Declared, *, bare: bool) -> Pair:
    """The image and the labels of one container, by declared or well-known keys.

    Args:
        name: Of the volume.
        path: HDF5 or zarr.
        declared: May tell the keys.
        bare: Whether it may hold an image alone.

    Raises:
        DataError: One of them cannot be told.
    """
    contents = contents_of(path)
    image, labels = keys_in(contents, declared)
    if bare and labels is None and image in contents:
        return Pair(name, keyed(path, image), None)
    faults = []
    for what, key, wanted in (("image", image, "image_key"), ("labels", labels, "labels_key")):
        held = f"it holds {listing(contents) or 'nothing'}"
        if key is None:
            faults.append(f"{path}: no data set in it is known as {what}; {held}. Declare {wanted} in dataset.yaml beside it.")
        elif key not in contents:
            faults.append(f"{path}: has no data set {key}; {held}. Mend {wanted} in dataset.yaml.")
    if faults:
        raise DataError("\n".join(faults))
    return Pair(name, keyed(path, image), keyed(path, labels))


def keys_in(contents: Contents, declared: Declared) -> tuple[str | None, str | None]:
    """The keys of image and labels in a container that holds both; None where one cannot be told."""
    labels = declared.labels_key or known_key(contents, LABEL_KEYS) or _only(k for k in contents if "labels" in k.split("/"))
    others = {k: shape for k, shape in contents.items() if k != labels}
    return declared.image_key or ("" if "" in others else known_key(others, IMAGE_KEYS) or _only(others)), labels


def known_key(contents: Contents, names: Iterable[str]) -> str | None:
    """The one key whose last part is a known name; the names that come first win."""
    for name in names:
        found = _only(key for key in contents if key.lower().rpartition("/")[2] == name)
        if found is not None:
            return found
    return None


def with_key(path: Path, declared: str | None, names: Iterable[str]) -> str:
    """A path for ``open_volume``: with the declared key, or with a well-known one if the container holds several data sets."""
    if not is_container(path):
        return str(path)
    contents = contents_of(path)
    return keyed(path, declared or (known_key(contents, names) if len(contents) > 1 else None))


def keyed(path: Path, key: str | None) -> str:
    """``path:key``; the path alone for the container's own array."""
    return f"{path}:{key}" if key else str(path)


def visible(folder: Path) -> list[Path]:
    """What lies in a folder, in order of name, hidden files left out.

    Raises:
        DataError: It cannot be read.
    """
    with damaged(str(folder)):
        return [p for p in sorted(folder.iterdir()) if not p.name.startswith(".")] if folder.is_dir() else []


def _only(values: Iterable[str]) -> str | None:
    found = list(values)
    return found[0] if len(found) == 1 else None


def _lonely_image(name: str, images: Side, labels: Side) -> str | None:
    """What is said of an image without labels, if labels seem to be meant for it."""
    unread = [p.name for p in visible(labels.folder) if p.name.split(".")[0] == name and format_of(p) is None]
    close = difflib.get_close_matches(name, [n for n in labels.found if n not in images.found], n=1)
    if unread:
        hint = f"{labels.folder.name}/{unread[0]} is there, but its format is not known; known: {KNOWN_FORMATS}."
    elif close:
        hint = f"Did you mean {labels.folder.name}/{close[0]}? Names must be equal."
    else:
        return None
    return _missing(name, images, labels, hint)


def _lonely_labels(name: str, images: Side, labels: Side) -> str:
    """What is said of labels without an image."""
    close = difflib.get_close_matches(name, [n for n in images.found if n not in labels.found], n=1)
    held = ", ".join([*images.found][:MOST_NAMED]) + (" …" if len(images.found) > MOST_NAMED else "")
    hint = f"Did you mean {images.folder.name}/{close[0]}?" if close else f"{images.folder.name}/ holds {held}."
    hint += " Names must be equal."
    return _missing(name, labels, images, hint)


def _missing(name: str, there: Side, partner: Side, hint: str) -> str:
    given = f"{there.folder.name}/{name}"
    return " ".join(
        part
        for part in (f"{partner.folder / name}: is missing, but {given} is there.", hint, f"Add it or move {given} elsewhere.")
        if part
    )


def twice(side: Side) -> list[str]:
    """What is said of names that are used twice."""
    return [
        f"{side.folder}: {' and '.join(p.name for p in paths)} have the same name. Keep one."
        for paths in side.found.values()
        if len(paths) > 1
    ]
