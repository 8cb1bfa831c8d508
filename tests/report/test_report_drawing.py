from __future__ import annotations

import re

import pytest
from samples import CPU, fingerprint, mitochondria, small_plan

from pytc_auto.planning.planner import make_plan
from pytc_auto.report.charts import INK
from pytc_auto.report.drawing import FIELD, OBJECT, plan_drawings, stage_scales
from pytc_auto.schema.receptive_field import receptive_field

UNKNOWN = dict.fromkeys(("diameter_nm", "extent_nm"))


def _drawn(plan, facts):
    """The scene, the stages, and the two captions together."""
    (caption, scene), (other, stages) = plan_drawings(plan, facts).items()
    return scene, stages, f"{caption} {other}"


def _outlines(svg, color):
    """Height and width of the closed outlines in a color, as drawn."""
    paths = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none; [^"]*stroke: {color};[^"]*stroke-linejoin: miter"', svg)
    found = []
    for path in paths:
        points = [(float(a), float(b)) for a, b in re.findall(r"[ML] ([\d.-]+) ([\d.-]+)", path)]
        xs, ys = zip(*points, strict=True)
        found.append((max(ys) - min(ys), max(xs) - min(xs)))
    return found


@pytest.mark.parametrize("size", [(45.0, 4.6, 4.6), (30.0, 7.0, 5.0), (5.0, 30.0, 7.0), (8.0, 8.0, 8.0)])
def test_both_faces_are_drawn_to_one_scale(size):
    facts = mitochondria(voxel_size_nm=size, shape=(60, 200, 300))
    plan = make_plan(facts, CPU)
    scene, _, _ = _drawn(plan, facts)
    size = plan.working_voxel_size_nm
    cut = plan.cutting_axis
    down, across = (i for i in range(3) if i != cut)
    drawn = [*_outlines(scene, INK)[:2], *_outlines(scene, FIELD)[:2]]
    wanted = []
    for voxels in (plan.patch, receptive_field(plan.network, plan.patch)):
        nm = [n * s for n, s in zip(voxels, size, strict=True)]
        wanted += [(nm[down], nm[across]), (nm[down], nm[cut])]
    scale = drawn[0][0] / wanted[0][0]
    assert [side for face in drawn for side in face] == pytest.approx(
        [scale * side for face in wanted for side in face], rel=0.01
    )


def test_objects_are_drawn_and_told_where_they_are_known():
    facts = fingerprint(
        diameter_nm={"p10": 100.0, "p50": 321.0, "p90": 500.0}, extent_nm={"p50": 654.0, "p90": 900.0, "p95": 1e3}
    )
    plan = make_plan(facts, CPU)
    scene, _, captions = _drawn(plan, facts)
    assert "the median object is 321 nm wide and 654 nm long." in captions
    assert "median object, width" in scene
    assert len(_outlines(scene, OBJECT)) >= 2
    scene, _, captions = _drawn(plan, fingerprint(**UNKNOWN))
    assert "median object" not in scene + captions
    assert _outlines(scene, OBJECT) == []


def test_objects_far_longer_than_all_else_do_not_shrink_it():
    facts = fingerprint(extent_nm={"p50": 5e4, "p90": 6e4, "p95": 6e4})
    plan = make_plan(facts, CPU)
    scene, _, captions = _drawn(plan, facts)
    assert "300 nm wide and 50000 nm long, more than is drawn." in captions
    assert _outlines(scene, INK) == _outlines(_drawn(plan, fingerprint(extent_nm=None))[0], INK)


def test_sections_are_drawn_where_voxels_are_longer():
    facts = mitochondria()
    plan = make_plan(facts, CPU)
    scene, _, captions = _drawn(plan, facts)
    assert "a section of 45 nm" in captions
    assert "a section of" not in _drawn(small_plan(), fingerprint(**UNKNOWN))[2]
    (lines,) = re.findall(r'<g id="LineCollection_1">(.*?)</g>', scene, re.DOTALL)
    assert lines.count("<path") == plan.patch[0] - 1


def test_every_stage_has_its_words():
    plan = small_plan(
        voxel_size_nm=[36.0, 8.0, 4.6],
        patch=[6, 16, 24],
        network={
            "kind": "unet",
            "features": [4, 8, 12],
            "strides": [[1, 1, 1], [1, 2, 2], [2, 1, 2]],
            "kernels": [[1, 3, 3], [1, 3, 5], [3, 3, 3]],
            "blocks": [1, 1, 1],
        },
    )
    assert stage_scales(plan.network) == [(1, 1, 1), (1, 2, 2), (2, 2, 4)]
    _, stages, captions = _drawn(plan, fingerprint(**UNKNOWN))
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", stages)
    assert texts[1::3] == ["6×16×24 of 36×8×4.6 nm", "6×8×12 of 36×16×9.2 nm", "3×8×6 of 72×16×18.4 nm"]
    assert texts[2::3] == [
        "4 features, kernel 1×3×3, stride 1×1×1",
        "8 features, kernel 1×3×5, stride 1×2×2",
        "12 features, kernel 3×3×3, stride 2×1×2",
    ]
    assert "drawn x down and z across" in captions


def test_a_single_section_is_drawn():
    network = {
        "kind": "unet",
        "features": [4, 8],
        "strides": [[1, 1, 1], [1, 2, 2]],
        "kernels": [[1, 3, 3]] * 2,
        "blocks": [1, 1],
    }
    head = {"kind": "affinities", "offsets": [[0, -1, 0], [0, 0, -1]], "loss": "balanced_bce", "weight": 1.0}
    plan = small_plan(voxel_size_nm=[50.0, 4.0, 4.0], patch=[1, 64, 64], network=network, heads=[head])
    scene, _, captions = _drawn(plan, fingerprint(**UNKNOWN))
    assert len(_outlines(scene, INK)) >= 2
    assert "1 × 64 × 64 voxels, spans 50 × 256 × 256 nm" in captions
    assert "a section of" not in captions
