"""What the labels are: a mask, classes or instances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.instances import Components, components_of, measure_instances, pooled
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.volume import Volume
from pytc_auto.schema.fingerprint import InstanceFacts, LabelFacts

MOST_CLASSES = 20
COMPONENTS_PER_CLASS = 3.0


@dataclass(frozen=True)
class LabelSource:
    """Labels with the sections along an axis that count as unlabeled."""

    volume: Volume
    boxes: Sequence[Box]
    axis: int
    blank: Sequence[int]


def measure_labels(sources: Sequence[LabelSource], unlabeled: Sequence[int], voxel_size_nm: ZyxFloat) -> LabelFacts:
    """Kind, shares, and the sizes of the connected components.

    Args:
        sources: All labelled volumes.
        unlabeled: Values that mean: nobody looked here.
        voxel_size_nm: (z, y, x).
    """
    counts: Counter[int] = Counter()
    seen, known, components, parts, weights = 0, 0, 0, list[InstanceFacts](), list[int]()
    labelled = [(s, box, *_read(s, box, unlabeled)) for s in sources for box in s.boxes]
    for _, box, labels, looked in labelled:
        values, numbers = np.unique(labels[looked], return_counts=True)
        counts.update(dict(zip(values.tolist(), numbers.tolist(), strict=True)))
        seen, known = seen + box.size, known + int(looked.sum())
        components += components_of(np.where(looked, labels, 0)).count
    kind = _kind(counts, components)
    for _, box, labels, looked in labelled:
        parts.append(measure_instances(_components(labels, looked, kind), voxel_size_nm))
        weights.append(box.size)
    ids = len([v for v in counts if v != 0])
    return LabelFacts(
        kind=kind,
        values={int(v): n / known for v, n in sorted(counts.items())} if kind != "instances" else None,
        ids=ids,
        components=components,
        foreground_fraction=1 - counts.get(0, 0) / known if known else None,
        unlabeled_fraction=1 - known / seen,
        instances=pooled(parts, weights),
    )


def _read(source: LabelSource, box: Box, unlabeled: Sequence[int]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Labels of a box and where they are known."""
    labels = source.volume.read(box)
    looked = ~np.isin(labels, list(unlabeled)) if unlabeled else np.ones(labels.shape, bool)
    moved = np.moveaxis(looked, source.axis, 0)
    for section in source.blank:
        if box.start[source.axis] <= section < box.stop[source.axis]:
            moved[section - box.start[source.axis]] = False
    return labels, looked


def _components(labels: npt.NDArray[Any], looked: npt.NDArray[np.bool_], kind: str) -> Components:
    """Components whose sizes matter: of all values where they are classes, else of those other than 0."""
    return components_of(np.where(looked, labels.astype(np.int64) + (kind == "classes"), 0))


def _kind(counts: Counter[int], components: int) -> Literal["mask", "classes", "instances"]:
    """One value beside 0 is a mask; few values of many components each are classes."""
    ids = [v for v in counts if v != 0]
    if len(ids) <= 1:
        return "mask"
    if len(ids) <= MOST_CLASSES and components >= COMPONENTS_PER_CLASS * len(ids):
        return "classes"
    return "instances"
