"""Find the volumes of a data set: a folder with images/ and labels/, or one container with both."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.geometry import Zyx, ZyxFloat, blocks
from pytc_auto.io.open import is_container, open_volume
from pytc_auto.io.pairing import WANTED, Pair, container_pair, folder_pairs
from pytc_auto.io.volume import Volume
from pytc_auto.schema.dataset import Dataset, Declared, Task, VolumeEntry

SAME_SHARE = 0.05
"""Voxel sizes that differ by no more than this share count as equal."""

_BLOCK: Zyx = (32, 512, 512)


def find_dataset(path: str | Path, *, voxel_size_nm: ZyxFloat | None = None, task: Task | None = None) -> Dataset:
    """Find and check the volumes of a data set; no voxels are read but those of labels that are floats.

    Args:
        path: Folder with images/ and labels/ (matching names), or a container with both. ``dataset.yaml`` in the folder, or
            beside the container, tells what the files do not.
        voxel_size_nm: (z, y, x) of every volume. It wins over the files, and they win over dataset.yaml.
        task: Wins over dataset.yaml.

    Returns:
        The data set, with absolute paths; ``unlabeled_sections`` is empty.

    Raises:
        DataError: Something is missing or does not fit; all faults are listed.
        PlanError: dataset.yaml is not valid.
    """
    root = Path(path).absolute()
    if not root.exists():
        raise DataError(f"{path}: is not there. {WANTED}")
    inside = is_container(root)
    if not inside and not root.is_dir():
        raise DataError(f"{path}: is a single volume. {WANTED}")
    declared = _declared(root)
    pairs = [container_pair(root, declared)] if inside else folder_pairs(root, declared)
    faults: list[str] = []
    entries = [entry for pair in pairs if (entry := _entry(pair, declared, voxel_size_nm, faults)) is not None]
    faults += _voxel_size_faults(entries)
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
    """dataset.yaml inside a folder, else beside a container; nothing is declared where there is none."""
    inside, beside = root / "dataset.yaml", root.parent / "dataset.yaml"
    file = inside if inside.is_file() or not is_container(root) else beside
    return Declared.load(file) if file.is_file() else Declared()


def _entry(pair: Pair, declared: Declared, given: ZyxFloat | None, faults: list[str]) -> VolumeEntry | None:
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
    size = given or image.voxel_size_nm or labels.voxel_size_nm or declared.voxel_size_nm
    found = (_shape_fault(image, labels), _label_fault(labels), _size_fault(image, labels, size, given=given is not None))
    faults += [fault for fault in found if fault]
    if size is None:
        return None
    return VolumeEntry(
        name=pair.name,
        image=image.source,
        labels=labels.source,
        voxel_size_nm=size,
        axes=axes,
        unlabeled_sections=[],
    )


def _shape_fault(image: Volume, labels: Volume) -> str | None:
    if image.shape == labels.shape:
        return None
    return (
        f"{labels.source}: the labels have shape {labels.shape}, but the image {image.source} has {image.shape} (z, y, x). "
        "Give labels of the same voxels."
    )


def _size_fault(image: Volume, labels: Volume, size: ZyxFloat | None, *, given: bool) -> str | None:
    """A volume needs a voxel size, and the files of an image and of its labels must not contradict each other."""
    if size is None:
        return (
            f"{image.source}: the voxel size is not known. Store it in the file (see the documentation of its format), "
            "declare voxel_size_nm: [z, y, x] in dataset.yaml, or give --voxel-size Z,Y,X; all in nanometers."
        )
    stored = image.voxel_size_nm, labels.voxel_size_nm
    if given or stored[0] is None or stored[1] is None or _alike(stored[0], stored[1]):
        return None
    return (
        f"{labels.source}: the labels' voxel size is {_nm(stored[1])}, but the image {image.source} has {_nm(stored[0])}. "
        "Mend one of them, or give --voxel-size Z,Y,X in nanometers."
    )


def _label_fault(labels: Volume) -> str | None:
    """Labels may be stored as floats, but must be whole numbers."""
    if labels.dtype.kind != "f":
        return None
    for box in blocks(labels.box, _BLOCK):
        values = labels.read(box)
        odd = np.argwhere(~(np.isfinite(values) & (values == np.rint(values))))
        if len(odd):
            z, y, x = (int(i) + a for i, a in zip(odd[0], box.start, strict=True))
            value = float(values[tuple(odd[0])])
            return (
                f"{labels.source}: labels must be whole numbers, but the value at z {z}, y {y}, x {x} is {value:g}. "
                "Convert them; probabilities must be thresholded first."
            )
    return None


def _voxel_size_faults(entries: list[VolumeEntry]) -> list[str]:
    """All volumes of a data set must have one voxel size."""
    if all(_alike(entry.voxel_size_nm, other.voxel_size_nm) for entry in entries for other in entries):
        return []
    listed = "; ".join(f"{entry.name}: {_nm(entry.voxel_size_nm)}" for entry in entries)
    return [
        f"the volumes differ in voxel size by more than 5 %: {listed}. Resample them to one, or plan them as separate data sets."
    ]


def _alike(one: ZyxFloat, other: ZyxFloat) -> bool:
    return all(abs(a - b) <= SAME_SHARE * min(a, b) for a, b in zip(one, other, strict=True))


def _nm(voxel_size_nm: ZyxFloat) -> str:
    return " x ".join(f"{s:g}" for s in voxel_size_nm) + " nm (z, y, x)"
