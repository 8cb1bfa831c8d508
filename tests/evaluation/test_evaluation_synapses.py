from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytc_auto.evaluation.contingency import contingency
from pytc_auto.evaluation.scores import score
from pytc_auto.evaluation.synapses import synapse_scores


def synapses(*turned):
    """Three synapses, each a presynaptic and a postsynaptic slab; the sides of those that are named are exchanged."""
    labels = np.zeros((6, 7, 20), np.uint32)
    for k, at in enumerate((1, 8, 15), 1):
        first, second = (2 * k, 2 * k - 1) if k in turned else (2 * k - 1, 2 * k)
        labels[1:5, 2:6, at : at + 2], labels[1:5, 2:6, at + 2 : at + 4] = first, second
    return labels


def scored(found, true):
    scores = synapse_scores(contingency(found, true))
    return scores.f1, scores.side_accuracy, scores.sided_f1


def test_exchanged_sides_are_seen_where_average_precision_is_blind():
    assert scored(synapses(), synapses()) == (1, 1, 1)
    assert scored(synapses(2), synapses()) == pytest.approx((1, 2 / 3, 2 / 3))
    blind = score(synapses(2), synapses(), kind="synapses")
    assert (blind["ap"], blind["synapse_side_accuracy"]) == (1, pytest.approx(2 / 3))
    assert "synapse_f1" not in score(synapses(), synapses(), kind="instances")


def test_by_hand_one_is_missed_one_is_invented_one_is_turned():
    found = synapses(1)
    found[np.isin(found, (3, 4))] = 0
    found[5, 0, 8:12] = 9
    assert scored(found, synapses()) == pytest.approx((2 * 2 / 6, 1 / 2, 2 * 1 / 6))


def test_half_of_the_voxels_are_no_match_and_a_border_a_little_off_is():
    found = synapses()
    found[3:5] = 0
    assert scored(found, synapses()) == (0, 0, 0)
    assert scored(np.roll(synapses(), 1, axis=2), synapses()) == (1, 1, 1)


def test_nothing_to_find_and_nothing_found():
    empty = np.zeros((2, 3, 4), np.uint32)
    assert scored(empty, empty) == (1, 1, 1)
    assert scored(synapses(), 0 * synapses()) == (0, 0, 0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)))
def test_agrees_with_counting_pair_by_pair(seed, shape):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 7, shape)
    found = np.where(rng.random(shape) < 0.3, rng.integers(0, 9, shape), true)
    matched = right = 0
    for k in range(1, 5):
        for j in range(1, 4):
            here, there = (found + 1) // 2 == k, (true + 1) // 2 == j
            both = here & there
            if 2 * both.sum() > (here | there).sum():
                matched += 1
                right += 2 * (found[both] % 2 == true[both] % 2).sum() > both.sum()
    known = sum(len(set(((a + 1) // 2).ravel().tolist()) - {0}) for a in (found, true))
    wanted = (2 * matched / known, right / matched if matched else 0, 2 * right / known) if known else (1, 1, 1)
    assert scored(found, true) == pytest.approx(wanted)
