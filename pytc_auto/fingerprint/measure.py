"""All that is measured of a data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.fingerprint.agreement import Agreement, compare
from pytc_auto.fingerprint.blank_labels import blank_label_sections, look_at_sections
from pytc_auto.fingerprint.census import Census, Count, take_census
from pytc_auto.fingerprint.contrast import inverted_by_structure
from pytc_auto.fingerprint.ignore import edge_value
from pytc_auto.fingerprint.intensity import Filled, GrayValues, Image, find_padding, intensity_facts, read_gray_values
from pytc_auto.fingerprint.labels import VolumeLabels, census_of, empty_labels, label_facts, read_labels, refuse_empty
from pytc_auto.fingerprint.measurement import Measurement, VolumeView, orthogonal_slices, size_histogram
from pytc_auto.fingerprint.pictures import pictures_of
from pytc_auto.fingerprint.sampling import can_be_counted, image_boxes, label_boxes, label_columns, section_windows
from pytc_auto.fingerprint.sections import Sections, measure_sections, section_facts
from pytc_auto.fingerprint.skeletons import skeleton_facts
from pytc_auto.fingerprint.unlabeled import Unlabeled
from pytc_auto.geometry import Box, ZyxFloat, cutting_axis, zyx
from pytc_auto.io.entry import open_image, open_labels
from pytc_auto.io.open import open_volume
from pytc_auto.io.scale import coarse_voxel_size
from pytc_auto.io.volume import Volume, in_memory
from pytc_auto.progress import Progress, silent, walked
from pytc_auto.schema.dataset import AxisOrder, Dataset, VolumeEntry
from pytc_auto.schema.fingerprint import CountedFrom, Fingerprint, LabelsBox, Provenance, VolumeFacts

HELD_BYTES = 2**27
MOST_BARS = 4
"""Of more volumes the progress is told of all together; their total is guessed from those that are done."""
LEAST_DEVIATION = 0.02
"""Of that of all volumes: eight bits beside sixteen have 0.002, shares beside eight bits 0.004, a faint image more."""
BORDER_SECTIONS = 3
"""Left out at either end of the labels where they are compared with the image, so that its neighbors are there."""


@dataclass(frozen=True)
class Reading:
    """How volumes are read.

    Attributes:
        rng: Chooses boxes and random values.
        full: Whether everything is read.
        progress: Told what is being read.
    """

    rng: np.random.Generator
    full: bool = False
    progress: Progress = silent

    def walk(self, what: str) -> Callable[[Sequence[Box]], Iterable[Box]]:
        """Gives boxes one after another and tells how far the reading is."""
        return partial(walked, what, self.progress)


@dataclass(frozen=True)
class Labelled:
    """The labels of one volume and what is said of them.

    Attributes:
        labels: As read by box, z, y, x.
        unlabeled: What is known not to be labelled, in voxels of the labels.
        open_level: Opens a coarser level of the stored pyramid by its place in ``labels.levels_nm``.
    """

    labels: Volume
    unlabeled: Unlabeled
    open_level: Callable[[int], Volume]


@dataclass(frozen=True)
class Measured:
    """What is kept of one volume."""

    facts: VolumeFacts
    image: Image
    inverted: bool | None
    labels: VolumeLabels | None
    view: VolumeView

    @property
    def read(self) -> int:
        """Voxels of image and labels that were looked at."""
        if self.labels is None:
            return self.image.gray.voxels
        boxes = sum(t.voxels for t in self.labels.tables)
        return self.image.gray.voxels + (max(boxes, self.labels.voxels) if self.labels.counted_from == "voxels" else boxes)


def measure(
    dataset: Dataset,
    *,
    seed: int = 0,
    full: bool = False,
    name: str | None = None,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Measurement:
    """Measure a data set.

    Small volumes are read whole. Of large ones seeded boxes are read; ids and components are counted over all labels, on a
    coarser level of their pyramid where they are too many, and in the boxes where there is none. Memory is bounded by a
    constant and the number of components.

    Args:
        dataset: Where the volumes are.
        seed: Chooses boxes and random values; the same seed gives the same fingerprint.
        full: Read everything, however long it takes. Sections are compared in windows all the same.
        name: Of the fingerprint; the data folder's by default.
        cache: Folder for copies of volumes that cannot be read by box; None reads them as they are.
        progress: Told what is being read.

    Raises:
        DataError: A volume or its skeletons cannot be read, its labels are zero everywhere, or no skeleton lies where they are.
            One image of many may show nothing.
    """
    many = len(dataset.volumes) > MOST_BARS
    reading = Reading(np.random.default_rng(seed), full, silent if many else progress)
    if many:
        progress("volumes", 0, 0)
    size = _median_voxel_size([e.voxel_size_nm for e in dataset.volumes])
    axis = cutting_axis(size)
    skeletons, found = skeleton_facts(dataset.volumes), []
    for entry in dataset.volumes:
        stored, labelled = open_image(entry), None
        image = stored if stored.random_access else open_image(entry, cache, reading.progress)
        if entry.labels:
            sections = [s - entry.labels_start[axis] for s in entry.unlabeled_sections]
            open_level = partial(_level, entry.labels, entry.axes)
            labelled = Labelled(
                open_labels(entry, cache, reading.progress), Unlabeled(dataset.unlabeled, axis, sections), open_level
            )
        measured = measure_volume(entry, image, labelled, axis, reading)
        found.append(replace(measured, facts=measured.facts.replace(chunks=stored.chunks)))
        if many:
            done = sum(math.prod(m.facts.shape or ()) for m in found)
            progress("volumes", done, done / len(found) * len(dataset.volumes))
    labels = [m.labels for m in found if m.labels is not None]
    if labels and all(v.counted_from == "voxels" and not v.census.value.size for v in labels):
        raise empty_labels(dataset.root, dataset.unlabeled)
    fingerprint = _fingerprint(dataset, found, size, name or Path(dataset.root).name, seed).replace(skeletons=skeletons)
    _refuse_other_ranges(found, fingerprint)
    return Measurement(fingerprint, tuple(m.view for m in found), size_histogram([v.census for v in labels]))


def _refuse_other_ranges(found: Sequence[Measured], fingerprint: Fingerprint) -> None:
    """Refuse a volume of which a network would see one gray, as its values are of another range than those of all together."""
    if fingerprint.intensity is None:
        return
    whole, faults = fingerprint.intensity.std, []
    for measured in found:
        mean, deviation = measured.image.moments[0], math.sqrt(measured.image.moments[1])
        if 0 < deviation < LEAST_DEVIATION * whole:
            faults.append(f"{measured.facts.name}: its gray values are {mean:.3g} on average and vary by {deviation:.3g}")
    if faults:
        told = f"Those of all volumes together vary by {whole:.3g}. Convert them to one range, such as 8 bits."
        raise DataError("\n".join([*faults, told]))


def measure_volume(entry: VolumeEntry, image: Volume, labelled: Labelled | None, axis: int, reading: Reading) -> Measured:
    """Measure one volume.

    Args:
        entry: Its name and voxel size, and where the labels begin.
        image: Gray values.
        labelled: The labels, if there are any.
        axis: The cutting axis.
        reading: How to read.

    Raises:
        DataError: The labels are zero everywhere.
    """
    size = entry.voxel_size_nm
    boxes = image_boxes(image, reading.rng, full=reading.full)
    gray = read_gray_values(image, boxes, axis, reading.rng, walk=reading.walk(f"{entry.name}, image"))
    windows = section_windows(image, axis, reading.rng, full=reading.full)
    sections = measure_sections(image, windows, size, walk=reading.walk(f"{entry.name}, sections"))
    shown = sorted(set(windows.sections) - set(sections.defects.missing))
    empty = _blank_sections(sections, gray)
    blank: list[int] = []
    agreement, found = Agreement(), None
    if labelled is not None:
        found, unlabeled = _measure_labels(entry, labelled, sections.defects.missing, reading)
        start = entry.labels_start[axis]
        blank = [s + start for s in unlabeled.sections]
        pictures = pictures_of(labelled.labels, entry.labels_start, unlabeled, margin=BORDER_SECTIONS)
        agreement = compare(image, pictures, axis, size)
    inverted = agreement.inverted
    if inverted is None and shown:
        inverted = inverted_by_structure(image, axis, [s for i, s in enumerate(size) if i != axis], shown)
    slices = orthogonal_slices(image, labelled.labels if labelled else None, entry.labels_start)
    return Measured(
        facts=_volume_facts(entry, image, labelled, found, agreement, blank),
        image=Image(gray, find_padding(image, gray, axis, shown, empty), empty),
        inverted=inverted,
        labels=found,
        view=VolumeView(entry.name, sections, slices, gray.not_finite),
    )


def _blank_sections(sections: Sections, gray: GrayValues) -> list[Filled]:
    """What of an image that was read lies in blank sections of one value."""
    curves = sections.curves
    each = gray.voxels / len(curves.section)
    constant = np.isin(curves.section, sections.defects.missing) & (curves.std == 0)
    return [Filled(float(value), each) for value in curves.mean[constant]]


def _measure_labels(
    entry: VolumeEntry, labelled: Labelled, missing: Sequence[int], reading: Reading
) -> tuple[VolumeLabels, Unlabeled]:
    """The labels of one volume, and what of them means nothing, blank sections included."""
    what, unlabeled, axis = f"{entry.name}, labels", labelled.unlabeled, labelled.unlabeled.axis
    reading.progress(what, 0, 0)
    labels = in_memory(labelled.labels, HELD_BYTES)
    columns = label_columns(labels, axis, reading.rng, full=reading.full)
    sections = look_at_sections(labels, columns, axis, unlabeled.values)
    if min(labels.shape) > 1 and not sections.foreground.any():
        refuse_empty(labels, unlabeled.values)
    blank = set(unlabeled.sections)
    if 0 not in unlabeled.values:
        gone = np.isin(np.arange(labels.shape[axis]) + entry.labels_start[axis], missing)
        blank |= set(blank_label_sections(labels, axis, sections.foreground, gone))
    unlabeled = Unlabeled(unlabeled.values, axis, sorted(blank))
    boxes = label_boxes(labels, reading.rng, full=reading.full)
    whole = Count() if sum(b.size for b in boxes) == labels.box.size else None
    tables = [read_labels(labels, b, unlabeled, entry.voxel_size_nm, reading.rng, whole) for b in reading.walk(what)(boxes)]
    census, counted_from = (
        (whole.census(entry.voxel_size_nm), "voxels")
        if whole
        else _census(replace(labelled, unlabeled=unlabeled), entry, reading)
    )
    found = VolumeLabels(
        tables=tables,
        census=census or census_of(tables, entry.voxel_size_nm),
        counted_from=counted_from,
        voxel_size_nm=entry.voxel_size_nm,
        voxels=labels.box.size,
        edge_value=edge_value(labels, axis, sections, unlabeled.values),
        dtype=labels.dtype,
    )
    return found, unlabeled


def _census(labelled: Labelled, entry: VolumeEntry, reading: Reading) -> tuple[Census | None, CountedFrom]:
    """Count over all labels, at the finest level that is small enough; None where there is none."""
    labels, size, walk = labelled.labels, entry.voxel_size_nm, reading.walk(f"{entry.name}, components")
    if can_be_counted(labels.box.size):
        return take_census(labels, labelled.unlabeled, size, walk=walk), "voxels"
    for place in range(len(labels.levels_nm)):
        level = labelled.open_level(place)
        factor = zyx([max(1, round(n / m)) for n, m in zip(labels.shape, level.shape, strict=True)])
        if can_be_counted(level.box.size):
            coarse = coarse_voxel_size(size, factor)
            return take_census(level, labelled.unlabeled.coarser(factor), coarse, walk=walk), "coarser level"
    return None, "sample"


def _volume_facts(  # noqa: PLR0917
    entry: VolumeEntry,
    image: Volume,
    labelled: Labelled | None,
    found: VolumeLabels | None,
    agreement: Agreement,
    blank: list[int],
) -> VolumeFacts:
    box, fraction = None, None
    if labelled is not None and found is not None:
        labels = labelled.labels
        fraction = min(1.0, found.labelled_fraction * labels.box.size / image.box.size)
        if labels.shape != image.shape:
            box = LabelsBox(start=entry.labels_start, shape=labels.shape)
    return VolumeFacts(
        name=entry.name,
        shape=image.shape,
        dtype=str(image.dtype),
        voxel_size_nm=entry.voxel_size_nm,
        channels=image.channels,
        chunks=image.chunks,
        levels_nm=list(image.levels_nm),
        labelled=labelled is not None,
        labels_box=box,
        labelled_fraction=fraction,
        labels_shift_nm=agreement.labels_shift_nm,
        blank_label_sections=blank,
    )


def _level(path: str, axes: AxisOrder, place: int) -> Volume:
    """A level of a stored pyramid."""
    return open_volume(path, axes=axes, level=place)


def _median_voxel_size(sizes: Sequence[ZyxFloat]) -> ZyxFloat:
    z, y, x = (float(median(axis)) for axis in zip(*sizes, strict=True))
    return z, y, x


def _fingerprint(dataset: Dataset, found: Sequence[Measured], size: ZyxFloat, name: str, seed: int) -> Fingerprint:
    known = {m.inverted for m in found if m.inverted is not None}
    images = sum(math.prod(m.facts.shape or ()) for m in found)
    labels = [m.labels for m in found if m.labels is not None]
    intensity = intensity_facts([m.image for m in found], inverted=known.pop() if len(known) == 1 else None, voxels=images)
    classes = dataset.task == "classes" or bool(dataset.class_names)
    return Fingerprint(
        name=name,
        task=dataset.task,
        provenance=Provenance(kind="measured", sources=[], note=None),
        volumes=[m.facts for m in found],
        voxel_size_nm=size,
        intensity=intensity,
        sections=section_facts([m.view.sections for m in found], intensity.std if intensity else None),
        labels=label_facts(labels, declared_classes=classes) if labels else None,
        class_names=dataset.class_names,
        unlabeled=dataset.unlabeled,
        sampled_fraction=min(1.0, sum(m.read for m in found) / (images + sum(v.voxels for v in labels))),
        seed=seed,
    )
