from __future__ import annotations

import numpy as np
import pytest
from samples import CPU, fingerprint

from pytc_auto.decoding.decode import KINDS, candidates, decode
from pytc_auto.errors import PlanError
from pytc_auto.evaluation.scores import score
from pytc_auto.io.predictions import to_uint8
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.targets.affinities import affinities_from_labels
from pytc_auto.targets.erosion import erode_borders

EXTENTS = [((24, 30, 36), (10.0, 10.0, 10.0)), ((10, 40, 32), (40.0, 8.0, 8.0)), ((30, 24, 36), (12.0, 10.0, 9.0))]


def plan_for(voxel_size, offsets=None):
    plan = make_plan(fingerprint(voxel_size_nm=voxel_size), CPU)
    if offsets is None:
        return plan
    head = plan.heads[0].replace(offsets=offsets)
    return plan.replace(heads=[head])


def boxes(shape):
    """2 × 2 × 3 touching boxes."""
    index = [i * n // s for i, n, s in zip(np.indices(shape), (2, 2, 3), shape, strict=True)]
    return (1 + np.ravel_multi_index(index, (2, 2, 3))).astype(np.uint32)


def stored(labels, plan, logit=6.0):
    eroded = erode_borders(labels, plan.working_voxel_size_nm, plan.labels.erode_nm)
    affinities = affinities_from_labels(eroded, plan.offsets)
    return to_uint8(((affinities * 2.0 - 1) * logit).astype(np.float32), plan.heads)


@pytest.mark.parametrize(("shape", "voxel_size"), EXTENTS)
@pytest.mark.parametrize(("kind", "parameters"), [("agglomerate", {"threshold": 0.6}), ("mutex", {"bias": 0.5})])
def test_planted_boxes_come_back_voxel_by_voxel(shape, voxel_size, kind, parameters):
    plan, labels = plan_for(voxel_size), boxes(shape)
    given = stored(labels, plan)
    kept = given.copy()
    found = decode(given, plan, DecoderChoice(kind=kind, parameters=parameters))
    scores = score(found, labels, kind="instances")
    assert scores["voi"] == pytest.approx(0, abs=1e-9)
    assert scores["ap_75"] == 1
    assert sorted(np.unique(found)) == list(range(1, 13))
    np.testing.assert_array_equal(given, kept)


@pytest.mark.parametrize("kind", ["agglomerate", "mutex"])
def test_gaps_are_background_where_asked_for(kind):
    plan = plan_for((10.0, 10.0, 10.0))
    labels = np.zeros((24, 28, 32), np.uint32)
    labels[3:20, 3:12, 3:28], labels[3:20, 16:25, 3:28] = 1, 2
    found = decode(
        stored(labels, plan), plan, DecoderChoice(kind=kind, parameters={"foreground_threshold": 0.45, "min_size": 30})
    )
    assert sorted(np.unique(found)) == [0, 1, 2]
    disagree = np.mean((found > 0) != (labels > 0))
    assert disagree < 0.02
    filled = decode(stored(labels, plan), plan, DecoderChoice(kind=kind, parameters={}))
    assert (filled > 0).all()


def test_a_small_object_is_removed_where_background_is_around_it():
    plan = plan_for((10.0, 10.0, 10.0))
    labels = np.zeros((20, 24, 40), np.uint32)
    labels[3:17, 3:20, 3:20], labels[8:13, 8:13, 26:31] = 1, 2
    choice = DecoderChoice(kind="agglomerate", parameters={"foreground_threshold": 0.6})
    assert len(np.unique(decode(stored(labels, plan), plan, choice))) == 3
    found = decode(stored(labels, plan), plan, choice.replace(parameters={"foreground_threshold": 0.6, "min_size": 200}))
    assert sorted(np.unique(found)) == [0, 1]
    assert not found[:, :, 24:].any()
    filled = decode(stored(labels, plan), plan, choice.replace(parameters={"min_size": 10**6}))
    assert not filled.any()


def test_a_single_section_is_decoded_in_the_plane():
    plan = plan_for((10.0, 10.0, 10.0))
    labels = boxes((24, 40, 42))
    given, labels = stored(labels, plan)[:, 5:6], labels[5:6]
    found = decode(given, plan, DecoderChoice(kind="agglomerate", parameters={}))
    assert score(found, labels, kind="instances")["voi"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kind", ["agglomerate", "mutex"])
def test_a_head_without_steps_across_sections_never_joins_sections(kind):
    plan = plan_for((10.0, 10.0, 10.0), offsets=[[0, -1, 0], [0, 0, -1], [0, -4, 0], [0, 0, -4]])
    labels = np.stack([boxes((2, 24, 36))[0]] * 3)
    found = decode(stored(labels, plan), plan, DecoderChoice(kind=kind, parameters={}))
    held = [set(np.unique(section).tolist()) for section in found]
    assert not held[0] & held[1] | held[1] & held[2]
    for section, truth in zip(found, labels, strict=True):
        assert score(section, truth, kind="instances")["voi"] == pytest.approx(0, abs=1e-9)


def test_extents_that_differ_and_a_face_without_values_do_not_matter():
    """The value at a face has no partner; whatever the network says there is not read."""
    plan, labels = plan_for((10.0, 10.0, 10.0)), boxes((20, 26, 33))
    given = stored(labels, plan)
    other = given.copy()
    for axis in range(3):
        np.moveaxis(other[axis], axis, 0)[0] = 255
    choice = DecoderChoice(kind="agglomerate", parameters={})
    np.testing.assert_array_equal(decode(given, plan, choice), decode(other, plan, choice))


def test_small_instances_are_absorbed_by_what_they_touch_and_removed_where_alone():
    plan = make_plan(fingerprint(), CPU, task="objects")
    foreground = np.full((8, 20, 30), -6.0, np.float32)
    foreground[2:6, 4:16, 4:20] = 6
    foreground[2:4, 4:6, 25:27] = 6
    boundary = np.full(foreground.shape, -6.0, np.float32)
    boundary[:, :, 7] = 6
    given = to_uint8(np.stack([foreground, boundary]), plan.heads)
    parameters = {"seed_threshold": 0.5, "foreground_threshold": 0.5}
    plain = decode(given, plan, DecoderChoice(kind="seeded", parameters=parameters))
    assert len(np.unique(plain)) == 4
    clean = decode(given, plan, DecoderChoice(kind="seeded", parameters={**parameters, "min_size": 200}))
    assert sorted(np.unique(clean)) == [0, 1]
    assert (clean[2:6, 4:16, 4:20] == 1).all()
    assert not clean[:, :, 22:].any()


def test_parameters_that_are_not_given_have_the_defaults_of_the_table():
    plan, labels = plan_for((10.0, 10.0, 10.0)), boxes((16, 20, 24))
    given = stored(labels, plan)
    plan = plan.replace(decoder=plan.decoder.replace(kinds=["mutex", "agglomerate"], grid={"threshold": [0.7]}))
    choices = [choice for choice, _ in candidates(given, plan)]
    assert [c.kind for c in choices] == ["mutex", "agglomerate"]
    assert choices[0].parameters == dict(KINDS["mutex"].defaults)
    assert choices[1].parameters == {**KINDS["agglomerate"].defaults, "threshold": 0.7}


def test_results_of_a_search_do_not_share_memory():
    plan, labels = plan_for((10.0, 10.0, 10.0)), boxes((16, 20, 24))
    plan = plan.replace(decoder=plan.decoder.replace(kinds=["agglomerate"], grid={"foreground_threshold": [0.0, 0.0]}))
    results = candidates(stored(labels, plan), plan)
    first = next(results)[1]
    first[:] = 0
    assert next(results)[1].any()


def test_what_does_not_fit_the_plan_says_so():
    plan = plan_for((10.0, 10.0, 10.0))
    given = np.zeros((len(plan.offsets), 6, 8, 10), np.uint8)
    wrong = plan.replace(decoder=plan.decoder.replace(grid={"tresh": [0.5]}))
    with pytest.raises(PlanError, match=r"sample: decoder\.grid: unknown parameter tresh\. Known are threshold"):
        next(candidates(given, wrong))
    with pytest.raises(PlanError, match="decoder seeded needs a head of kind foreground, the plan has affinities"):
        decode(given, plan, DecoderChoice(kind="seeded", parameters={}))
    far = plan_for((10.0, 10.0, 10.0), offsets=[[-1, 0, 0], [0, -1, 0], [0, 0, -2]])
    with pytest.raises(PlanError, match="heads have no offset of one voxel back on x"):
        decode(given[:3], far, DecoderChoice(kind="agglomerate", parameters={}))
