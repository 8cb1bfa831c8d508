"""How far two pictures are shifted against each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.io.volume import Array

FINEST = 0.12
"""Cycles per voxel down to which structure counts; beyond is noise."""
COARSEST_PERIODS = 3.0
"""What has fewer periods in a window is uneven brightness."""
LARGEST = 0.25
"""Shifts up to this share of a window's side can be told."""
LEAST_PEAK = 6.0
"""Height of a peak over the standard deviation around it, from which on it is no accident."""

Complexes = npt.NDArray[np.complex64]
Surfaces = npt.NDArray[np.float32]
Shifts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spectra:
    """Fourier transforms of pictures, (N, A, B // 2 + 1), and the pictures' shape."""

    values: Complexes
    shape: tuple[int, int]


def spectra(pictures_nab: Array) -> Spectra:
    """Prepare pictures of one shape for ``surfaces``: their middle counts, their edges fade."""
    from scipy import fft

    _, a, b = pictures_nab.shape
    taper = np.sqrt(np.outer(np.hanning(a + 2)[1:-1], np.hanning(b + 2)[1:-1])).astype(np.float32)
    values = fft.rfft2(pictures_nab.astype(np.float32) * taper, axes=(1, 2))
    return Spectra(values.astype(np.complex64), (a, b))


def surfaces(first: Spectra, second: Spectra, reach: tuple[int, int]) -> Surfaces:
    """Phase correlation of pictures at all shifts up to ``reach``, (N, 2 reach + 1, 2 reach + 1), no shift in the middle.

    With a band pass, so that neither noise nor uneven brightness is matched. Those of several windows of the same pictures may be
    added up.

    Source:
        Kuglin and Hines 1975, The phase correlation image alignment method.
    """
    from scipy import fft

    cross = second.values * np.conj(first.values)
    cross /= np.abs(cross) + np.float32(1e-12)
    cross *= _band(first.shape)
    surface = fft.irfft2(cross, s=first.shape, axes=(1, 2))
    surface /= np.maximum(surface.std(axis=(1, 2), keepdims=True), np.float32(1e-20))
    near = np.roll(surface, reach, axis=(1, 2))[:, : 2 * reach[0] + 1, : 2 * reach[1] + 1]
    return np.asarray(near, np.float32)


def peaks(surfaces_nab: Surfaces, windows: int) -> Shifts:
    """Whole voxels by which what the second pictures show lies further along each axis, (N, 2); nan where it cannot be told.

    Args:
        surfaces_nab: See ``surfaces``.
        windows: Of how many windows they are the sum.
    """
    n, a, b = surfaces_nab.shape
    flat = surfaces_nab.reshape(n, a * b)
    place = flat.argmax(axis=1)
    found = np.stack(np.unravel_index(place, (a, b)), axis=1) - np.array([a // 2, b // 2], np.float64)
    found[flat[np.arange(n), place] < LEAST_PEAK * np.sqrt(windows)] = np.nan
    return found


def _band(shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Weight of each frequency."""
    a, b = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    square = a[:, None] ** 2 + b**2
    coarsest = COARSEST_PERIODS / max(shape)
    return (np.exp(-square / (2 * FINEST**2)) * (1 - np.exp(-square / (2 * coarsest**2)))).astype(np.float32)
