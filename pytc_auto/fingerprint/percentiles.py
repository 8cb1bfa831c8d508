"""Percentiles of weighted values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def weighted_percentiles(values: Floats, weights: Floats, wanted: Sequence[float]) -> dict[str, float]:
    """The smallest values that, with all smaller ones, make up the wanted percentages of the weight.

    Args:
        values: (N,), at least one, in any order.
        weights: (N,), not negative, their sum above 0.
        wanted: Percentages.

    Returns:
        Keys are p and the percentage: p0_5, p5, p50.
    """
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order], dtype=np.float64)
    places = np.searchsorted(total, np.asarray(wanted) / 100 * total[-1], side="left")
    return {f"p{p:g}".replace(".", "_"): float(values[order[i]]) for p, i in zip(wanted, places, strict=True)}
