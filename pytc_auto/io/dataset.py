"""Find the volumes of a data set: a folder with images/ and labels/, or one container with both."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.geometry import ZyxFloat
from pytc_auto.io.open import contents_of, format_of, is_container, open_volume, stem
from pytc_auto.io.volume import Volume
from pytc_auto.schema.dataset import Dataset, Declared, Task, VolumeEntry

IMAGE_KEYS = ("raw", "image", "images", "img", "em", "data", "volumes/raw")
LABEL_KEYS = ("labels", "label", "seg", "segmentation", "gt", "truth", "volumes/labels/neuron_ids", "volumes/labels")
SAME_SHARE = 0.05


@dataclass(frozen=True)
class _Pair:
    """An image and its labels, as paths for ``open_volume``."""

    name: str
    image: str
    labels: str


def find_dataset(path: str | Path, *, voxel_size_nm: ZyxFloat | None = None, task: Task | None = None) -> Dataset:
    """Find and check the volumes of a data set; no voxels are read but a few labels.

    Args:
        path: Folder with images/ and labels/ (matching names), or a container with both.
        voxel_size_nm: (z, y, x); wins over what files and dataset.yaml tell.
        task: Wins over dataset.yaml.

    Raises:
        DataError: Something is missing or does not fit; all faults are listed.
        PlanError: dataset.yaml is not valid.
    """
    root = Path(path).absolute()
    if not root.exists():
        raise DataError(f"{path}: is not there. Give a folder with images/ and labels/, or one container with both.")
    declared = _declared(root)
    pairs = _container_pairs(root, declared) if is_container(root) else _folder_pairs(root, declared)
    faults: list[str] = []
    entries = [e for e in (_entry(pair, declared, voxel_size_nm, faults) for pair in pairs) if e is not None]
    if not faults:
        faults += _size_faults(entries)
    if faults:
        raise DataError("\n".join(faults))
    return Dataset(
        root=str(root),
        task=task or declared.task,
        unlabeled=declared.unlabeled,
        class_names=declared.class_names,
        volumes=entries,
    )


def _declared(root: Path) -> Declared:
    file = (root if root.is_dir() else root.parent) / "dataset.yaml"
    return Declared.load(file) if file.is_file() else Declared()


def _container_pairs(root: Path, declared: Declared) -> list[_Pair]:
    """The one volume of a container."""
    contents = contents_of(root)
    image = declared.image_key or _known(contents, IMAGE_KEYS)
    labels = declared.labels_key or _known(contents, LABEL_KEYS)
    for what, key, field in (("images", image, "image_key"), ("labels", labels, "labels_key")):
        if key is None or key not in contents:
            held = ", ".join(sorted(contents)) or "nothing"
            raise DataError(f"{root}: holds no {what} under a known name (it holds {held}). Declare {field} in dataset.yaml beside it.")
    return [_Pair(stem(root), f"{root}:{image}", f"{root}:{labels}")]


def _known(contents: object, names: tuple[str, ...]) -> str | None:
    held = {str(key).lower(): str(key) for key in contents}  # type: ignore[attr-defined]
    return next((held[name] for name in names if name in held), None)


def _folder_pairs(root: Path, declared: Declared) -> list[_Pair]:
    """Images and labels of equal names."""
    images, labels = _volumes_in(root / "images"), _volumes_in(root / "labels")
    if not images and not labels:
        raise DataError(
            f"{root}: holds nothing that can be read. Put volumes into {root.name}/images and their labels, under the same names, "
            f"into {root.name}/labels."
        )
    if not labels:
        raise DataError(f"{root}: has images but no labels. Put the labels of each volume, under the same name, into {root / 'labels'}.")
    faults = [_lonely(root, name, "labels", list(labels)) for name in images if name not in labels]
    faults += [_lonely(root, name, "images", list(images)) for name in labels if name not in images]
    if faults:
        raise DataError("\n".join(faults))
    return [
        _Pair(name, _with_key(images[name], declared.image_key), _with_key(labels[name], declared.labels_key)) for name in images
    ]


def _with_key(path: Path, key: str | None) -> str:
    return f"{path}:{key}" if key and is_container(path) and key in contents_of(path) else str(path)


def _volumes_in(folder: Path) -> dict[str, Path]:
    """Name to path of all that can be read; a folder of sections lies in a folder of its own."""
    if not folder.is_dir():
        return {}
    found = {stem(p): p for p in sorted(folder.iterdir()) if not p.name.startswith(".") and format_of(p) is not None}
    images = [p for p in found.values() if p.suffix.lower() == ".png"]
    if len(images) > 1 and len(images) == len(found):
        return {folder.name if folder.name not in ("images", "labels") else "stack": folder}
    return found


def _lonely(root: Path, name: str, missing: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]}? Names must be equal." if close else ""
    other = "images" if missing == "labels" else "labels"
    return f"{root / missing / name}: is missing, {root / other} has it.{hint} Add it, or move {other}/{name} elsewhere."


def _entry(pair: _Pair, declared: Declared, given: ZyxFloat | None, faults: list[str]) -> VolumeEntry | None:
    """A checked volume; faults are added to the list."""
    axes = declared.axes or "zyx"
    opened: list[Volume] = []
    for path in (pair.image, pair.labels):
        try:
            opened.append(open_volume(path, axes=axes))
        except DataError as error:
            faults.append(str(error))
    if len(opened) < 2:
        return None
    image, labels = opened
    faults += [f for f in (_shape_fault(image, labels), _label_fault(labels)) if f]
    size = given or image.voxel_size_nm or declared.voxel_size_nm or labels.voxel_size_nm
    if size is None:
        faults.append(
            f"{pair.image}: the voxel size is not known. Store it in the file, declare voxel_size_nm in dataset.yaml beside images/, "
            "or give --voxel-size Z,Y,X in nanometers."
        )
        return None
    return VolumeEntry(
        name=pair.name, image=pair.image, labels=pair.labels, voxel_size_nm=size, axes=axes, unlabeled_sections=[]
    )


def _shape_fault(image: Volume, labels: Volume) -> str | None:
    if image.shape == labels.shape:
        return None
    return (
        f"{labels.source}: the labels have shape {labels.shape}, but the image {image.source} has {image.shape} (z, y, x). "
        "Give labels of the same voxels."
    )


def _label_fault(labels: Volume) -> str | None:
    """Labels must be whole numbers."""
    if np.issubdtype(labels.dtype, np.integer) or labels.dtype == np.bool_:
        return None
    return f"{labels.source}: labels must be whole numbers, these are {labels.dtype}. Convert them to an integer type."


def _size_faults(entries: list[VolumeEntry]) -> list[str]:
    """All volumes of a data set must have one voxel size."""
    first = entries[0].voxel_size_nm
    differ: Callable[[VolumeEntry], bool] = lambda e: any(  # noqa: E731
        abs(a - b) > SAME_SHARE * b for a, b in zip(e.voxel_size_nm, first, strict=True)
    )
    if not any(map(differ, entries)):
        return []
    listed = "; ".join(f"{e.name}: {list(e.voxel_size_nm)}" for e in entries)
    return [f"the volumes have different voxel sizes in nm ({listed}). Resample them to one, or plan them as separate data sets."]
