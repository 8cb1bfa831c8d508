"""Sections along the cutting axis: drift, missing ones, blank labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.sampling import sections
from pytc_auto.io.volume import Volume
from pytc_auto.schema.fingerprint import SectionFacts

LEAST_FOREGROUND = 0.25
"""A blank label section counts only beside sections with this share of the median foreground."""
STRIDE = 4
"""Every fourth voxel in the plane tells a section's mean."""


def measure_sections(images: Sequence[Volume], axis: int, std: float) -> SectionFacts:
    """Drift of the sections' means in standard deviations, and the share of sections without contrast."""
    drifts, blank, count = [], 0, 0
    for image in images:
        means, deviations = _moments(image, axis)
        present = deviations > 0
        blank += int((~present).sum())
        count += len(means)
        if present.sum() > 1 and std > 0:
            drifts.append(float(means[present].std() / std))
    return SectionFacts(mean_drift=float(np.mean(drifts)) if drifts else None, missing_rate=blank / count if count else None)


def blank_label_sections(image: Volume, labels: Volume, axis: int, background: npt.NDArray[Any]) -> list[int]:
    """Sections whose labels are all background although there is an image and the neighbors are labelled.

    Args:
        image: Gray values.
        labels: Of the same shape.
        axis: The cutting axis.
        background: Values that do not count as foreground.
    """
    share = np.array([float(1 - np.isin(labels.read(box), background).mean()) for _, box in sections(labels, axis)])
    labelled = share[share > 0]
    if len(labelled) < len(share) / 2:
        return []
    typical = float(np.median(labelled))
    return [int(s) for s in np.flatnonzero(share == 0) if _missed(share, int(s), typical) and _deviation(image, axis, int(s)) > 0]


def _missed(share: npt.NDArray[np.float64], section: int, typical: float) -> bool:
    """Whether the nearest sections with labels on either side have plenty of them."""
    before, after = share[:section], share[section + 1 :]
    nearest = [*before[before > 0][-1:], *after[after > 0][:1]]
    return bool(nearest) and min(nearest) >= LEAST_FOREGROUND * typical


def _moments(image: Volume, axis: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each section."""
    values = [image.read(box)[::STRIDE, ::STRIDE, ::STRIDE].astype(np.float64) for _, box in sections(image, axis)]
    return np.array([v.mean() for v in values]), np.array([v.std() for v in values])


def _deviation(image: Volume, axis: int, section: int) -> float:
    box = next(box for number, box in sections(image, axis) if number == section)
    return float(image.read(box).std())
