"""plans/README.md: made by ``make gallery``, every band judged."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from pytc_auto.errors import PlanError
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Plan

PLANS = Path(__file__).parents[1] / "plans"
sys.path.insert(0, str(PLANS))
import gallery  # noqa: E402
import judge  # noqa: E402

EXPERTS = judge.Experts.load(gallery.EXPERTS)
BANDS = {band.plan: band for band in EXPERTS.bands}
PAGE = gallery.PAGE.read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line.startswith("| ")]
JUDGED = ["snemi3d", "cremi_neuron", "fib25", "nisb_base", "lucchi", "cremi_cleft", "isbi2012", "vnc_mito", "vnc_organelles"]


def _plan(name):
    return Plan.load(PLANS / f"{name}.yaml")


def _judged(plan):
    """Each item of a plan's band, and whether it lies inside."""
    return {j.item: j.inside for j in judge.judge(plan, BANDS[plan.name], EXPERTS)}


def _with(name, field, **changes):
    """A plan of the gallery with a part of it changed."""
    plan = _plan(name)
    return plan.replace(**{field: getattr(plan, field).replace(**changes)})


def test_the_page_is_what_the_generator_makes():
    plans = {path.stem: make_plan(Fingerprint.load(path), PRESETS["M"]) for path in gallery.fingerprints()}
    assert len(plans) >= 25
    assert gallery.page(plans, EXPERTS) == PAGE


def test_every_data_set_has_its_row():
    ours = PAGE[PAGE.index("## Ours") : PAGE.index("## Beside")]
    assert re.findall(r"^\| \[\w+\]\((\w+)\.yaml\) \|", ours, re.MULTILINE) == [path.stem for path in gallery.fingerprints()]
    assert {line.count(" |") for line in ours.splitlines() if line.startswith("|")} == {len(gallery.OURS)}


def test_every_band_is_judged_in_the_table():
    assert [band.plan for band in EXPERTS.bands] == JUDGED
    for band in EXPERTS.bands:
        rows = [row for row in ROWS if row[0] == f"[{band.name}]({band.plan}.yaml)"]
        asked = EXPERTS.wanted.get(band.plan, []) + EXPERTS.mistakes.get(band.plan, [])
        assert [row[1] for row in rows] == ["patch z", "patch xy", "z pooling", *asked]
        assert {row[4] for row in rows} <= {"inside", "**outside**"}
        assert asked


def test_the_count_is_that_of_the_table():
    verdicts = [row[4] for row in ROWS if len(row) == len(gallery.JUDGED) and row[4] in ("inside", "**outside**")]
    assert f"Of {len(verdicts)} items {verdicts.count('**outside**')} lie outside" in PAGE


def test_a_reason_is_given_only_for_what_lies_outside():
    for name, reasons in EXPERTS.on_purpose.items():
        found = _judged(_plan(name))
        assert [item for item in reasons if found.get(item, True)] == [], f"{name}: these lie inside or are not judged"


def test_every_check_is_used_and_the_facts_hold_no_path():
    used = {item for lists in (EXPERTS.wanted, EXPERTS.mistakes) for items in lists.values() for item in items}
    assert used == set(judge.WANTED) | set(judge.MISTAKES)
    assert {m.plan for m in EXPERTS.methods} | set(BANDS) <= {path.stem for path in PLANS.glob("*.yaml")}
    assert {s for m in EXPERTS.methods for s in m.sources} == set(EXPERTS.sources)
    assert all(re.match(r"github:[\w.-]+/[\w.-]+@[0-9a-f]{7,}:\S|github:[\w.-]+/[\w.-]+:\S", s) for s in EXPERTS.sources.values())


@pytest.mark.parametrize(
    ("low", "high", "inside"), [(256, 512, True), (257, 512, False), (100, 256, True), (100, 255, False), (128, 128, False)]
)
def test_a_coarser_working_grid_is_judged_in_nm(low, high, inside):
    plan = _plan("vnc_mito").replace(patch=[16, 128, 128], working_scale=[1, 2, 2])
    band = BANDS["vnc_mito"].replace(patch_xy=(low, high))
    assert {j.item: j.inside for j in judge.judge(plan, band, EXPERTS)}["patch xy"] is inside


@pytest.mark.parametrize(
    ("pooling", "strides", "inside"),
    [
        ("never", "122 122", True),
        ("never", "122 222", False),
        ("none or last", "122 122", True),
        ("none or last", "122 333", True),
        ("none or last", "222 122", False),
        ("none or late", "122 122", True),
        ("none or late", "122 122 222", True),
        ("none or late", "122 222", False),
        ("early", "122 222 222", True),
        ("early", "222 222", True),
        ("early", "122 122 222", False),
        ("early", "122 122", False),
        ("equal", "222 333", True),
        ("equal", "222 122", False),
    ],
)
def test_poolings(pooling, strides, inside):
    triples = [tuple(map(int, s)) for s in strides.split()]
    assert judge._POOLINGS[pooling][1](triples) is inside


OFF = dict.fromkeys(("affine", "section_shift", "missing_section", "section_intensity"))
STRIDES = {"equal": [[1, 1, 1], [2, 2, 2]], "flat": [[1, 1, 1], [1, 2, 2]]}


def _strides(name, kind, patch=(64, 192, 192)):
    network = {"kind": "unet", "features": [8, 16], "strides": STRIDES[kind], "kernels": [[3, 3, 3]] * 2, "blocks": [1, 1]}
    return _plan(name).replace(network=network, patch=patch)


def _linked(name, count):
    """A plan with so many affinities."""
    head = {"kind": "affinities", "offsets": [[0, 0, -i - 1] for i in range(count)], "loss": "balanced_bce", "weight": 1.0}
    return _plan(name).replace(heads=[head])


def _effects(name, **changes):
    plan = _plan(name)
    return _with(name, "augmentation", effects=plan.augmentation.effects.replace(**changes), symmetries=16)


def _learning(name, other):
    """A plan with the targets of another, and what goes with them."""
    plan = _plan(other)
    return _plan(name).replace(heads=plan.heads, labels=plan.labels, decoder=plan.decoder)


FLIPS = {
    "turns in the plane only": (_plan("snemi3d"), _with("snemi3d", "augmentation", symmetries=48)),
    "all turns and flips": (_with("fib25", "augmentation", symmetries=48), _with("fib25", "augmentation", symmetries=16)),
    "section defects": (_plan("cremi_neuron"), _effects("cremi_neuron", missing_section=None)),
    "no section defects": (_effects("fib25", **OFF), _effects("fib25", missing_section={"probability": 0.1})),
    "affinities": (_plan("snemi3d"), _learning("snemi3d", "betaseg")),
    "twelve affinities": (_linked("snemi3d", 12), _linked("snemi3d", 11)),
    "eroded labels": (_plan("snemi3d"), _with("snemi3d", "labels", erode_nm=5.9)),
    "tuned threshold": (_plan("nisb_base"), _with("nisb_base", "decoder", grid={"threshold": [0.5]})),
    "run length": (_plan("nisb_base"), _with("nisb_base", "decoder", metric="voi")),
    "classes": (_plan("lucchi"), _learning("lucchi", "betaseg")),
    "drawn around foreground": (_plan("cremi_cleft"), _with("cremi_cleft", "sampling", foreground_share=0.4)),
    "distance or weighted BCE and Dice": (
        _plan("cremi_cleft"),
        _plan("cremi_cleft").replace(heads=[head.replace(loss="dice_bce") for head in _plan("cremi_cleft").heads]),
    ),
    "deep patch": (_plan("snemi3d"), _plan("snemi3d").replace(patch=[104, 192, 192])),
    "isotropic at once": (_plan("snemi3d"), _strides("snemi3d", "equal")),
    "taken as isotropic": (_plan("isbi2012"), _strides("isbi2012", "equal")),
    "plane pooled alone": (_strides("fib25", "equal"), _strides("fib25", "flat")),
    "axes mistaken": (_plan("nisb_base"), _plan("nisb_base").replace(voxel_size_nm=[9, 9, 20])),
    "instance decoder": (_plan("lucchi"), _learning("lucchi", "betaseg")),
    "plane only": (_effects("lucchi"), _effects("lucchi", affine=None)),
    "uniform sampling": (_plan("cremi_cleft"), _with("cremi_cleft", "sampling", foreground_share=0.0)),
}


@pytest.mark.parametrize("item", [*judge.WANTED, *judge.MISTAKES])
def test_each_check_knows_both_sides(item):
    inside, outside = FLIPS[item]
    assert _judged(outside)[item] is False
    assert _judged(inside)[item] is True


def test_words():
    assert judge.compact([(1, 2, 2), (1, 2, 2), (2, 2, 2)]) == "1·2·2 ×2, 2·2·2"
    assert judge.compact([]) == "none"
    head = _plan("fib25").heads[0].replace(offsets=[[-1, 0, 0], [0, -4, 0], [0, -1, 0], [0, 0, -1], [0, 0, -4], [-4, 0, 0]])
    assert gallery.targets([head]) == "6 affinities: 1, 4"
    assert gallery.targets([head.replace(offsets=[o for o in head.offsets if o != (-4, 0, 0)])]) == "5 affinities: z 1; xy 1, 4"
    slanted = head.replace(offsets=[[-2, 0, 0], [0, -1, 0], [0, 0, -1], [0, 0, -5], [0, -3, 3]])
    assert gallery.targets([slanted]) == "5 affinities: z 2; y 1; x 1, 5; 0·-3·3"
    assert gallery.targets(_plan("betaseg").heads) == "foreground, boundary 40 nm"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"wanted": {"snemi3d": ["luck"]}}, "wanted has 'luck', known: turns in the plane only"),
        ({"mistakes": {"xpress": ["plane only"]}}, "mistakes has xpress, which has no band"),
        ({"sources": {}}, "Lee 2017 has the unknown source SNEMI.md"),
    ],
)
def test_faults_in_the_facts_are_told(changes, told):
    with pytest.raises(PlanError, match=re.escape(told)):
        judge.Experts.parse(EXPERTS.model_dump() | changes, "experts.yaml")
