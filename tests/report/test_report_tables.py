from __future__ import annotations

from samples import CPU, fingerprint, mitochondria

from pytc_auto.planning.planner import make_plan
from pytc_auto.report.tables import MOST_VOLUMES, fingerprint_rows, plan_rows, times


def _row(facts, topic):
    return "; ".join(text for name, text in fingerprint_rows(facts) if name == topic)


def test_what_is_known_is_told_with_its_unit():
    facts = mitochondria(border_fraction=0.25)
    assert _row(facts, "volume") == "v0, 20 × 576 × 1024 voxels (0.9 × 2.65 × 4.71 µm), uint8, labelled"
    assert _row(facts, "voxel size") == "45 × 4.6 × 4.6 nm (z, y, x), anisotropy 9.8, cut along z"
    assert _row(facts, "values") == "0: 94 %, 255: 6 %"
    assert _row(facts, "objects") == "300 nm wide (150 to 500), 500 nm long (p95 1000), solidity 0.50"
    assert _row(facts, "") == "0 % of the surface touches another id, gaps 100 nm, 25 % cut by the border"


def test_what_is_not_known_is_left_out():
    unknown = dict.fromkeys(("diameter_nm", "extent_nm", "touching_fraction", "border_fraction", "solidity", "gap_nm"))
    facts = fingerprint(shape=None, dtype=None, ids=None, foreground_fraction=None, **unknown)
    rows = fingerprint_rows(facts)
    assert all(text for _, text in rows)
    assert "None" not in str(rows)
    assert not {"objects", "values"} & {topic for topic, _ in rows}
    assert _row(facts, "volume") == "v0, labelled"


def test_many_volumes_and_values_are_shortened():
    rows = fingerprint_rows(fingerprint(volumes=21))
    assert [topic for topic, _ in rows].count("volume") == MOST_VOLUMES
    assert ("", "… and 17 more; 21 of all 21 labelled") in rows
    values = _row(mitochondria(kind="classes", values=dict.fromkeys(range(10), 0.1)), "values")
    assert values.endswith("7: 10 %, and 2 more")


def test_every_decision_has_its_rule_and_short_numbers():
    plan = make_plan(fingerprint(), CPU)
    rows = plan_rows(plan)
    assert [field for field, *_ in rows] == list(plan.why)
    assert next(r for r in rows if r[0] == "patch")[1] == str(list(plan.patch))
    assert all(len(number) < 9 for *_, numbers in rows for number in numbers.split() if number.replace(".", "").isdigit())
    assert "None" not in " ".join(numbers for *_, numbers in rows)


def test_extents_are_as_long_as_they_must_be():
    assert times((45.0, 4.6, 0.5)) == "45 × 4.6 × 0.5"
    assert times((12345, 999.4, 1000)) == "12345 × 999 × 1000"
