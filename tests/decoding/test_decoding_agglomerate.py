from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pytc_auto.decoding import agglomerate
from pytc_auto.decoding.regions import region_graph
from pytc_auto.evaluation.scores import score

SNEMI = Path(__file__).parents[2].parent / "shared" / "data" / "fixtures" / "snemi_mini"
MEAN_AFFINITY = "OneMinus<MeanAffinity<RegionGraphType, ScoreValue>>"
QUANTILE = "OneMinus<HistogramQuantileAffinity<RegionGraphType, {}, ScoreValue, 256, false>>"


def merges(affinities, fragments, quantile=0):
    """Of a volume in memory."""
    return agglomerate.merges(region_graph(fragments, affinities_kzyx=affinities, histograms=quantile > 0), quantile)


def chain(*affinities):
    """Fragments 1, 2, 3 … of 2 × 2 × 2 voxels in a row along x, with these affinities between them."""
    fragments = np.repeat(np.arange(1, len(affinities) + 2, dtype=np.uint32), 2) * np.ones((2, 2, 1), np.uint32)
    values = np.ones((3, *fragments.shape), np.float32)
    for number, affinity in enumerate(affinities, 1):
        values[2, :, :, 2 * number] = affinity
    return values, fragments


def two_over_one(*affinities):
    """Fragments 1, of two voxels, and 2, of six, beside each other over 3, with these affinities to it; .95 between 1 and 2."""
    fragments = np.array([[[1, 1, 2, 2, 2, 2, 2, 2], [3] * 8]], np.uint32)
    values = np.zeros((3, *fragments.shape), np.float32)
    values[2, 0, 0, 2] = 0.95
    values[1, 0, 1] = affinities
    return values, fragments


def groups(lookup):
    """Which fragments are together, as sets."""
    return sorted(sorted(np.flatnonzero(lookup == s).tolist()) for s in np.unique(lookup[1:]))


def test_neighbors_merge_while_1_minus_their_affinity_is_under_the_threshold():
    order = merges(*chain(0.9, 0.35))
    assert groups(order.lookup(0.05)) == [[1], [2], [3]]
    assert groups(order.lookup(0.2)) == [[1, 2], [3]]
    assert groups(order.lookup(0.6)) == [[1, 2], [3]]
    assert groups(order.lookup(0.7)) == [[1, 2, 3]]
    half = merges(*chain(0.5, 0.2))
    assert groups(half.lookup(0.5)) == [[1], [2], [3]]
    assert groups(half.lookup(0.51)) == [[1, 2], [3]]


def test_a_merged_border_has_the_mean_of_all_its_faces():
    """3 touches 1 with two faces of .8 and 2 with six of .1; once 1 and 2 are one, the mean of the eight is .275."""
    order = merges(*two_over_one(0.8, 0.8, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1))
    assert groups(order.lookup(0.7)) == [[1, 2], [3]]
    assert groups(order.lookup(0.73)) == [[1, 2, 3]]


def test_a_merged_border_has_the_quantile_of_all_its_faces():
    """3 touches 1 with two faces of .8 and 2 with six of .1 … .6; of the eight the fifth is .5, of the two alone .8."""
    given = two_over_one(0.8, 0.8, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    order = merges(*given, 0.5)
    assert groups(order.lookup(0.49)) == [[1, 2], [3]]
    assert groups(order.lookup(0.51)) == [[1, 2, 3]]
    assert groups(merges(*given, 0.9).lookup(0.21)) == [[1, 2, 3]]


@pytest.mark.parametrize("quantile", [0, 0.25, 0.5, 0.85])
@pytest.mark.parametrize("shape", [(6, 8, 10), (3, 12, 9), (10, 5, 7)])
def test_one_sweep_is_as_waterz_does_each_threshold(shape, quantile):
    import waterz

    rng = np.random.default_rng(sum(shape))
    index = [np.arange(s) // 2 for s in shape]
    fragments = 1 + (index[0][:, None, None] * 10 + index[1][:, None]) * 10 + index[2]
    fragments = np.unique(fragments, return_inverse=True)[1].reshape(shape).astype(np.uint32) + 1
    affinities = rng.random((3, *shape)).astype(np.float32)
    kept = affinities.copy(), fragments.copy()
    order = merges(affinities, fragments, quantile)
    seen = set()
    scoring = QUANTILE.format(round(100 * quantile)) if quantile else MEAN_AFFINITY
    # between two levels of the histogram, so that no score is the threshold
    for threshold in (np.round(np.quantile(order.scores, (0.05, 0.3, 0.6, 0.9)) * 256) / 256).tolist():
        start = fragments.astype(np.uint64)
        (direct,) = waterz.agglomerate(affinities, [threshold], fragments=start, scoring_function=scoring)
        found = order.lookup(threshold)[fragments]
        assert score(found, direct, kind="instances")["voi"] == pytest.approx(0, abs=1e-9)
        seen.add(len(np.unique(found)))
    assert len(seen) == 4
    np.testing.assert_array_equal(affinities, kept[0])
    np.testing.assert_array_equal(fragments, kept[1])


def test_a_higher_threshold_only_joins():
    rng = np.random.default_rng(5)
    fragments = (1 + np.arange(7 * 8 * 9) // 4).reshape(7, 8, 9).astype(np.uint32)
    order = merges(rng.random((3, 7, 8, 9)).astype(np.float32), fragments)
    lookups = [order.lookup(t)[1:] for t in (0.0, 0.2, 0.35, 0.5)]
    assert len(np.unique(lookups[0])) == fragments.max()
    for fine, coarse in itertools.pairwise(lookups):
        assert all(len(np.unique(coarse[fine == s])) == 1 for s in np.unique(fine))
        assert len(np.unique(coarse)) < len(np.unique(fine))


def test_background_takes_no_part_and_affinities_at_the_faces_do_not_count():
    affinities, fragments = chain(0.9, 0.9)
    fragments[fragments == 2] = 0
    affinities[:, 0], affinities[:, :, 0], affinities[:, :, :, 0] = 0, 0, 0
    assert groups(merges(affinities, fragments).lookup(1.0)) == [[1], [2], [3]]
    nothing = merges(affinities, np.zeros_like(fragments))
    assert nothing.lookup(0.5).tolist() == [0]


@pytest.mark.parametrize("quantile", [0, 0.3, 0.5])
@pytest.mark.parametrize("few", [0, 60, 10**9])
def test_rounds_and_the_queue_merge_the_same(monkeypatch, few, quantile):
    """Whether many borders at once or one after the other, the segments of each threshold are the same."""
    monkeypatch.setattr(agglomerate, "FEW", few)
    monkeypatch.setattr(agglomerate, "FRUITFUL", 0)
    rng = np.random.default_rng(3)
    shape = (4, 5, 5)
    fragments = (1 + rng.permutation(100) // 2).reshape(shape).astype(np.uint32)
    affinities = rng.random((3, *shape)).astype(np.float32)
    if quantile:  # each of the 235 faces has a level of its own, so that no two borders have the same score
        inner = np.stack([index > 0 for index in np.indices(shape)])
        affinities[inner] = (rng.permutation(256)[: inner.sum()] + 0.5) / 256
    graph = region_graph(fragments, affinities_kzyx=affinities, histograms=True)
    found, expected = agglomerate.merges(graph, quantile), by_hand(graph, quantile)
    assert len(found.pairs) == len(expected) == fragments.max() - 1
    np.testing.assert_allclose(np.sort(found.scores), np.sort([score for *_, score in expected]))
    for threshold in (np.quantile(found.scores, (0.2, 0.4, 0.6, 0.8)) + 1e-5).tolist():
        lookup = np.arange(fragments.max() + 1)
        for a, b, merged in expected:
            if merged < threshold:
                lookup[lookup == lookup[b]] = lookup[a]
        assert groups(found.lookup(threshold)) == groups(lookup)


def by_hand(graph, quantile):
    """Of all borders always the best, found by looking at each of them."""
    levels = [(graph.histograms.of(border), graph.affinities[border]) for border in range(len(graph.pairs))]
    borders = {tuple(pair): found for pair, found in zip(graph.pairs.tolist(), levels, strict=True)}

    def score_of(border):
        counts, total = border[1]
        if not quantile:
            return 1 - total / counts.sum()
        every = np.repeat((np.arange(256) + 0.5) / 256, counts)
        return 1 - every[int(quantile * len(every) + 1e-9)]

    found = []
    while borders:
        best = min(borders.items(), key=score_of)
        a, b = best[0]
        found.append((a, b, score_of(best)))
        joined = {}
        for pair, (counts, total) in borders.items():
            u, v = sorted(a if end == b else end for end in pair)
            if u != v:
                before = joined.get((u, v), (0, 0))
                joined[u, v] = before[0] + counts, before[1] + total
        borders = joined
    return found


@pytest.mark.skipif(not SNEMI.is_dir(), reason="no shared data beside the checkout")
def test_real_fragments_become_neurites():
    fragments, inside, truth = (tifffile.imread(SNEMI / f"train-{n}.tif") for n in ("fragments", "probabilities", "labels"))
    inside = inside.astype(np.float32) / 255
    affinities = np.stack([np.minimum(inside, np.roll(inside, 1, axis)) for axis in range(3)])
    before = score(fragments, truth, kind="instances")
    after = score(merges(affinities, fragments).lookup(0.3)[fragments], truth, kind="instances")
    assert before["voi"] > 6
    assert after["voi"] < 2
    assert after["adapted_rand"] < 0.22 < before["adapted_rand"]
