"""Strides and kernels per stage from the voxel size.

Source: nnU-Net's rule (Isensee et al. 2021): an axis is pooled while its spacing is under twice the finest, and convolved
once the others have caught up. For EM, an axis of few sections is never pooled, whatever its spacing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytc_auto.geometry import Zyx, ZyxFloat, zyx

LEAST_POOLED_AXIS = 32
LEAST_BOTTLENECK = 6
LEAST_HALVED = 4
"""Where no axis is long enough, so that there would be a single stage."""
MOST_STAGES = 6


@dataclass(frozen=True)
class Topology:
    """One stride and one kernel per stage, fine to coarse."""

    strides: tuple[Zyx, ...]
    kernels: tuple[Zyx, ...]

    @property
    def divisor(self) -> Zyx:
        """What a patch must divide by."""
        total = [1, 1, 1]
        for stride in self.strides:
            total = [t * s for t, s in zip(total, stride, strict=True)]
        return zyx(total)


def choose_topology(
    voxel_size_nm: ZyxFloat, patch: Zyx, *, strides: Sequence[Zyx] | None = None, stages: int | None = None
) -> Topology:
    """Pool and convolve an axis when the others have caught up with its voxel size; from then on it is always convolved.

    Args:
        voxel_size_nm: Of the working grid.
        patch: In voxels. An axis is pooled as long as it halves evenly.
        strides: Per stage, where they are given; the kernels follow from them.
        stages: How many at most; 6 where that is not given.
    """
    if strides is None:
        strides = _strides(voxel_size_nm, patch, stages or MOST_STAGES)
    spacing, size = list(voxel_size_nm), [float(n) for n in patch]
    kernels: list[Zyx] = []
    for stride in strides:
        spacing = [s * n for s, n in zip(spacing, stride, strict=True)]
        size = [s / n for s, n in zip(size, stride, strict=True)]
        kernels.append(_kernel(spacing, size, kernels[-1] if kernels else (1, 1, 1)))
    return Topology(tuple(strides), tuple(kernels))


def halving_topology(patch: Zyx, least: int, most: int) -> Topology:
    """All axes halved from stage to stage, for kinds that cannot do otherwise, as long as each of them is long enough.

    Args:
        patch: In voxels.
        least: Stages that there are whatever the patch.
        most: Stages, however long it is.
    """
    count = least
    while count < most and all(n >> count >= LEAST_BOTTLENECK for n in patch):
        count += 1
    steps: list[Zyx] = [(1, 1, 1), *[(2, 2, 2)] * (count - 1)]
    return Topology(tuple(steps), ((3, 3, 3),) * count)


def _strides(voxel_size_nm: ZyxFloat, patch: Zyx, stages: int) -> list[Zyx]:
    """Strides of as many stages as the patch has room for; two at least, as a decoder needs them."""
    spacing, size = list(voxel_size_nm), list(patch)
    strides: list[Zyx] = [(1, 1, 1)]
    while len(strides) < stages:
        poolable = [patch[i] >= LEAST_POOLED_AXIS and n % 2 == 0 and n // 2 >= LEAST_BOTTLENECK for i, n in enumerate(size)]
        if not any(poolable) and len(strides) == 1:
            poolable = [n % 2 == 0 and n >= LEAST_HALVED for n in size]
        elif not any(poolable):
            break
        finest = min((s for s, pooled in zip(spacing, poolable, strict=True) if pooled), default=0.0)
        stride = [2 if pooled and s < 2 * finest else 1 for s, pooled in zip(spacing, poolable, strict=True)]
        strides.append(zyx(stride))
        spacing = [s * n for s, n in zip(spacing, stride, strict=True)]
        size = [n // s for n, s in zip(size, stride, strict=True)]
    return strides


def _kernel(spacing: list[float], size: list[float], finer: Zyx) -> Zyx:
    """3 where the spacing is under twice the finest and there is more than one voxel, or was at the finer stage; else 1."""
    finest = min(s for s, n in zip(spacing, size, strict=True) if n > 1) if max(size) > 1 else min(spacing)
    wide = [n > 1 and (s < 2 * finest or before == 3) for s, n, before in zip(spacing, size, finer, strict=True)]
    return zyx([3 if w else 1 for w in wide])
