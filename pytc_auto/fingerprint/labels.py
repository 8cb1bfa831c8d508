"""What the labels are: a mask, classes, instances or skeletons; shares of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.fingerprint.census import Census, Count, clear_unlabeled_in_place, merge_counts
from pytc_auto.fingerprint.components import find_components, join_widths
from pytc_auto.fingerprint.ignore import ignore_candidates
from pytc_auto.fingerprint.instances import InstanceTable, instance_facts, measure_instances
from pytc_auto.fingerprint.percentiles import weighted_percentiles
from pytc_auto.fingerprint.sampling import slabs
from pytc_auto.fingerprint.unlabeled import Unlabeled, is_foreground, whole_numbers
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.volume import Volume
from pytc_auto.schema.fingerprint import CountedFrom, Coverage, LabelFacts, LabelKind

MOST_CLASSES = 20
MOST_DECLARED_CLASSES = 255
CLASS_COMPONENTS = 2.0
"""A class has its voxels in at least so many components of like size; an instance has most in one."""
SKELETON_VOXELS = 3.0
SKELETON_ELONGATION = 3.0
SKELETON_FOREGROUND = 0.05
DENSE_FOREGROUND = 0.5
SPARSE_ELONGATION = 2.0
"""Elongated instances that mostly run out of the volume and leave so much room are a few of many."""


@dataclass(frozen=True)
class LabelTable:
    """What is kept of the labels of one box.

    Attributes:
        counts: Labelled voxels of each raw value.
        voxels: Of the box.
        instances: Its components.
    """

    counts: dict[int, int]
    voxels: int
    instances: InstanceTable


@dataclass(frozen=True)
class VolumeLabels:
    """What is kept of the labels of one volume.

    Attributes:
        tables: Of the boxes that were read for surfaces, gaps and solidity.
        census: Of its components.
        counted_from: What the census is of.
        voxel_size_nm: As stored, (z, y, x).
        voxels: In all.
        edge_value: Value, if any, that lies around everything else or fills whole sections.
        dtype: As stored.
    """

    tables: list[LabelTable]
    census: Census
    counted_from: CountedFrom
    voxel_size_nm: ZyxFloat
    voxels: int
    edge_value: int | None
    dtype: np.dtype[np.generic]

    @property
    def labelled_fraction(self) -> float:
        """Share of the labels' voxels that mean something."""
        return sum(self.census.counts.values()) / self.census.read


def read_labels(  # noqa: PLR0917
    labels: Volume, box: Box, unlabeled: Unlabeled, voxel_size_nm: ZyxFloat, rng: np.random.Generator, count: Count | None = None
) -> LabelTable:
    """Read and measure one box of labels.

    Args:
        labels: Whole numbers.
        box: Where to read.
        unlabeled: Where nobody looked.
        voxel_size_nm: (z, y, x).
        rng: Chooses where gaps are measured.
        count: Takes the components, too, where the boxes tile the labels.

    Raises:
        DataError: A label is not a whole number.
    """
    block = whole_numbers(labels.read(box), labels.source)
    known = unlabeled.labelled(block, box)
    counts = clear_unlabeled_in_place(block, known)
    components = find_components(block, known)
    instances = measure_instances(components, block, known, voxel_size_nm, rng)
    if count is not None:
        count.add_in_place(components, instances.widths, counts, box, labels.box)
    return LabelTable(counts, box.size, instances)


def census_of(tables: Sequence[LabelTable], voxel_size_nm: ZyxFloat) -> Census:
    """The census of boxes, each for itself."""
    value, voxels, extent, cut = (
        np.concatenate([getattr(t.instances, name) for t in tables]) for name in ("value", "voxels", "extent_nm", "cut")
    )
    widths = join_widths([t.instances.widths for t in tables])
    counts = merge_counts(t.counts for t in tables)
    return Census(value, voxels, extent, cut, widths, counts, sum(t.voxels for t in tables), voxel_size_nm)


def refuse_empty(labels: Volume, unlabeled: Sequence[int]) -> None:
    """Make sure that there is something in the labels.

    Raises:
        DataError: They are zero, or unlabeled, everywhere.
    """
    if not any(is_foreground(labels.read(box), unlabeled).any() for box in slabs(labels.box)):
        raise empty_labels(labels.source, unlabeled)


def empty_labels(source: str, unlabeled: Sequence[int]) -> DataError:
    """Tells that a volume, or a whole data set, has nothing in its labels."""
    besides = f" or unlabeled ({', '.join(map(str, unlabeled))})" if unlabeled else ""
    return DataError(
        f"{source}: the labels are zero{besides} everywhere, there is nothing to learn from. "
        "Give the labels that belong to this image, or take the volume out of the data set."
    )


def label_facts(volumes: Sequence[VolumeLabels], *, declared_classes: bool) -> LabelFacts:
    """Pool the labelled volumes.

    Args:
        volumes: At least one.
        declared_classes: Whether the user says that values are classes; then few components do not make them instances.
    """
    counts = merge_counts(v.census.counts for v in volumes)
    labelled, read = sum(counts.values()), sum(v.census.read for v in volumes)
    ids = sorted(counts.keys() - {0})
    whole = all(v.counted_from != "sample" for v in volumes)
    smallest = min(float(np.prod(v.voxel_size_nm)) for v in volumes)
    tables = [t for v in volumes for t in v.tables]
    foreground = 1 - counts.get(0, 0) / labelled if labelled else None
    kind = _kind(volumes, len(ids), foreground, declared_classes=declared_classes)
    instances = instance_facts(
        [t.instances for t in tables],
        [v.census for v in volumes],
        broken=whole and kind in ("instances", "skeletons"),
        smallest_nm3=smallest if whole else None,
    )
    per_volume = sum(len(v.census.counts.keys() - {0}) for v in volumes)
    return LabelFacts(
        kind=kind,
        coverage=_coverage(kind, volumes, foreground),
        values={value: count / labelled for value, count in counts.items()} if kind in ("mask", "classes") else None,
        ids=len(ids) if kind in ("mask", "classes") else per_volume,
        id_range=(ids[0], ids[-1]) if ids else None,
        components=sum(len(v.census.value) for v in volumes) if whole else None,
        foreground_fraction=foreground,
        unlabeled_fraction=1 - labelled / read,
        ignore_candidates=ignore_candidates(kind, counts, {v.dtype for v in volumes}, [v.edge_value for v in volumes]),
        instances=instances,
        counted_from=max((v.counted_from for v in volumes), key=["voxels", "coarser level", "sample"].index),
        counted_at_nm=max((v.census.voxel_size_nm for v in volumes), key=np.prod),
        sampled_fraction=min(1.0, sum(t.voxels for t in tables) / sum(v.voxels for v in volumes)),
    )


def _kind(volumes: Sequence[VolumeLabels], ids: int, foreground: float | None, *, declared_classes: bool) -> LabelKind:
    """One value beside 0 is a mask; a few values whose voxels are scattered over many components are classes."""
    if foreground is not None and not declared_classes and _thin(volumes, foreground):
        return "skeletons"
    if ids <= 1:
        return "mask"
    if declared_classes and ids <= MOST_DECLARED_CLASSES:
        return "classes"
    if ids > MOST_CLASSES:
        return "instances"
    scattered = np.concatenate([v.census.scatter for v in volumes])
    return "classes" if float(np.median(scattered)) >= CLASS_COMPONENTS else "instances"


def _thin(volumes: Sequence[VolumeLabels], foreground: float) -> bool:
    """Whether nearly all that is labelled is lines, a few voxels wide."""
    census = [v.census for v in volumes]
    widths = join_widths([c.widths for c in census])
    volume = np.concatenate([c.volume_nm3 for c in census])
    if foreground > SKELETON_FOREGROUND or not volume.size:
        return False
    elongation = weighted_percentiles(np.concatenate([c.elongation for c in census]), volume, (50,))["p50"]
    finest = min(min(v.voxel_size_nm) for v in volumes)
    thick = weighted_percentiles(widths.diameter_nm, widths.voxels, (90,))["p90"]
    return thick <= SKELETON_VOXELS * finest and elongation >= SKELETON_ELONGATION


def _coverage(kind: LabelKind, volumes: Sequence[VolumeLabels], foreground: float | None) -> Coverage | None:
    """Dense where most is labelled; sparse where long objects pass through much that is not."""
    if kind == "skeletons":
        return "sparse"
    if foreground is None:
        return None
    if foreground >= DENSE_FOREGROUND:
        return "dense"
    census = [v.census for v in volumes]
    volume, cut = np.concatenate([c.volume_nm3 for c in census]), np.concatenate([c.cut for c in census])
    if kind != "instances" or not volume.size:
        return None
    elongation = weighted_percentiles(np.concatenate([c.elongation for c in census]), volume, (50,))["p50"]
    return "sparse" if elongation >= SPARSE_ELONGATION and float(volume[cut].sum()) > 0.5 * float(volume.sum()) else None
