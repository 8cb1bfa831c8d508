"""What ``measure`` gives: the fingerprint, and beside it what a person wants to see of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.census import Census
from pytc_auto.fingerprint.intensity import NotFinite
from pytc_auto.fingerprint.percentiles import Floats
from pytc_auto.fingerprint.sections import Sections
from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.io.volume import Array, Volume
from pytc_auto.schema.fingerprint import Fingerprint

SLICE_SIDE = 768
BINS = 32


@dataclass(frozen=True)
class Slice:
    """A plane through a volume.

    Attributes:
        axis: Across which it lies.
        box: What it shows of the image, one voxel thick on ``axis``, at most 768 on the others.
        image: (A, B) gray values, the other two axes in order.
        labels: (A, B), 0 where there are none; None if the volume has no labels.
    """

    axis: int
    box: Box
    image: Array
    labels: Array | None


@dataclass(frozen=True)
class VolumeView:
    """One volume: its sections, a plane across each axis, and gray values that are no numbers, if there are any."""

    name: str
    sections: Sections
    slices: tuple[Slice, ...]
    not_finite: NotFinite | None = None


@dataclass(frozen=True)
class SizeHistogram:
    """How large the labels' components are.

    Attributes:
        edges_nm: (K + 1,) diameters of a ball of the same volume, evenly spaced in their logarithm.
        counts: (K,) components.
    """

    edges_nm: Floats
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measurement:
    """The fingerprint, with what is too long for it."""

    fingerprint: Fingerprint
    volumes: tuple[VolumeView, ...]
    instance_sizes: SizeHistogram | None


def size_histogram(census: Sequence[Census]) -> SizeHistogram | None:
    """Sizes of all components; None if there are none."""
    volume = np.concatenate([np.zeros(0), *(c.volume_nm3 for c in census)])
    if not volume.size:
        return None
    diameter = np.cbrt(6 / np.pi * volume)
    low, high = float(diameter.min()), float(diameter.max())
    edges = np.geomspace(low * 0.99, high * 1.01, BINS + 1)
    return SizeHistogram(edges, np.histogram(diameter, edges)[0].astype(np.int64))


def orthogonal_slices(image: Volume, labels: Volume | None, start: Zyx) -> tuple[Slice, ...]:
    """A plane across each axis, through the middle of the labels, or of the image if there are none."""
    region = labels.box.shift(start) if labels is not None else image.box
    middle = [(a + b) // 2 for a, b in zip(region.start, region.stop, strict=True)]
    return tuple(_slice(image, labels, start, axis, middle) for axis in range(3))


def _slice(image: Volume, labels: Volume | None, start: Zyx, axis: int, middle: Sequence[int]) -> Slice:
    side = [1 if i == axis else min(n, SLICE_SIDE) for i, n in enumerate(image.shape)]
    corner = [min(max(0, m - s // 2), n - s) for m, s, n in zip(middle, side, image.shape, strict=True)]
    box = Box.of_shape(side, zyx(corner))
    shown = np.take(image.read(box), 0, axis)
    if labels is None:
        return Slice(axis, box, shown, None)
    inside = box.intersect(labels.box.shift(start))
    found: npt.NDArray[Any] = np.zeros(box.shape, labels.dtype)
    if inside.size:
        found[inside.relative_to(box.start).slices] = labels.read(inside.relative_to(start))
    return Slice(axis, box, shown, np.take(found, 0, axis))
