from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint.components import find_components
from pytc_auto.fingerprint.instances import instance_facts, measure_instances
from pytc_auto.fingerprint.labels import LabelTable, census_of

SIZE = (10.0, 10.0, 10.0)


def _table(ids, size=SIZE):
    ids = np.asarray(ids, np.uint32)
    known = np.ones(ids.shape, bool)
    return measure_instances(find_components(ids, known), ids, known, size, np.random.default_rng(0))


def _facts(*tables, size=SIZE, broken=True, smallest_nm3=1000.0):
    census = census_of([LabelTable({}, 0, t) for t in tables], size)
    return instance_facts(tables, [census], broken=broken, smallest_nm3=smallest_nm3)


def _cubes(gap):
    ids = np.zeros((16, 18, 30))
    ids[4:12, 4:12, 4:12], ids[4:12, 4:12, 12 + gap : 20 + gap] = 1, 2
    return ids


def test_two_cubes_with_a_gap():
    facts = _facts(_table(_cubes(3)))
    assert facts.diameter_nm == {"p10": 80.0, "p50": 80.0, "p90": 80.0}
    assert facts.extent_nm == {"p50": 80.0, "p90": 80.0, "p95": 80.0}
    assert facts.touching_fraction == 0
    assert facts.border_fraction == 0
    assert facts.solidity == pytest.approx(1.0)
    assert 30 <= facts.gap_nm <= 200


def test_filled_space_has_no_gap():
    ids = np.kron(np.arange(1, 9).reshape(2, 2, 2), np.ones((6, 7, 8)))
    facts = _facts(_table(ids))
    assert facts.touching_fraction == 1
    assert facts.gap_nm == 0
    assert facts.border_fraction == 1
    assert facts.solidity is None


def test_percentiles_weigh_components_by_their_voxels():
    ids = np.zeros((30, 30, 40))
    ids[2:22, 2:22, 2:22] = 1
    for i in range(8):
        ids[26:28, 2:4, 2 + 4 * i : 4 + 4 * i] = 2 + i
    facts = _facts(_table(ids))
    assert facts.diameter_nm == {"p10": 200.0, "p50": 200.0, "p90": 200.0}


def test_boxes_are_pooled():
    one, two = _table(_cubes(3)), _table(np.kron(np.arange(1, 9).reshape(2, 2, 2), np.ones((6, 7, 8))), (20, 20, 20))
    facts = _facts(one, two)
    assert facts.border_fraction == pytest.approx(8 / 10)
    touching = 3 * 4 * np.array([42, 48, 56]).sum() / 3 * 400
    assert facts.touching_fraction == pytest.approx(touching / (touching + 2 * 6 * 64 * 100))
    assert facts.gap_nm == 0
    assert facts.extent_nm["p95"] == 160.0


def test_nothing_is_unknown():
    facts = _facts(_table(np.zeros((4, 5, 6))))
    assert set(facts.model_dump().values()) == {None}


def test_volumes_and_elongation():
    ids = np.zeros((30, 30, 60))
    ids[2:12, 2:12, 2:12], ids[20:22, 2:4, 2:52], ids[25, 25, 25] = 1, 2, 3
    facts = _facts(_table(ids))
    assert facts.volume_nm3 == {"p10": 1e3, "p50": 2e5, "p90": 1e6}
    assert facts.elongation["p50"] == pytest.approx(100 / np.cbrt(6 / np.pi * 1e6))
    assert facts.elongation["p90"] == pytest.approx(500 / np.cbrt(6 / np.pi * 2e5))


def test_broken_ids_and_tiny_components():
    ids = np.zeros((20, 20, 20))
    ids[2:8, 2:8, 2:8], ids[12, 12, 12], ids[2:8, 12:18, 12:18] = 1, 1, 2
    facts = _facts(_table(ids))
    assert facts.broken_fraction == 1 / 2
    assert facts.tiny_fraction == pytest.approx(1 / 3)
    assert _facts(_table(ids), broken=False).broken_fraction is None
    assert _facts(_table(ids), smallest_nm3=None).tiny_fraction is None
    assert _facts(_table(ids), smallest_nm3=1000.0 / 64).tiny_fraction is None
