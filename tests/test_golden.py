"""A rule and the plans it changes land together: ``make plans`` writes what is compared here."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Plan

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "fingerprints").glob("*.json"))


def test_every_fingerprint_has_its_plan():
    assert len(NAMES) >= 5
    assert sorted(path.stem for path in (ROOT / "plans").glob("*.yaml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_rules_still_make_the_plan(name):
    plan = make_plan(Fingerprint.load(ROOT / "fingerprints" / f"{name}.json"), PRESETS["M"])
    assert plan.text() == (ROOT / "plans" / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_fingerprint_and_its_plan_hold_no_path(name):
    text = (ROOT / "fingerprints" / f"{name}.json").read_text() + (ROOT / "plans" / f"{name}.yaml").read_text()
    assert "/" not in text
    assert Plan.load(ROOT / "plans" / f"{name}.yaml").name == name
