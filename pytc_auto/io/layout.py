"""How the volumes of a data set lie in its folder.

DATASET/images/NAME + labels/NAME     images with labels of the same name
DATASET/imagesTr + labelsTr           a raw data set of nnU-Net
DATASET/train-input + train-labels    files whose names differ by such a word, as in SNEMI3D
DATASET/SEED/data.zarr, DATASET/*.h5  containers with both, as in NISB and CREMI
DATASET.h5, DATASET.zarr              one container with both
DATASET/dataset.yaml: volumes         each by path or URL

Skeletons lie beside them, see ``io.skeleton_layout``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pytc_auto.errors import DataError
from pytc_auto.io.loose import loose_pairs
from pytc_auto.io.nnunet import IMAGES, nnunet_layout
from pytc_auto.io.open import KNOWN_FORMATS, contents_of, format_of, is_container, stem
from pytc_auto.io.pairing import (
    IMAGE_KEYS,
    LABEL_KEYS,
    Layout,
    Pair,
    Side,
    container_pair,
    keys_in,
    matched,
    side_of,
    twice,
    visible,
    with_key,
)
from pytc_auto.io.remote import is_url
from pytc_auto.io.skeleton_layout import with_skeletons
from pytc_auto.io.unrelated import arranged
from pytc_auto.schema.dataset import Declared

WANTED = (
    "A data set is a folder with images/ and labels/, whose files have the same names, or one HDF5 or zarr container with both."
)


MOST_NAMED = 5
_MEANT = {
    "images": {*IMAGE_KEYS, "imgs"},
    "labels": {*LABEL_KEYS, "masks", "segmentations", "annotations"},
}
"""What folders are called that hold images or labels."""


def find_layout(root: Path, declared: Declared, beside: Path) -> Layout:
    """The volumes of a data set.

    Args:
        root: Folder or container.
        declared: Its dataset.yaml.
        beside: The folder of dataset.yaml, from which paths in it count.

    Raises:
        DataError: They cannot be told; all faults are listed.
    """
    if declared.volumes:
        return Layout(_by_hand(declared, beside), declared)
    if is_container(root):
        side = Side(root, {stem(root): [root]})
        return _skeletons_added(_containers(side, declared), root.parent, side, others=True)
    if not root.is_dir():
        raise DataError(f"{root}: is a single volume. {WANTED}")
    if (root / IMAGES).is_dir():
        return _skeletons_added(nnunet_layout(root, declared), root)
    containers = _containers_in(root, declared)
    if containers.found and not (root / "images").is_dir():
        return _skeletons_added(_containers(containers, declared), root, containers)
    return _skeletons_added(_folders(root, declared), root)


def _skeletons_added(layout: Layout, folder: Path, containers: Side | None = None, *, others: bool = False) -> Layout:
    """The layout with the skeletons of a folder, and those beside containers."""
    beside = {} if containers is None else {name: paths[0].parent for name, paths in containers.found.items()}
    return replace(layout, pairs=with_skeletons(layout.pairs, folder, beside=beside, others=others))


def _by_hand(declared: Declared, beside: Path) -> list[Pair]:
    """The volumes that dataset.yaml names."""

    def place(path: str, key: str | None, names: tuple[str, ...]) -> str:
        if is_url(path):
            return path
        placed = beside / path
        return with_key(placed, key, names) if placed.exists() else str(placed)

    return [
        Pair(
            v.name,
            place(v.image, declared.image_key, IMAGE_KEYS),
            v.labels and place(v.labels, declared.labels_key, LABEL_KEYS),
            v.skeletons and str(beside / v.skeletons),
        )
        for v in declared.volumes
    ]


def _folders(root: Path, declared: Declared) -> Layout:
    """The volumes of images/ and labels/.

    Without the two folders, those of files whose names tell which are labels.

    Raises:
        DataError: A folder is missing or holds nothing readable, or names do not fit.
    """
    sides = side_of(root / "images"), side_of(root / "labels")
    if not any(side.folder.exists() for side in sides) and (pairs := loose_pairs(root, declared)):
        return Layout(pairs, declared, [_of_loose(pairs)])
    faults = [fault for side in sides if not side.found for fault in [_empty(root, side)]]
    if faults:
        raise DataError("\n".join(faults))
    images, labels, remarks = arranged(*sides, declared)
    return Layout(matched(images, labels, declared), declared, remarks)


def _of_loose(pairs: Sequence[Pair]) -> str:
    """What is said of images and labels that were told by their names."""
    each = [f"{Path(p.image).name} with {Path(p.labels).name if p.labels else 'no labels'}" for p in pairs[:MOST_NAMED]]
    more = f" and {len(pairs) - MOST_NAMED} more" if len(pairs) > MOST_NAMED else ""
    told = f"{', '.join(each)}{more}"
    return f"Taken for images and labels by their names: {told}. If that is wrong, put them into images/ and labels/."


def _empty(root: Path, side: Side) -> str:
    """What is wrong with images/ or labels/ as a whole."""
    name = side.folder.name
    if side.folder.is_dir():
        held = ", ".join(_told(p) for p in visible(side.folder)[:MOST_NAMED])
        return f"{side.folder}: holds nothing readable{', but ' * bool(held)}{held}. Put the {name} here; known: {KNOWN_FORMATS}."
    alike = [p for p in visible(root) if p.is_dir() and p.name.lower() in _MEANT[name]]
    if alike:
        return f"{side.folder}: is missing. If {' or '.join(map(str, alike))} holds the {name}, call it {name}."
    if name == "labels":
        return f"{side.folder}: is missing. Put labels here, under the names of their images."
    if root.name in _MEANT and (root.parent / "images").is_dir():
        return f"{side.folder}: is missing. {WANTED} Did you mean {root.parent}?"
    inner = sorted({p.parent for pattern in ("*/images", f"*/{IMAGES}") for p in root.glob(pattern)})
    near = inner or [p for p in sorted(root.iterdir()) if is_container(p)]
    return f"{side.folder}: is missing. {WANTED}" + (f" Did you mean {' or '.join(map(str, near))}?" if near else "")


def _told(path: Path) -> str:
    """A file's name, for messages."""
    return f"{path.name} (a link to nowhere)" if path.is_symlink() and not path.exists() else path.name + "/" * path.is_dir()


def _containers_in(root: Path, declared: Declared) -> Side:
    """Containers in a folder or one folder deeper, by name, if at least one of them holds image and labels."""
    found: dict[str, list[Path]] = {}
    for path in visible(root):
        if is_container(path):
            found.setdefault(stem(path), []).append(path)
        elif path.is_dir() and format_of(path) is None:
            inner = [p for p in visible(path) if is_container(p)]
            chosen = [p for p in inner if _holds_both(p, declared)] or inner
            if len(chosen) == 1:
                found.setdefault(path.name, []).extend(chosen)
    usable = any(_holds_both(path, declared) for paths in found.values() for path in paths)
    return Side(root, found if usable else {})


def _holds_both(path: Path, declared: Declared) -> bool:
    contents = contents_of(path)
    return all(key is not None and key in contents for key in keys_in(contents, declared))


def _containers(side: Side, declared: Declared) -> Layout:
    """Containers with an image each and labels in one of them at least.

    Raises:
        DataError: Image or labels cannot be told, or a name is used twice.
    """
    faults = twice(side)
    pairs = []
    for name, paths in side.found.items():
        try:
            pairs.append(container_pair(name, paths[0], declared, bare=len(side.found) > 1))
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError("\n".join(faults))
    if declared.axes is None and all(_is_nisb(paths[0], pair) for paths, pair in zip(side.found.values(), pairs, strict=True)):
        remark = (
            f"{side.folder}: zarr arrays called img and seg are taken to be stored in x, y, z order, as in NISB, "
            "unless they name their axes. If they are in z, y, x order, say axes: zyx in dataset.yaml."
        )
        return Layout(pairs, declared.replace(axes="xyz"), [remark])
    return Layout(pairs, declared)


def _is_nisb(path: Path, pair: Pair) -> bool:
    return format_of(path) == "zarr" and pair.image == f"{path}:img" and pair.labels in (None, f"{path}:seg")
