from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint.instances import instance_facts, measure_instances

SIZE = (10.0, 10.0, 10.0)


def _table(ids, size=SIZE):
    ids = np.asarray(ids, np.uint32)
    return measure_instances(ids, np.ones(ids.shape, bool), size, np.random.default_rng(0))


def _cubes(gap):
    ids = np.zeros((16, 18, 30))
    ids[4:12, 4:12, 4:12], ids[4:12, 4:12, 12 + gap : 20 + gap] = 1, 2
    return ids


def test_two_cubes_with_a_gap():
    facts = instance_facts([_table(_cubes(3))])
    assert facts.diameter_nm == {"p10": 80.0, "p50": 80.0, "p90": 80.0}
    assert facts.extent_nm == {"p50": 80.0, "p90": 80.0, "p95": 80.0}
    assert facts.touching_fraction == 0
    assert facts.border_fraction == 0
    assert facts.solidity == pytest.approx(1.0)
    assert 30 <= facts.gap_nm <= 200


def test_filled_space_has_no_gap():
    ids = np.kron(np.arange(1, 9).reshape(2, 2, 2), np.ones((6, 7, 8)))
    facts = instance_facts([_table(ids)])
    assert facts.touching_fraction == 1
    assert facts.gap_nm == 0
    assert facts.border_fraction == 1
    assert facts.solidity is None


def test_percentiles_weigh_components_by_their_voxels():
    ids = np.zeros((30, 30, 40))
    ids[2:22, 2:22, 2:22] = 1
    for i in range(8):
        ids[26:28, 2:4, 2 + 4 * i : 4 + 4 * i] = 2 + i
    facts = instance_facts([_table(ids)])
    assert facts.diameter_nm == {"p10": 200.0, "p50": 200.0, "p90": 200.0}


def test_boxes_are_pooled():
    one, two = _table(_cubes(3)), _table(np.kron(np.arange(1, 9).reshape(2, 2, 2), np.ones((6, 7, 8))), (20, 20, 20))
    facts = instance_facts([one, two])
    assert facts.border_fraction == pytest.approx(8 / 10)
    touching = 3 * 4 * np.array([42, 48, 56]).sum() / 3 * 400
    assert facts.touching_fraction == pytest.approx(touching / (touching + 2 * 6 * 64 * 100))
    assert facts.gap_nm == 0
    assert facts.extent_nm["p95"] == 160.0


def test_nothing_is_unknown():
    facts = instance_facts([_table(np.zeros((4, 5, 6)))])
    assert set(facts.model_dump().values()) == {None}
