"""A rule and the plans it changes land together: ``make gallery`` writes what is compared here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Plan

ROOT = Path(__file__).parents[1]
FINGERPRINTS = {path.stem: Fingerprint.load(path) for path in sorted((ROOT / "fingerprints").glob("*.json"))}
NAMES = sorted(FINGERPRINTS)
PUBLISHED = [name for name in NAMES if FINGERPRINTS[name].provenance.kind == "published"]
MEASURED = ["fib25", "gala", "isbi2012", "vnc_mito", "vnc_organelles"]
SOURCE = re.compile(
    r"github:[\w.-]+/[\w.-]+(@[0-9a-f]{7,})?(:[\w./-]+)?|doi:10\.\d+/\S+|https://[a-z][a-z0-9.-]+\.[a-z]+(/\S*)?|[^/\\~]+"
)


def test_every_fingerprint_has_its_plan():
    assert len(PUBLISHED) >= 20
    assert [name for name in NAMES if name not in PUBLISHED] == MEASURED
    assert sorted(path.stem for path in (ROOT / "plans").glob("*.yaml") if path.name != "experts.yaml") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_rules_still_make_the_plan(name):
    plan = make_plan(FINGERPRINTS[name], PRESETS["M"])
    assert plan.text() == (ROOT / "plans" / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_fingerprint_and_its_plan_hold_no_path(name):
    facts = FINGERPRINTS[name]
    sourceless = facts.model_copy(update={"provenance": facts.provenance.model_copy(update={"sources": []})})
    text = sourceless.text(".json") + (ROOT / "plans" / f"{name}.yaml").read_text(encoding="utf-8")
    assert not re.search(r"[/\\~]", text)
    assert all(SOURCE.fullmatch(source) for source in facts.provenance.sources)
    assert facts.name == Plan.load(ROOT / "plans" / f"{name}.yaml").name == name


@pytest.mark.parametrize("source", ["/home/me/fib25.h5", "~/fib25.h5", "data/fib25.h5", "C:\\fib25.h5", "file:///fib25.h5"])
def test_a_path_is_no_source(source):
    assert not SOURCE.fullmatch(source)


@pytest.mark.parametrize("name", NAMES)
def test_a_fingerprint_is_stored_as_it_is_written(name):
    assert FINGERPRINTS[name].text(".json") == (ROOT / "fingerprints" / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_facts_have_a_source_and_what_nobody_published_is_unknown(name):
    facts = FINGERPRINTS[name]
    assert facts.provenance.sources
    assert facts.task is not None
    assert facts.intensity is facts.sampled_fraction is facts.seed is None
    assert set(facts.sections.model_dump().values()) == {None}
    assert facts.labels is None or set(facts.labels.instances.model_dump().values()) == {None}
    assert all(v.levels_nm is v.blank_label_sections is v.labelled_fraction is None for v in facts.volumes)
    assert {v.voxel_size_nm for v in facts.volumes} == {facts.voxel_size_nm}
