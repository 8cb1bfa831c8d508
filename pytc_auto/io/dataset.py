"""Find the volumes of a data set, open them once, and see that everything fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.geometry import Zyx, ZyxFloat, blocks
from pytc_auto.io.grid import Grid, alike, common_grid, nm, shape_fault
from pytc_auto.io.layout import WANTED, find_layout
from pytc_auto.io.open import is_container, open_volume
from pytc_auto.io.pairing import Pair
from pytc_auto.io.section_numbers import section_remarks
from pytc_auto.io.volume import Volume, refuse_palette
from pytc_auto.schema.dataset import Dataset, Declared, Task, VolumeEntry

_BLOCK: Zyx = (32, 512, 512)
LEAST_NM, MOST_NM = 0.1, 1e6
"""Voxels of electron microscopes are larger than an atom and smaller than a millimeter."""


@dataclass(frozen=True)
class Found:
    """A data set, and what was assumed of it, for a person to check."""

    dataset: Dataset
    remarks: list[str]


def find_dataset(path: str | Path, *, voxel_size_nm: ZyxFloat | None = None, task: Task | None = None) -> Found:
    """Find and check the volumes of a data set; no voxels are read but those of labels that are floats and of 2D images.

    Args:
        path: Folder or container, see ``io.layout``. ``dataset.yaml`` in the folder, or beside the container, tells what the
            files do not.
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
    file = _declaration(root)
    layout = find_layout(root, Declared.load(file) if file.is_file() else Declared(), file.parent)
    declared = layout.declared
    faults: list[str] = []
    entries = [entry for pair in layout.pairs if (entry := _entry(pair, declared, voxel_size_nm, faults)) is not None]
    faults += _voxel_size_faults(entries)
    if not any(pair.labels for pair in layout.pairs):
        faults.append(f"{root}: no volume has labels. Give the labels of one volume at least.")
    if faults:
        raise DataError("\n".join(faults))
    dataset = Dataset(
        root=str(root),
        task=task or declared.task,
        unlabeled=declared.unlabeled,
        class_names=declared.class_names,
        volumes=entries,
    )
    return Found(dataset, layout.remarks + section_remarks(layout.pairs))


def _declaration(root: Path) -> Path:
    """Where dataset.yaml is looked for: inside a folder, else beside a container.

    Raises:
        DataError: It is called dataset.yml.
    """
    inside = root / "dataset.yaml"
    if not inside.is_file() and (other := inside.with_suffix(".yml")).is_file():
        raise DataError(f"{other}: is not read under this name. Call it {inside.name}.")
    return inside if inside.is_file() or not is_container(root) else root.parent / "dataset.yaml"


def _entry(pair: Pair, declared: Declared, given: ZyxFloat | None, faults: list[str]) -> VolumeEntry | None:
    """A checked volume; faults are added to the list."""
    axes = declared.axes or "zyx"
    image = labels = None
    try:
        image = open_volume(pair.image, axes=axes, channel=declared.channel)
        refuse_palette(image)
    except DataError as error:
        faults.append(str(error))
    try:
        labels = open_volume(pair.labels, axes=axes) if pair.labels else None
    except DataError as error:
        faults.append(str(error))
    if pair.skeletons and not Path(pair.skeletons).exists():
        faults.append(f"{pair.skeletons}: is not there. Mend skeletons of {pair.name} in dataset.yaml.")
    if image is None or (labels is None and pair.labels):
        return None
    if given is None and (level := _level(image, labels)):
        image = open_volume(pair.image, axes=axes, channel=declared.channel, level=level)
    size = given or image.voxel_size_nm or (labels and labels.voxel_size_nm) or declared.voxel_size_nm
    grid = _grid(image, labels, size, faults, stored=given is None)
    if grid is None:
        return None
    return VolumeEntry(
        name=pair.name,
        image=image.source,
        labels=labels and labels.source,
        voxel_size_nm=grid.voxel_size_nm,
        axes=axes,
        channel=declared.channel,
        image_scale=grid.image_scale,
        labels_scale=grid.labels_scale,
        labels_start=grid.labels_start,
        skeletons=pair.skeletons,
        skeleton_units=declared.skeleton_units or "nm",
        unlabeled_sections=[],
    )


def _level(image: Volume, labels: Volume | None) -> int:
    """The stored level of the image that has the voxel size of coarser labels; 0 where there is none."""
    if labels is None or labels.voxel_size_nm is None:
        return 0
    wanted = labels.voxel_size_nm
    return next((level for level, size in enumerate(image.levels_nm) if alike(size, wanted)), 0)


def _grid(image: Volume, labels: Volume | None, size: ZyxFloat | None, faults: list[str], *, stored: bool) -> Grid | None:
    """The common grid of an image and its labels; faults are added to the list."""
    grid = Grid(size) if size is not None else None
    if labels is not None and size is not None:
        try:
            grid = common_grid(image, labels, size, stored=stored)
        except DataError as error:
            faults.append(str(error))
    elif labels is not None and image.shape != labels.shape:
        faults.append(shape_fault(image, labels))
    if labels is not None and (fault := _label_fault(labels)):
        faults.append(fault)
    if size is not None and not all(LEAST_NM <= length <= MOST_NM for length in size):
        faults.append(
            f"{image.source}: voxels of {nm(size)} are smaller than an atom or larger than a millimeter. Give nanometers: "
            "micrometers times 1000, Ångström divided by 10."
        )
    if size is None:
        faults.append(
            f"{image.source}: the voxel size is not known. Store it in the file (see the documentation of its format), "
            "declare voxel_size_nm: [z, y, x] in dataset.yaml, or give --voxel-size Z,Y,X; all in nanometers."
        )
    return grid


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
    axes = list(zip(*(entry.voxel_size_nm for entry in entries), strict=True))
    if not axes or alike((min(axes[0]), min(axes[1]), min(axes[2])), (max(axes[0]), max(axes[1]), max(axes[2]))):
        return []
    listed = "; ".join(f"{entry.name}: {nm(entry.voxel_size_nm)}" for entry in entries)
    return [
        f"the volumes differ in voxel size by more than 5 %: {listed}. Resample them to one, or plan them as separate data sets."
    ]
