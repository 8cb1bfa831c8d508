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


def _strides(voxel_size_nm: ZyxFloat, patch: Zyx, stages: int) -> list[Zyx]:
    spacing, size = list(voxel_size_nm), list(patch)
    poolable = [n >= LEAST_POOLED_AXIS for n in patch]
    strides: list[Zyx] = [(1, 1, 1)]
    while len(strides) < stages:
        axes = [i for i in range(3) if poolable[i] and size[i] % 2 == 0 and size[i] // 2 >= LEAST_BOTTLENECK]
        finest = min((spacing[i] for i in axes), default=0.0)
        axes = [i for i in axes if spacing[i] < 2 * finest]
        if not axes:
            break
        strides.append(zyx([2 if i in axes else 1 for i in range(3)]))
        spacing = [s * n for s, n in zip(spacing, strides[-1], strict=True)]
        size = [s // n for s, n in zip(size, strides[-1], strict=True)]
    return strides


def _kernel(spacing: list[float], size: list[float], finer: Zyx) -> Zyx:
    """3 where the spacing is under twice the finest and there is more than one voxel, or was at the finer stage; else 1."""
    finest = min(s for s, n in zip(spacing, size, strict=True) if n > 1) if max(size) > 1 else min(spacing)
    wide = [n > 1 and (s < 2 * finest or before == 3) for s, n, before in zip(spacing, size, finer, strict=True)]
    return zyx([3 if w else 1 for w in wide])
