"""All that is measured of a data set."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.fingerprint.intensity import measure_intensity
from pytc_auto.fingerprint.labels import LabelSource, measure_labels
from pytc_auto.fingerprint.sampling import sampled_boxes
from pytc_auto.fingerprint.sections import blank_label_sections, measure_sections
from pytc_auto.geometry import Box, cutting_axis
from pytc_auto.io.open import open_volume
from pytc_auto.io.volume import Volume, in_memory
from pytc_auto.schema.dataset import Dataset
from pytc_auto.schema.fingerprint import Fingerprint, VolumeFacts

HELD_BYTES = 5e8


def measure(
    dataset: Dataset, *, seed: int = 0, name: str | None = None, progress: Callable[[str, float], None] | None = None
) -> Fingerprint:
    """Measure a data set; the same seed gives the same fingerprint.

    Args:
        dataset: Where the volumes are.
        seed: Chooses the sampled boxes of large volumes.
        name: Of the fingerprint; the data folder's by default.
        progress: Told the volume and the share that is done.

    Raises:
        DataError: A volume cannot be read, or its labels are zero everywhere.
    """
    rng = np.random.default_rng(seed)
    entries = dataset.volumes
    size = tuple(median(e.voxel_size_nm[i] for e in entries) for i in range(3))
    axis = cutting_axis(size)
    images: list[tuple[Volume, list[Box]]] = []
    sources: list[LabelSource] = []
    facts: list[VolumeFacts] = []
    for number, entry in enumerate(entries):
        image = in_memory(open_volume(entry.image, axes=entry.axes), HELD_BYTES)
        boxes = sampled_boxes(image, rng)
        images.append((image, boxes))
        blank: list[int] = []
        if entry.labels is not None:
            labels = in_memory(open_volume(entry.labels, axes=entry.axes), HELD_BYTES)
            _refuse_empty(labels, boxes)
            blank = blank_label_sections(image, labels, axis, np.array([0, *dataset.unlabeled]))
            sources.append(LabelSource(labels, boxes, axis, blank))
        facts.append(
            VolumeFacts(
                name=entry.name,
                shape=image.shape,
                dtype=str(image.dtype),
                voxel_size_nm=entry.voxel_size_nm,
                labelled=entry.labels is not None,
                blank_label_sections=blank,
            )
        )
        if progress:
            progress(entry.name, (number + 1) / len(entries))
    intensity = measure_intensity(images, rng)
    return Fingerprint(
        name=name or dataset.root.rstrip("/").rpartition("/")[2],
        task=dataset.task,
        volumes=facts,
        voxel_size_nm=(size[0], size[1], size[2]),
        intensity=intensity,
        sections=measure_sections([image for image, _ in images], axis, intensity.std),
        labels=measure_labels(sources, dataset.unlabeled, (size[0], size[1], size[2])) if sources else None,
        class_names=dataset.class_names,
        unlabeled=dataset.unlabeled,
        sampled_fraction=sum(b.size for _, bs in images for b in bs) / sum(v.box.size for v, _ in images),
        seed=seed,
    )


def _refuse_empty(labels: Volume, boxes: list[Box]) -> None:
    if not any(labels.read(box).any() for box in boxes):
        raise DataError(
            f"{labels.source}: the labels are zero everywhere. Give the labels of this volume, or move its image elsewhere."
        )


def remarks(fingerprint: Fingerprint) -> list[str]:
    """What a person should know, in plain words."""
    found = []
    for volume in fingerprint.volumes:
        blank = volume.blank_label_sections
        if blank:
            listed = ", ".join(map(str, blank))
            plural = "sections" if len(blank) > 1 else "section"
            found.append(
                f"{volume.name}: the labels of {plural} {listed} are blank between labelled ones; they count as unlabeled."
            )
    labels = fingerprint.labels
    if labels and labels.foreground_fraction is not None and labels.foreground_fraction < 0.01:
        found.append(f"Only {labels.foreground_fraction:.2%} of the voxels are foreground; crops are drawn around it.")
    if fingerprint.sections.missing_rate:
        found.append(f"{fingerprint.sections.missing_rate:.1%} of the image sections are blank.")
    return found
