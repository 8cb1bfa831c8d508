import numpy as np
import pytest
from pydantic import TypeAdapter

from pytc_auto.errors import DataError
from pytc_auto.schema.heads import Head, ShapeHead
from pytc_auto.schema.plan import Labels
from pytc_auto.targets.make import TARGETS, make_targets

SHAPE = (6, 7, 8)
SIZE = (30.0, 5.0, 4.0)
OFFSETS = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, 0, -3]]
AFFINITIES = {"kind": "affinities", "offsets": OFFSETS, "loss": "balanced_bce", "weight": 1.0}
FOREGROUND = {"kind": "foreground", "width_nm": 0.0, "loss": "dice_bce", "weight": 1.0}
BOUNDARY = {"kind": "boundary", "width_nm": 9.0, "loss": "dice_bce", "weight": 1.0}
SIGNED = {"kind": "signed_distance", "scale_nm": 10.0, "loss": "smooth_l1", "weight": 1.0}
SKELETON = {**SIGNED, "kind": "skeleton_distance", "scale_nm": 1.0}
FLOW = {"kind": "flow", "loss": "mse", "weight": 1.0}
POLARITY = {"kind": "polarity", "loss": "dice_bce", "weight": 1.0}
SHAPES = {"kind": "lsd", "sigma_nm": 12.0, "loss": "mse", "weight": 1.0}
CLASSES = {"kind": "classes", "class_weights": [1.0, 1.0, 1.0], "loss": "dice_ce", "weight": 1.0}


def targets(raw, unlabeled, labels, *heads):
    return make_targets(
        raw,
        unlabeled,
        labels=TypeAdapter(Labels).validate_python(labels),
        heads=[TypeAdapter(Head | ShapeHead).validate_python(h) for h in heads],
        voxel_size_nm=SIZE,
    )


def instances(erode_nm=0.0):
    return {"kind": "instances", "background": [0], "unlabeled": [99], "erode_nm": erode_nm}


def two_that_touch():
    raw = np.zeros(SHAPE, np.uint64)
    raw[:, :, 1:4] = 2**40
    raw[:, :, 4:7] = 2**40 + 1
    return raw


def test_each_head_has_its_target_in_order():
    raw, unlabeled = two_that_touch(), np.zeros(SHAPE, bool)
    unlabeled[2] = True
    before = raw.copy(), unlabeled.copy()
    got = targets(raw, unlabeled, instances(), BOUNDARY, AFFINITIES, FOREGROUND)
    assert [t.values_kzyx.shape for t in got] == [(1, *SHAPE), (4, *SHAPE), (1, *SHAPE)]
    for target in got:
        assert target.mask_kzyx.shape == target.values_kzyx.shape
        assert target.values_kzyx.dtype == np.uint8
        assert target.mask_kzyx.dtype == np.bool_
        assert target.values_kzyx.max() == 1
        assert not target.mask_kzyx[:, 2].any()
        assert target.mask_kzyx.any()
    np.testing.assert_array_equal(got[2].values_kzyx[0, 0], (raw[0] > 0).astype(np.uint8))
    np.testing.assert_array_equal(raw, before[0])
    np.testing.assert_array_equal(unlabeled, before[1])


def test_borders_are_eroded_for_affinities_alone():
    raw, unlabeled = two_that_touch(), np.zeros(SHAPE, bool)
    affinities, foreground = targets(raw, unlabeled, instances(4.0), AFFINITIES, FOREGROUND)
    plain, _ = targets(raw, unlabeled, instances(), AFFINITIES, FOREGROUND)
    assert affinities.values_kzyx[2, 0, 0].tolist() == [0, 0, 1, 0, 0, 0, 1, 0]
    assert plain.values_kzyx[2, 0, 0].tolist() == [0, 0, 1, 1, 0, 1, 1, 0]
    assert foreground.values_kzyx[0, 0, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 0]
    np.testing.assert_array_equal(affinities.mask_kzyx, plain.mask_kzyx)


def test_the_unlabeled_value_is_masked():
    raw = two_that_touch()
    raw[:, :, 6] = 99
    affinities, foreground = targets(raw, np.zeros(SHAPE, bool), instances(), AFFINITIES, FOREGROUND)
    assert foreground.mask_kzyx[0, 0, 0].tolist() == [True] * 6 + [False, True]
    assert affinities.mask_kzyx[2, 0, 0].tolist() == [False] + [True] * 5 + [False, False]


def test_classes_are_indices():
    raw = np.full(SHAPE, 255, np.uint8)
    raw[1] = 4
    raw[2] = 0
    unlabeled = np.zeros(SHAPE, bool)
    unlabeled[2] = True
    labels = {"kind": "classes", "values": {255: "in", 4: "edge", 5: "out"}, "unlabeled": []}
    (target,) = targets(raw, unlabeled, labels, CLASSES)
    assert target.values_kzyx[0, :, 0, 0].tolist() == [0, 1, 0, 0, 0, 0]
    assert target.mask_kzyx[0, :, 0, 0].tolist() == [True, True, False, True, True, True]
    with pytest.raises(DataError, match="hold 0, but"):
        targets(raw, np.zeros(SHAPE, bool), labels, CLASSES)


def test_every_kind_of_head_has_a_target():
    kinds = {k for part in (*Head.__origin__.__args__, ShapeHead) for k in part.model_fields["kind"].annotation.__args__}
    assert kinds == set(TARGETS)


def test_shape_descriptors_are_known_inside_of_labeled_objects():
    raw, unlabeled = two_that_touch(), np.zeros(SHAPE, bool)
    unlabeled[2] = True
    (got,) = targets(raw, unlabeled, instances(4.0), SHAPES)
    assert got.values_kzyx.shape == got.mask_kzyx.shape == (10, *SHAPE)
    assert got.values_kzyx.dtype == np.float32
    np.testing.assert_array_equal(got.mask_kzyx[7], (raw > 0) & ~unlabeled)
    assert got.values_kzyx[2, 0, 0, 1] > 0.5 > got.values_kzyx[2, 0, 0, 3]
    assert 0 <= got.values_kzyx.min() <= got.values_kzyx.max() <= 1


def test_distances_and_flow_are_signed_and_see_objects_as_they_are():
    raw, unlabeled = two_that_touch(), np.zeros(SHAPE, bool)
    signed, skeleton, flow = targets(raw, unlabeled, instances(4.0), SIGNED, SKELETON, FLOW)
    assert [t.values_kzyx.shape for t in (signed, skeleton, flow)] == [(1, *SHAPE), (1, *SHAPE), (3, *SHAPE)]
    for target in (signed, skeleton, flow):
        assert target.values_kzyx.dtype == np.float32
        assert target.mask_kzyx.shape == target.values_kzyx.shape
        assert -1 <= target.values_kzyx.min() < 0 < target.values_kzyx.max() <= 1
    np.testing.assert_allclose(signed.values_kzyx[0, 0, 0], np.tanh([-0.4, 0.4, 0.8, 0.4, 0.4, 0.8, 0.4, -0.4]), atol=1e-6)
    assert (skeleton.values_kzyx[0, 0, 0] < 0).tolist() == [True] + [False] * 6 + [True]
    np.testing.assert_array_equal(flow.mask_kzyx, np.stack([raw > 0] * 3))
    assert flow.values_kzyx[2, 2, 3, 1] == 1


def test_polarity_is_of_the_ids_as_stored_not_of_the_objects_numbers():
    raw = np.zeros(SHAPE, np.uint16)
    raw[:, :, 1:3], raw[:, :, 3:5], raw[0, :, 6] = 8, 7, 10
    raw[1, :, 6] = 99
    (got,) = targets(raw, np.zeros(SHAPE, bool), instances(), POLARITY)
    assert got.values_kzyx.dtype == np.uint8
    assert got.values_kzyx[:, 0, 0].tolist() == [[0, 0, 0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0, 1, 0], [0, 1, 1, 1, 1, 0, 1, 0]]
    assert got.mask_kzyx[:, 1, 0, 6].tolist() == [False] * 3
    assert not got.values_kzyx[:, 1, 0, 6].any()


@pytest.mark.parametrize(
    "head", [AFFINITIES, FOREGROUND, BOUNDARY, SIGNED, SKELETON, FLOW, POLARITY, SHAPES], ids=lambda h: h["kind"]
)
def test_the_ignored_value_and_the_unlabeled_rim_are_masked_in_every_target(head):
    raw, rim = two_that_touch(), np.zeros(SHAPE, bool)
    raw[2, 3, 3] = 99
    rim[:, :2], rim[5] = True, True
    (got,) = targets(raw, rim, instances(4.0), head)
    assert not got.mask_kzyx[:, rim].any()
    assert not got.mask_kzyx[:, 2, 3, 3].any()
    assert got.mask_kzyx.any(axis=(1, 2, 3)).all()
    other = raw.copy()
    other[rim] = 2**40 + 1
    (same,) = targets(other, rim, instances(4.0), head)
    np.testing.assert_array_equal(got.mask_kzyx, same.mask_kzyx)
    np.testing.assert_array_equal(got.values_kzyx[got.mask_kzyx], same.values_kzyx[got.mask_kzyx])


@pytest.mark.parametrize("head", [FOREGROUND, SIGNED, SKELETON, FLOW, SHAPES, AFFINITIES], ids=lambda h: h["kind"])
def test_pieces_of_an_object_that_the_crop_cuts_are_objects_of_their_own(head):
    raw = two_that_touch()
    raw[:, 3] = 0
    (one,) = targets(raw, np.zeros(SHAPE, bool), instances(), head)
    raw[:, 4:] *= 3
    (other,) = targets(raw, np.zeros(SHAPE, bool), instances(), head)
    np.testing.assert_array_equal(one.values_kzyx, other.values_kzyx)


def test_a_target_of_v1_cannot_be_learned():
    from pytc_auto.errors import PlanError
    from pytc_auto.schema.heads import V1Head
    from pytc_auto.schema.plan import InstanceLabels

    labels = InstanceLabels(kind="instances", background=[0], unlabeled=[], erode_nm=0.0)
    heads = [V1Head(kind="v1", target="3-25-2-1", channels=1, weight=1.0)]
    raw = np.zeros((3, 4, 5), np.uint8)
    with pytest.raises(PlanError, match="v1's target 3-25-2-1 is predicted with v1's weights, and cannot be learned"):
        make_targets(raw, raw > 0, labels=labels, heads=heads, voxel_size_nm=(8.0, 8.0, 8.0))
