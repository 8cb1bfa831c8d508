"""All that is measured of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from pytc_auto.fingerprint.intensity import GrayValues, intensity_facts, read_gray_values
from pytc_auto.fingerprint.labels import LabelTable, Unlabeled, label_facts, read_labels, refuse_empty
from pytc_auto.fingerprint.sampling import image_boxes, label_boxes, label_columns
from pytc_auto.fingerprint.sections import blank_images, blank_label_sections, section_facts, section_foreground
from pytc_auto.geometry import Zyx, ZyxFloat, cutting_axis
from pytc_auto.io.entry import open_image, open_labels
from pytc_auto.io.volume import Volume, in_memory
from pytc_auto.progress import Progress, silent, walked
from pytc_auto.schema.dataset import Dataset, VolumeEntry
from pytc_auto.schema.fingerprint import Fingerprint, VolumeFacts

HELD_BYTES = 2**29
LITTLE_FOREGROUND = 0.01


@dataclass(frozen=True)
class Measured:
    """What is kept of one volume; ``read`` counts the voxels that were looked at, of image and labels."""

    name: str
    shape: Zyx
    voxel_size_nm: ZyxFloat
    gray: GrayValues
    labels: list[LabelTable] | None
    blank_label_sections: list[int]
    read: int


def measure(dataset: Dataset, *, seed: int = 0, name: str | None = None, progress: Progress = silent) -> Fingerprint:
    """Measure a data set.

    Images up to 256 Mi voxels and labels up to 128 Mi are read whole, larger ones in seeded boxes. Of an object in such a
    box, the box's border counts as the volume's. Memory is bounded by a constant.

    Args:
        dataset: Where the volumes are.
        seed: Chooses boxes and random values; the same seed gives the same fingerprint.
        name: Of the fingerprint; the data folder's by default.
        progress: Told what is being read.

    Raises:
        DataError: A volume cannot be read, or its labels are zero everywhere.
    """
    rng = np.random.default_rng(seed)
    size = _median_voxel_size([e.voxel_size_nm for e in dataset.volumes])
    found = []
    for entry in dataset.volumes:
        image, labels = open_image(entry), open_labels(entry) if entry.labels else None
        unlabeled = Unlabeled(dataset.unlabeled, cutting_axis(size), entry.unlabeled_sections)
        found.append(measure_volume(entry, image, labels, unlabeled, rng, progress))
    return _fingerprint(dataset, found, size, name or Path(dataset.root).name, seed)


def measure_volume(  # noqa: PLR0917
    entry: VolumeEntry,
    image: Volume,
    labels: Volume | None,
    unlabeled: Unlabeled,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> Measured:
    """Measure one volume.

    Args:
        entry: Its name and voxel size.
        image: Gray values.
        labels: Of the same shape, or None.
        unlabeled: What is known not to be labelled; blank sections are added to it.
        rng: Chooses boxes and random values.
        progress: Told what is being read.

    Raises:
        DataError: The labels are zero everywhere.
    """
    axis = unlabeled.axis
    boxes = image_boxes(image.shape, rng)
    gray = read_gray_values(image, boxes, axis, rng, walk=partial(walked, f"{entry.name}, image", progress))
    read = sum(b.size for b in boxes)
    if labels is None:
        return Measured(entry.name, image.shape, entry.voxel_size_nm, gray, None, [], read)
    what = f"{entry.name}, labels"
    progress(what, 0, 0)
    labels = in_memory(labels, HELD_BYTES)
    foreground = section_foreground(labels, label_columns(labels.shape, axis, rng), axis, unlabeled.values)
    if not foreground.any():
        refuse_empty(labels, unlabeled.values)
    blank = set(unlabeled.sections)
    if 0 not in unlabeled.values:
        blank |= set(blank_label_sections(labels, axis, foreground, blank_images(gray)))
    unlabeled = Unlabeled(unlabeled.values, axis, sorted(blank))
    regions = label_boxes(labels.shape, rng)
    tables = [read_labels(labels, box, unlabeled, entry.voxel_size_nm, rng) for box in walked(what, progress, regions)]
    read += sum(b.size for b in regions)
    return Measured(entry.name, image.shape, entry.voxel_size_nm, gray, tables, sorted(blank), read)


def remarks(fingerprint: Fingerprint) -> list[str]:
    """What a person should know of the data before a plan is made, in plain words."""
    found = [_blank_labels(v) for v in fingerprint.volumes if v.blank_label_sections]
    without = [v.name for v in fingerprint.volumes if not v.labelled]
    if without:
        found.append(f"Without labels: {', '.join(without)}. Nothing is learned from them.")
    labels = fingerprint.labels
    if labels and labels.foreground_fraction is not None and labels.foreground_fraction < LITTLE_FOREGROUND:
        found.append(f"Only {labels.foreground_fraction:.2%} of the labelled voxels are foreground.")
    if fingerprint.sections.missing_rate:
        found.append(f"{fingerprint.sections.missing_rate:.1%} of the image sections show nothing.")
    if fingerprint.sampled_fraction < 1:
        found.append(f"The volumes are large: {fingerprint.sampled_fraction:.2%} of their voxels were measured.")
    return found


def _blank_labels(volume: VolumeFacts) -> str:
    numbers = ", ".join(map(str, volume.blank_label_sections))
    noun = "sections" if len(volume.blank_label_sections) > 1 else "section"
    return f"{volume.name}: the labels of {noun} {numbers} (counted from 0) are blank. They count as unlabeled."


def _median_voxel_size(sizes: Sequence[ZyxFloat]) -> ZyxFloat:
    z, y, x = (float(median(axis)) for axis in zip(*sizes, strict=True))
    return z, y, x


def _fingerprint(dataset: Dataset, found: Sequence[Measured], size: ZyxFloat, name: str, seed: int) -> Fingerprint:
    grays = [m.gray for m in found]
    intensity = intensity_facts(grays)
    tables = [table for m in found for table in m.labels or []]
    classes = dataset.task == "classes" or bool(dataset.class_names)
    voxels = sum(int(np.prod(m.shape, dtype=np.int64)) * (1 if m.labels is None else 2) for m in found)
    return Fingerprint(
        name=name,
        task=dataset.task,
        volumes=[
            VolumeFacts(
                name=m.name,
                shape=m.shape,
                dtype=str(m.gray.dtype),
                voxel_size_nm=m.voxel_size_nm,
                labelled=m.labels is not None,
                blank_label_sections=m.blank_label_sections,
            )
            for m in found
        ],
        voxel_size_nm=size,
        intensity=intensity,
        sections=section_facts(grays, intensity.std if intensity else None),
        labels=label_facts(tables, declared_classes=classes) if tables else None,
        class_names=dataset.class_names,
        unlabeled=dataset.unlabeled,
        sampled_fraction=sum(m.read for m in found) / voxels,
        seed=seed,
    )
