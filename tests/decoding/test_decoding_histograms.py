from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.decoding.histograms import affinity_of, counted, levels_of, quantile_of
from pytc_auto.decoding.regions import region_graph


def faces(borders, count, seed):
    rng = np.random.default_rng(seed)
    rows = np.concatenate([np.arange(borders), rng.integers(0, borders, count)])  # each border has a face
    return rows, levels_of(rng.random(len(rows)).astype(np.float32) ** 2)


@pytest.mark.parametrize("quantile", [0.01, 0.15, 0.5, 0.55, 1])
@pytest.mark.parametrize(("borders", "count"), [(1, 0), (5, 40), (30, 400)])
def test_a_quantile_is_that_of_the_sorted_faces(borders, count, quantile):
    rows, levels = faces(borders, count, count)
    found = counted(rows, levels, np.ones(len(rows), np.int64), borders)
    for border, affinity in enumerate(found.quantiles(quantile)):
        every = np.sort(levels[rows == border])
        below = round(100 * quantile) * len(every) // 100
        assert affinity == affinity_of(every[min(below, len(every) - 1)])
        assert quantile_of(found.of(border), quantile) == affinity
        assert found.of(border).tolist() == np.bincount(every, minlength=256).tolist()


def test_hand_worked_levels_and_quantiles():
    assert levels_of(np.array([0, 0.5, 0.999, 1], np.float32)).tolist() == [0, 128, 255, 255]
    found = counted(np.array([1, 0, 1, 1]), np.array([9, 4, 7, 9], np.uint8), np.array([1, 2, 1, 3]), 2)
    assert found.filled.tolist() == [1, 2]
    assert found.levels.tolist() == [4, 7, 9]
    assert found.counts.tolist() == [2, 1, 4]
    assert found.quantiles(0.1).tolist() == [4.5 / 256, 7.5 / 256]
    assert found.quantiles(0.2).tolist() == [4.5 / 256, 9.5 / 256]


@pytest.mark.parametrize("shape", [(6, 8, 10), (3, 12, 9), (10, 5, 7)])
def test_joined_histograms_are_those_of_the_joined_regions(shape):
    rng = np.random.default_rng(sum(shape))
    regions = rng.integers(0, 9, shape).astype(np.uint32)
    affinities = rng.random((3, *shape)).astype(np.float32)
    lookup = np.array([0, 1, 1, 3, 4, 3, 0, 7, 8])
    joined = region_graph(regions, affinities_kzyx=affinities, highest=8, histograms=True).joined(lookup)
    voxels = region_graph(lookup[regions].astype(np.uint32), affinities_kzyx=affinities, highest=8, histograms=True)
    np.testing.assert_array_equal(joined.pairs, voxels.pairs)
    assert joined.histograms.counts.sum() == joined.contacts.sum() > 0
    for name in ("filled", "levels", "counts"):
        np.testing.assert_array_equal(getattr(joined.histograms, name), getattr(voxels.histograms, name))
