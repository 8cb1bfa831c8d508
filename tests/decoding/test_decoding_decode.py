from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from samples import CPU, fingerprint, mitochondria

from pytc_auto.decoding.decode import candidates, decode
from pytc_auto.errors import PlanError
from pytc_auto.evaluation.scores import score
from pytc_auto.io.predictions import to_uint8
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.targets.affinities import affinities_from_labels
from pytc_auto.targets.boundary import boundary_from_labels
from pytc_auto.targets.erosion import erode_borders
from pytc_auto.targets.polarity import polarity_from_labels
from pytc_auto.targets.signed_distance import signed_distance


def slabs(shape, axis):
    """Four touching slabs along an axis."""
    index = np.indices(shape)[axis]
    return (1 + index * 4 // shape[axis]).astype(np.uint32)


def stored_affinities(labels, plan):
    eroded = erode_borders(labels, plan.working_voxel_size_nm, plan.labels.erode_nm)
    affinities = affinities_from_labels(eroded, plan.offsets)
    return to_uint8((affinities * 16.0 - 8).astype(np.float32), plan.heads)


@pytest.mark.parametrize(("shape", "axis"), [((28, 32, 40), 0), ((24, 40, 36), 1), ((20, 28, 48), 2)])
@pytest.mark.parametrize("kind", ["agglomerate", "mutex"])
def test_ideal_affinities_give_the_labels_back(shape, axis, kind):
    plan = make_plan(fingerprint(), CPU)
    labels = slabs(shape, axis)
    stored = stored_affinities(labels, plan)
    before = stored.copy()
    parameters = {"threshold": 0.5} if kind == "agglomerate" else {"bias": 0.5}
    found = decode(stored, plan, DecoderChoice(kind=kind, parameters=parameters))
    assert found.dtype == np.uint32
    assert (found > 0).all()
    assert score(found, labels, kind="instances")["adapted_rand"] < 0.12
    assert len(np.unique(found)) == 4
    np.testing.assert_array_equal(stored, before)


def test_each_candidate_is_what_decode_gives():
    plan = make_plan(fingerprint(), CPU)
    grid = {"threshold": [0.3, 0.6], "bias": [0.4], "foreground_threshold": [0.0, 0.5], "min_size": [0, 50]}
    plan = plan.replace(decoder=plan.decoder.replace(grid=grid))
    stored = stored_affinities(slabs((16, 20, 24), 2), plan)
    seen = 0
    for choice, found in candidates(stored, plan):
        np.testing.assert_array_equal(found, decode(stored, plan, choice))
        seen += 1
    assert seen == 2 * 2 * 2 + 1 * 2 * 2


def test_background_stays_where_a_threshold_asks_for_it():
    plan = make_plan(fingerprint(touching_fraction=0.0, foreground_fraction=0.8), CPU)
    labels = np.zeros((20, 24, 28), np.uint32)
    labels[2:18, 2:10, 2:26], labels[2:18, 14:22, 2:26] = 1, 2
    stored = stored_affinities(labels, plan)
    choice = DecoderChoice(kind="agglomerate", parameters={"threshold": 0.5, "foreground_threshold": 0.4})
    found = decode(stored, plan, choice)
    assert (found[:, 12] == 0).all()
    assert len(np.unique(found)) == 3


def test_small_segments_go_to_their_neighbors():
    plan = make_plan(fingerprint(), CPU)
    labels = slabs((20, 24, 32), 2)
    labels[8:11, 8:11, 2:5] = 9
    stored = stored_affinities(labels, plan)
    choice = DecoderChoice(kind="agglomerate", parameters={"threshold": 0.5, "min_size": 200})
    assert len(np.unique(decode(stored, plan, choice))) == 4


def test_classes_come_back_as_raw_values_without_specks():
    plan = make_plan(mitochondria(), CPU)
    truth = np.zeros((4, 20, 24), bool)
    truth[:, 5:15, 5:15] = True
    truth[0, 0, 0] = True
    logits = np.stack([np.where(truth, -4, 4), np.where(truth, 4, -4)]).astype(np.float32)
    stored = to_uint8(logits, plan.heads)
    plain = decode(stored, plan, DecoderChoice(kind="argmax", parameters={"min_size": 0}))
    assert plain.dtype == np.uint8
    np.testing.assert_array_equal(plain == 255, truth)
    clean = decode(stored, plan, DecoderChoice(kind="argmax", parameters={"min_size": 5}))
    assert clean[0, 0, 0] == 0
    assert (clean[:, 5:15, 5:15] == 255).all()


def test_blobs_are_split_at_their_boundary():
    plan = make_plan(fingerprint(), CPU, task="objects")
    foreground = np.full((12, 20, 40), -6.0, np.float32)
    foreground[2:10, 4:16, 4:36] = 6
    boundary = np.full(foreground.shape, -6.0, np.float32)
    boundary[:, :, 19:21] = 6
    stored = to_uint8(np.stack([foreground, boundary]), plan.heads)
    choice = DecoderChoice(kind="seeded", parameters={"seed_threshold": 0.5, "foreground_threshold": 0.5, "min_size": 20})
    found = decode(stored, plan, choice)
    assert sorted(np.unique(found)) == [0, 1, 2]
    assert found[5, 10, 10] != found[5, 10, 30]
    tried = Counter(choice.kind for choice, _ in candidates(stored, plan))
    assert tried == {"seeded": 3 * 3 * 2, "components": 3 * 2}


def test_blobs_that_touch_without_a_boundary_are_split_by_the_distance():
    """Two balls with a neck: foreground alone is one object, the boundary is not seen between them; the distance has two tops."""
    heads = (
        "heads=[{kind:foreground,width_nm:0.0,loss:dice_bce,weight:1.0},{kind:boundary,width_nm:40.0,loss:dice_bce,weight:1.0}"
    )
    heads += ",{kind:signed_distance,scale_nm:80.0,loss:smooth_l1,weight:1.0}]"
    plan = make_plan(fingerprint(), CPU, task="objects", by_hand=read_overrides([heads]))
    shape, centers = (24, 26, 44), [(12, 13, 13), (12, 13, 30)]
    away = [np.sqrt(sum((i - c) ** 2 for i, c in zip(np.indices(shape), center, strict=True))) for center in centers]
    balls = [a < 9.5 for a in away]
    nearer = away[0] < away[1]
    truth = np.where(nearer & balls[0], 1, np.where(balls[1], 2, 0)).astype(np.uint32)
    foreground = np.where(truth > 0, 6.0, -6.0)
    boundary = np.where(boundary_from_labels((truth > 0).astype(np.uint8), (10.0, 10.0, 10.0), 40.0), 6.0, -6.0)
    nothing = np.zeros(shape, bool)
    distance = np.arctanh(signed_distance(truth, nothing, (10.0, 10.0, 10.0), 80.0).values_zyx.clip(-0.999, 0.999))
    stored = to_uint8(np.stack([foreground, boundary, distance]).astype(np.float32), plan.heads)
    before = stored.copy()
    choice = DecoderChoice(kind="seeded", parameters={"distance_threshold": 0.3})
    found = decode(stored, plan, choice)
    assert score(found, truth, kind="instances")["ap_75"] == 1
    assert (found[truth == 0] == 0).all()
    np.testing.assert_array_equal(stored, before)
    blind = plan.replace(heads=plan.heads[:2], decoder=plan.decoder.replace(grid={}))
    assert len(np.unique(decode(stored[:2], blind, choice))) == 2
    searched = [(c, s) for c, s in candidates(stored, plan) if c.kind == "seeded"]
    assert {c.parameters["distance_threshold"] for c, _ in searched} == {0.2, 0.5, 0.8}
    assert len(searched) == 3 * 3 * 3 * 2


def test_synapses_come_back_as_pairs_of_ids():
    head = "heads=[{kind:polarity,loss:dice_bce,weight:1.0}]"
    plan = make_plan(fingerprint(), CPU, task="objects", by_hand=read_overrides([head]))
    assert plan.decoder.kinds == ["polarity"]
    truth = np.zeros((10, 20, 30), np.uint32)
    truth[2:8, 3:9, 3:7], truth[2:8, 3:9, 7:10] = 1, 2
    truth[2:8, 12:18, 16:20], truth[2:8, 12:18, 12:16] = 3, 4
    truth[4:6, 14:16, 27:29] = 5
    sides = polarity_from_labels(truth, truth > 0)
    stored = to_uint8((sides * 12.0 - 6).astype(np.float32), plan.heads)
    before = stored.copy()
    found = decode(stored, plan, DecoderChoice(kind="polarity", parameters={}))
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, truth)
    np.testing.assert_array_equal(stored, before)
    large = decode(stored, plan, DecoderChoice(kind="polarity", parameters={"min_size": 20}))
    np.testing.assert_array_equal(large, np.where(truth == 5, 0, truth))
    assert len(list(candidates(stored, plan))) == 3 * 2 * 2


def test_sides_of_a_synapse_across_a_gap_are_one_pair():
    head = "heads=[{kind:polarity,loss:dice_bce,weight:1.0}]"
    plan = make_plan(fingerprint(voxel_size_nm=(40.0, 8.0, 10.0)), CPU, task="objects", by_hand=read_overrides([head]))
    sides = np.full((3, 8, 12, 20), -6.0, np.float32)
    sides[0, 2:6, 2:10, 2:6] = sides[1, 2:6, 2:10, 8:12] = sides[1, 2:6, 2:10, 17:19] = 2.0
    sides[2] = sides[:2].max(0)
    stored = to_uint8(sides, plan.heads)

    def found(threshold, gap_nm):
        return decode(stored, plan, DecoderChoice(kind="polarity", parameters={"threshold": threshold, "gap_nm": gap_nm}))

    touching = found(0.5, 0)
    assert [np.unique(touching[..., x]).tolist() for x in (3, 9, 18)] == [[0, 1], [0, 4], [0, 6]]
    joined = found(0.5, 20.0)
    assert [np.unique(joined[..., x]).tolist() for x in (3, 7, 9, 18)] == [[0, 1], [0], [0, 2], [0, 4]]
    np.testing.assert_array_equal(found(0.5, 19.0), touching)
    assert not found(0.95, 20.0).any()


def test_an_unknown_parameter_lists_the_known():
    plan = make_plan(fingerprint(), CPU)
    with pytest.raises(PlanError, match=r"unknown parameter tresh.*threshold"):
        decode(np.zeros((6, 8, 8, 8), np.uint8), plan, DecoderChoice(kind="agglomerate", parameters={"tresh": 1}))
    with pytest.raises(PlanError, match="argmax needs labels of kind classes"):
        decode(np.zeros((6, 8, 8, 8), np.uint8), plan, DecoderChoice(kind="argmax", parameters={}))


def test_what_was_not_predicted_is_no_class_and_no_instance():
    for facts, kind in ((mitochondria(), "argmax"), (fingerprint(), "agglomerate")):
        plan = make_plan(facts, CPU)
        stored = np.full((plan.channels, 6, 20, 28), 250, np.uint8)
        stored[:, :, 7:, 11:] = 0
        before = stored.copy()
        if kind == "argmax":
            plan = plan.replace(labels=plan.labels.replace(values={3: "a", 255: "b"}))
        segmentations = [decode(stored, plan, DecoderChoice(kind=kind, parameters={}))]
        segmentations += [found for _, found in candidates(stored, plan)]
        assert len(segmentations) > 1
        for found in segmentations:
            assert found[:, :7, :11].all()
            assert not found[:, 7:, 11:].any()
        np.testing.assert_array_equal(stored, before)
