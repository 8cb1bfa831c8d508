"""Which voxels have a different label nearby, by comparing the volume with itself shifted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import SECTIONS_FROM, Zyx, ZyxFloat, anisotropy, cutting_axis, zyx

BoolArray = npt.NDArray[np.bool_]


def steps_within(voxel_size_nm: ZyxFloat, radius_nm: float) -> list[Zyx]:
    """List the steps no longer than a radius, of two opposite ones only the first.

    Distances are between voxel centers. The single step along an axis belongs to the list even where it is longer than
    the radius. From an anisotropy of 1.5 on, steps stay in the section.

    Returns:
        Empty for a radius of 0.
    """
    if radius_nm <= 0:
        return []
    flat = cutting_axis(voxel_size_nm) if anisotropy(voxel_size_nm) >= SECTIONS_FROM else None
    reach = [0 if i == flat else max(1, math.floor(radius_nm / s * (1 + 1e-6))) for i, s in enumerate(voxel_size_nm)]
    steps = (zyx(step) for step in itertools.product(*(range(-r, r + 1) for r in reach)))
    return [
        step
        for step in steps
        if step > (0, 0, 0) and (sum(map(abs, step)) == 1 or _length(step, voxel_size_nm) <= radius_nm * (1 + 1e-6))
    ]


def _length(step: Zyx, voxel_size_nm: ZyxFloat) -> float:
    return math.sqrt(sum((i * s) ** 2 for i, s in zip(step, voxel_size_nm, strict=True)))


def paired(extent: Sequence[int], step: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Index the voxels that have a partner at a step inside the array, and their partners."""
    here = tuple(slice(max(0, -i), max(0, n - max(0, i))) for i, n in zip(step, extent, strict=True))
    there = tuple(slice(max(0, i), max(0, n - max(0, -i))) for i, n in zip(step, extent, strict=True))
    return here, there


def near_another(labels_zyx: npt.NDArray[Any], steps: Iterable[Zyx], *, background: bool) -> BoolArray:
    """Tell which voxels have a voxel with a different label at one of the steps or its opposite.

    Args:
        labels_zyx: (Z, Y, X), 0 is background.
        steps: From ``steps_within``.
        background: Whether 0 counts as a label; if not, only two different objects make a pair.

    Returns:
        (Z, Y, X); both voxels of a pair.
    """
    near = np.zeros(labels_zyx.shape, np.bool_)
    inside = None if background else labels_zyx != 0
    for step in steps:
        here, there = paired(labels_zyx.shape, step)
        pair = labels_zyx[here] != labels_zyx[there]
        if inside is not None:
            pair &= inside[here]
            pair &= inside[there]
        near[here] |= pair
        near[there] |= pair
    return near
