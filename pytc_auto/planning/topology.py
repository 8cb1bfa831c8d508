"""Strides and kernels per stage from the voxel size.

Source: nnU-Net's rule (Isensee et al. 2021): an axis is pooled while its spacing is under twice the finest, and convolved
once the others have caught up. For EM, an axis of few sections is never pooled, whatever its spacing.
"""

from __future__ import annotations

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


def choose_topology(voxel_size_nm: ZyxFloat, patch: ZyxFloat | Zyx) -> Topology:
    """Pool and convolve an axis when the others have caught up with its voxel size; from then on it is always convolved.

    Args:
        voxel_size_nm: Of the working grid.
        patch: Wanted extent in voxels; not yet divisible.
    """
    spacing, size = list(voxel_size_nm), [float(n) for n in patch]
    poolable = [n >= LEAST_POOLED_AXIS for n in size]
    strides: list[Zyx] = [(1, 1, 1)]
    kernels = [_kernel(spacing, size, (1, 1, 1))]
    while len(strides) < MOST_STAGES:
        axes = [i for i in range(3) if poolable[i] and size[i] / 2 >= LEAST_BOTTLENECK]
        finest = min((spacing[i] for i in axes), default=0.0)
        axes = [i for i in axes if spacing[i] < 2 * finest]
        if not axes:
            break
        stride = [2 if i in axes else 1 for i in range(3)]
        spacing = [s * n for s, n in zip(spacing, stride, strict=True)]
        size = [s / n for s, n in zip(size, stride, strict=True)]
        strides.append(zyx(stride))
        kernels.append(_kernel(spacing, size, kernels[-1]))
    return Topology(tuple(strides), tuple(kernels))


def _kernel(spacing: list[float], size: list[float], finer: Zyx) -> Zyx:
    """3 where the spacing is under twice the finest and there is more than one voxel, or was at the finer stage; else 1."""
    finest = min(s for s, n in zip(spacing, size, strict=True) if n > 1) if max(size) > 1 else min(spacing)
    wide = [n > 1 and (s < 2 * finest or before == 3) for s, n, before in zip(spacing, size, finer, strict=True)]
    return zyx([3 if w else 1 for w in wide])
