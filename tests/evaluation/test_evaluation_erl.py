from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.evaluation.contingency import contingency
from pytc_auto.evaluation.erl import MERGE_THRESHOLDS, RunLength, run_lengths, skeleton_scores
from pytc_auto.io.skeletons import Skeletons


def lines(*positions_nm):
    """One straight skeleton along x for each list of positions."""
    counts = [len(p) for p in positions_nm]
    x = np.concatenate(positions_nm).astype(np.float64)
    skeleton = np.repeat(np.arange(len(counts)), counts)
    edges = np.array([(i, i + 1) for i in range(len(x) - 1) if skeleton[i] == skeleton[i + 1]])
    nodes_nm = np.stack([0 * x, 0 * x, x], axis=1)
    return Skeletons("lines", np.zeros((len(x), 3), np.int64), nodes_nm, edges, skeleton)


def by_definition(skeletons, segments, threshold):
    """ERL and NERL, edge by edge."""
    held = {}
    for skeleton, segment in zip(skeletons.skeleton.tolist(), segments.tolist(), strict=True):
        held.setdefault(segment, []).append(skeleton)
    large = {s: {i for i in of if of.count(i) > threshold} for s, of in held.items()}
    mergers = {s: of for s, of in large.items() if len(of) > 1}
    merged = set().union(*mergers.values())
    length, runs = {}, {}
    for u, v in skeletons.edges.tolist():
        skeleton, far = skeletons.skeleton[u], float(np.linalg.norm(skeletons.nodes_nm[u] - skeletons.nodes_nm[v]))
        length[skeleton] = length.get(skeleton, 0) + far
        if segments[u] == segments[v] != 0 and not (segments[u] in mergers and skeleton in merged):
            runs[skeleton, segments[u]] = runs.get((skeleton, segments[u]), 0) + far
    whole = sum(length.values())
    erl = sum(length[s] / whole * run * run / length[s] for (s, _), run in runs.items())
    return RunLength(erl, erl / sum(n / whole * n for n in length.values()), len(mergers.keys() - {0}))


TWO = lines([0, 10, 30], [0, 40])
"""30 nm in two edges, and 40 nm in one."""


@pytest.mark.parametrize(
    ("segments", "erl", "nerl", "mergers"),
    [
        ([5, 5, 5, 6, 6], (900 + 1600) / 70, 1, 0),
        ([5, 4, 4, 6, 6], (400 + 1600) / 70, 2000 / 2500, 0),
        ([5, 5, 5, 5, 5], 0, 0, 1),
        ([5, 5, 7, 7, 7], 100 / 70, 100 / 2500, 1),
        ([0, 5, 5, 6, 6], (400 + 1600) / 70, 2000 / 2500, 0),
        ([0, 0, 0, 0, 0], 0, 0, 0),
        ([5, 5, 5, 0, 6], 900 / 70, 900 / 2500, 0),
        ([1, 2, 3, 4, 5], 0, 0, 0),
    ],
    ids=["perfect", "a split", "one segment for both", "a merger by one node", "background", "nothing", "broken", "all apart"],
)
def test_cases_by_hand(segments, erl, nerl, mergers):
    found = run_lengths(TWO, np.array(segments), [0])[0]
    assert found.erl_nm == pytest.approx(erl)
    assert found.nerl == pytest.approx(nerl)
    assert found.mergers == mergers


def test_split_in_the_middle_halves_the_run_length():
    one = lines(np.arange(0, 101, 10))
    halves = np.repeat([1, 2], [6, 5])
    found = run_lengths(one, halves)[0]
    assert found.erl_nm == pytest.approx((50**2 + 40**2) / 100)
    assert skeleton_scores(one, halves)["erl_perfect_nm"] == 100


def test_pieces_of_one_segment_count_as_one_run():
    """As in funlib.evaluate: what lies between was lost, but both pieces are of one object."""
    one = lines([0, 10, 20, 30, 40])
    assert run_lengths(one, np.array([7, 7, 0, 7, 7]))[0].erl_nm == pytest.approx(20**2 / 40)


def test_a_merger_is_forgiven_up_to_the_threshold():
    a, b = np.arange(0, 200, 10), np.arange(0, 2000, 100)
    skeletons = lines(a, b)
    segments = np.repeat([1, 2], 20)
    segments[18:20] = 2
    found = run_lengths(skeletons, segments, [0, 1, 2, 20])
    assert [found[t].mergers for t in (0, 1, 2, 20)] == [1, 1, 0, 0]
    assert found[0].erl_nm == found[1].erl_nm == pytest.approx(170**2 / (190 + 1900))
    assert found[2].erl_nm == found[20].erl_nm == pytest.approx((170**2 + 10**2 + 1900**2) / (190 + 1900))


def test_a_skeleton_that_only_touches_a_merger_is_forgiven_unless_it_is_merged_elsewhere():
    """As in BANIS: of a joined skeleton, what little lies in another merger is wrong, too."""
    step = 10 * np.arange(6)
    skeletons = lines(step, step, step, step)
    touching = np.array([1] * 6 + [1] * 6 + [1] * 2 + [3] * 4 + [4] * 6)
    assert run_lengths(skeletons, touching, [2])[2].erl_nm == pytest.approx((10**2 + 30**2 + 50**2) / 200)
    elsewhere = np.array([1] * 6 + [1] * 6 + [1] * 2 + [3] * 4 + [3] * 6)
    assert run_lengths(skeletons, elsewhere, [2])[2] == RunLength(0, 0, 2)
    lost = np.array([1] * 6 + [1] * 6 + [1] * 2 + [0] * 4 + [0] * 6)
    assert run_lengths(skeletons, lost, [2])[2] == RunLength(0, 0, 1)


def test_normalized_is_by_length_not_the_mean_of_skeletons():
    found = run_lengths(TWO, np.array([1, 2, 3, 6, 6]))[0]
    assert found.nerl == pytest.approx(40**2 / (30**2 + 40**2))
    assert found.nerl != pytest.approx(40 / (30 + 40))


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    count = 60
    skeleton = np.sort(rng.integers(0, 5, count))
    edges = np.array(
        [(i, rng.choice(np.flatnonzero(skeleton[:i] == skeleton[i]))) for i in range(count) if skeleton[i] in skeleton[:i]]
    )
    nodes = rng.integers(0, 50, (count, 3))
    skeletons = Skeletons("random", nodes, nodes * (33.0, 7.0, 5.0), rng.permutation(edges), skeleton)
    segments = np.where(rng.random(count) < 0.6, skeleton + 1, rng.integers(0, 7 + seed, count)).astype(np.uint16)
    before = segments.copy(), skeletons.edges.copy(), skeletons.skeleton.copy()
    found = run_lengths(skeletons, segments, (0, 1, 2, 5, 20))
    assert len({run.erl_nm for run in found.values()}) > 1
    for threshold, run in found.items():
        slow = by_definition(skeletons, segments, threshold)
        assert run.erl_nm == pytest.approx(slow.erl_nm)
        assert run.nerl == pytest.approx(slow.nerl)
        assert run.mergers == slow.mergers
    for was, now in zip(before, (segments, skeletons.edges, skeletons.skeleton), strict=True):
        assert np.array_equal(was, now)


def test_a_skeleton_without_edges_still_shows_a_merger():
    skeletons = lines([0, 10], [0])
    assert run_lengths(skeletons, np.array([3, 3, 3]))[0] == RunLength(0, 0, 1)
    assert run_lengths(skeletons, np.array([3, 3, 4]))[0] == RunLength(10, 1, 0)


def test_ids_above_two_to_the_53_are_told_apart():
    segments = np.array([2**63, 2**63 + 1, 2**63 + 1, 6, 6], np.uint64)
    assert run_lengths(TWO, segments)[0].nerl == pytest.approx(2000 / 2500)


def test_scores_name_their_thresholds():
    segments = np.array([5, 4, 4, 4, 0])
    scores = skeleton_scores(TWO, segments)
    for threshold in MERGE_THRESHOLDS:
        suffix = f"_{threshold}" if threshold else ""
        assert scores[f"nerl{suffix}"] == scores[f"erl{suffix}_nm"] / scores["erl_perfect_nm"]
        assert scores[f"skeleton_mergers{suffix}"] == (threshold == 0)
    assert scores["nerl"] == 0
    assert scores["nerl_5"] == pytest.approx(400 / 2500)
    assert scores["skeleton_splits"] == 1
    assert skeleton_scores(TWO, np.array([0, 4, 4, 4, 0]))["skeleton_splits"] == 0
    table = contingency(segments, TWO.skeleton + 1)
    both, truth, segment = (np.array(c) / 5 for c in ([1, 2, 1, 1], [3, 2], [1, 3, 1]))
    entropy = [-float(np.sum(p * np.log2(p))) for p in (both, truth, segment)]
    assert sorted(table.counts.tolist()) == [1, 1, 1, 2]
    assert scores["skeleton_voi_split"] == pytest.approx(entropy[0] - entropy[1])
    assert scores["skeleton_voi_merge"] == pytest.approx(entropy[0] - entropy[2])


def test_negative_segments_are_refused():
    with pytest.raises(DataError, match="must not be negative"):
        run_lengths(TWO, np.array([-1, 1, 1, 2, 2]))


@pytest.mark.parametrize(
    ("segments", "erl", "nerl", "mergers"),
    [
        ([5, 5, 5, 9, 9, 6, 6], (900 + 1600 + 100) / 80, 1, 0),
        ([5, 5, 5, 5, 5, 6, 6], (900 + 1600 + 100) / 80, 1, 0),
        ([5, 5, 5, 6, 6, 6, 6], 900 / 80, 900 / 2600, 1),
    ],
    ids=["pieces apart", "pieces in one segment", "a merger with another skeleton"],
)
def test_pieces_of_one_skeleton_are_runs_of_their_own_and_no_mergers(segments, erl, nerl, mergers):
    """Cut at a face: 30 nm and 40 nm of one skeleton, and 10 nm of another."""
    cut = lines([0, 10, 30], [0, 40], [0, 10])
    cut = replace(cut, skeleton=np.array([0, 0, 0, 0, 0, 1, 1]), piece=np.array([0, 0, 0, 1, 1, 2, 2]))
    found = run_lengths(cut, np.array(segments), [0])[0]
    assert found == RunLength(pytest.approx(erl), pytest.approx(nerl), mergers)
    assert skeleton_scores(cut, np.array(segments))["erl_perfect_nm"] == pytest.approx(2600 / 80)
