"""The local shape of the object around each voxel."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import ZyxFloat

CHANNELS = 10
LEAST_VARIANCE = 1e-3
"""In units of sigma squared; of thinner things no direction is known."""
Float32 = npt.NDArray[np.float32]


def shape_descriptors(labels_zyx: npt.NDArray[Any], voxel_size_nm: ZyxFloat, sigma_nm: float) -> Float32:
    """Center, extent, orientation and mass of the part of its object that a Gaussian around each voxel covers.

    Args:
        labels_zyx: Objects as 1 … n, (Z, Y, X), 0 is background.
        voxel_size_nm: z, y, x.
        sigma_nm: Of the Gaussian, the same in nm on each axis. What lies outside the array has no mass.

    Returns:
        (10, Z, Y, X), 0 to 1, 0 in the background: offset of the center of mass on z, y, x (0.5 is none, 0 and 1 are one sigma
        back and on); variance on z, y, x in units of sigma squared; correlation of z with y, z with x, y with x (0.5 is none);
        share of the Gaussian's mass that lies in the object.

    Source:
        Sheridan et al. 2022, Nature Methods 20 (local shape descriptors).
    """
    found = np.zeros((CHANNELS, *labels_zyx.shape), np.float32)
    kernels = [_kernels(n, s / sigma_nm) for n, s in zip(labels_zyx.shape, voxel_size_nm, strict=True)]
    boxes = cc3d.statistics(labels_zyx.astype(np.uint32, copy=False))["bounding_boxes"]
    for number, box in enumerate(boxes[1:], 1):
        inside = labels_zyx[box] == number
        if inside.any():
            described = _described(inside.astype(np.float32), kernels)
            np.copyto(found[(slice(None), *box)], described, where=inside)
    return found


def _kernels(extent: int, step: float) -> Float32:
    """A Gaussian of sigma 1 times 1, the distance, and its square, from each voxel to each; (3, extent, extent)."""
    distance = (np.arange(extent)[:, None] - np.arange(extent)[None]) * step
    full = np.arange(-np.ceil(8 / step), np.ceil(8 / step) + 1) * step
    weight = np.exp(-0.5 * distance**2) / np.exp(-0.5 * full**2).sum()
    return np.stack([weight, weight * distance, weight * distance**2]).astype(np.float32)


def _described(inside_zyx: Float32, kernels: list[Float32]) -> Float32:
    """The descriptors of one object in its box. Distances run from the voxel that is described to those that count."""
    z, y, x = (kernel[:, :n, :n] for kernel, n in zip(kernels, inside_zyx.shape, strict=True))
    x0, x1, x2 = (inside_zyx @ k for k in x)
    y00, y10, y20 = (k.T @ x0 for k in y)
    y01, y11, y02 = y[0].T @ x1, y[1].T @ x1, y[0].T @ x2

    def along_z(kernel: Float32, part: Float32) -> Float32:
        summed: Float32 = (kernel.T @ part.reshape(len(part), -1)).reshape(part.shape)
        return summed

    mass = along_z(z[0], y00)
    least = np.maximum(mass, np.float32(1e-6))
    mean = [along_z(z[1], y00) / least, along_z(z[0], y10) / least, along_z(z[0], y01) / least]
    square = [along_z(z[2], y00) / least, along_z(z[0], y20) / least, along_z(z[0], y02) / least]
    mixed = [along_z(z[1], y10) / least, along_z(z[1], y01) / least, along_z(z[0], y11) / least]
    variance = [np.maximum(s - m * m, 0) for s, m in zip(square, mean, strict=True)]
    wide = [np.maximum(v, np.float32(LEAST_VARIANCE)) for v in variance]
    pairs = ((0, 1), (0, 2), (1, 2))
    correlation = [(s - mean[i] * mean[j]) / np.sqrt(wide[i] * wide[j]) for s, (i, j) in zip(mixed, pairs, strict=True)]
    signed = [0.5 + 0.5 * np.clip(v, -1, 1) for v in (*mean, *correlation)]
    return np.stack([*signed[:3], *(np.clip(v, 0, 1) for v in variance), *signed[3:], np.clip(mass, 0, 1)])
