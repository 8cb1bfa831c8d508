"""Gray values over the sampled voxels of all images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytc_auto.geometry import Box
from pytc_auto.io.volume import Volume
from pytc_auto.schema.fingerprint import IntensityFacts

PERCENTILES = (0.5, 5, 25, 50, 75, 95, 99.5)
MOST_VALUES = 4_000_000


def measure_intensity(images: Sequence[tuple[Volume, Sequence[Box]]], rng: np.random.Generator) -> IntensityFacts:
    """Histogram (uint8), percentiles, mean and standard deviation.

    uint8 images are counted exactly over the boxes; others by at most four million values drawn from them.
    """
    if all(volume.dtype == np.uint8 for volume, _ in images):
        counts = np.zeros(256, np.int64)
        for volume, boxes in images:
            for box in boxes:
                counts += np.bincount(volume.read(box).ravel(), minlength=256)
        return _from_counts(counts)
    total = sum(box.size for _, boxes in images for box in boxes)
    drawn = [_drawn(volume, box, total, rng) for volume, boxes in images for box in boxes]
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    percentiles = np.percentile(values, PERCENTILES)
    return IntensityFacts(
        histogram=None, percentiles=_named(percentiles.tolist()), mean=float(values.mean()), std=float(values.std())
    )


def _drawn(volume: Volume, box: Box, total: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values = volume.read(box).ravel()
    count = min(values.size, max(1, round(MOST_VALUES * values.size / total)))
    return values[rng.integers(0, values.size, count)].astype(np.float64) if count < values.size else values.astype(np.float64)


def _from_counts(counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> IntensityFacts:
    values, total = np.arange(256), int(counts.sum())
    mean = float((values * counts).sum() / total)
    std = float(np.sqrt((((values - mean) ** 2) * counts).sum() / total))
    below = np.cumsum(counts) / total
    percentiles = [float(np.searchsorted(below, p / 100)) for p in PERCENTILES]
    return IntensityFacts(histogram=counts.tolist(), percentiles=_named(percentiles), mean=mean, std=std)


def _named(values: Sequence[float]) -> dict[str, float]:
    return {f"p{p:g}".replace(".", "_"): v for p, v in zip(PERCENTILES, values, strict=True)}
