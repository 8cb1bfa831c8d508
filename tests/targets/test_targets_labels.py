import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.schema.plan import ClassLabels, InstanceLabels
from pytc_auto.targets.labels import class_indices, instances_in_crop

BIG = 2**60 + 1


def instances(**fields):
    return InstanceLabels(**({"kind": "instances", "background": [0], "unlabeled": [], "erode_nm": 0.0} | fields))


def classes(values, unlabeled=()):
    return ClassLabels(kind="classes", values=values, unlabeled=list(unlabeled))


def test_an_object_in_two_pieces_becomes_two():
    raw = np.zeros((3, 4, 5), np.uint64)
    raw[0, :, 0] = BIG
    raw[2, :, 4] = BIG
    raw[0, 0, 1] = BIG + 1
    before = raw.copy()
    found = instances_in_crop(raw, instances())
    assert len(np.unique(found.ids_zyx)) == 4
    assert found.ids_zyx[0, 0, 0] != found.ids_zyx[2, 0, 4]
    assert found.ids_zyx[0, 0, 0] != found.ids_zyx[0, 0, 1]
    assert ((found.ids_zyx == 0) == (raw == 0)).all()
    assert found.ids_zyx.max() == 3
    assert not found.unlabeled_zyx.any()
    np.testing.assert_array_equal(raw, before)


def test_voxels_that_touch_by_an_edge_only_are_apart():
    raw = np.zeros((1, 2, 2), np.uint8)
    raw[0, 0, 0] = raw[0, 1, 1] = 5
    found = instances_in_crop(raw, instances())
    assert found.ids_zyx[0, 0, 0] != found.ids_zyx[0, 1, 1]


def test_background_and_unlabeled_values_and_the_mask_are_no_objects():
    raw = np.array([[[3, 3, 9, 9, 7, 7, 4, 0]]], np.int16)
    mask = np.zeros(raw.shape, bool)
    mask[..., 6] = True
    found = instances_in_crop(raw, instances(background=[0, 3], unlabeled=[9, -1]), mask)
    assert found.ids_zyx.tolist() == [[[0, 0, 0, 0, 1, 1, 0, 0]]]
    assert found.unlabeled_zyx.tolist() == [[[False, False, True, True, False, False, True, False]]]
    assert mask.sum() == 1


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.uint64])
def test_any_dtype_gives_small_unsigned_ids(dtype):
    found = instances_in_crop(np.ones((2, 3, 4), dtype), instances())
    assert found.ids_zyx.dtype.kind == "u"
    assert (found.ids_zyx == 1).all()


def test_a_class_is_the_position_of_its_value():
    raw = np.array([[[255, 0, 7, 9]]], np.uint8)
    found = class_indices(raw, classes({0: "a", 255: "b", 7: "c"}, unlabeled=[9]))
    assert found.index_zyx.tolist() == [[[1, 0, 2, 0]]]
    assert found.index_zyx.dtype == np.uint8
    assert found.unlabeled_zyx.tolist() == [[[False, False, False, True]]]


def test_an_unlabeled_voxel_may_hold_any_value():
    raw = np.array([[[1, 2, 77]]], np.uint8)
    mask = raw == 77
    assert class_indices(raw, classes({1: "a", 2: "b"}), mask).index_zyx.tolist() == [[[0, 1, 0]]]


def test_a_value_that_no_class_has_is_named():
    raw = np.array([[[0, 1, 4, 4, 11]]], np.uint16)
    with pytest.raises(DataError, match=r"hold 4, 11, but the plan declares the classes 0 \(out\), 1 \(in\)"):
        class_indices(raw, classes({0: "out", 1: "in"}))


def test_many_undeclared_values_are_not_all_named():
    with pytest.raises(DataError, match=r"hold 2, 3, 4, 5, 6, 7, 8, 9, …, but"):
        class_indices(np.arange(40, dtype=np.uint8).reshape(2, 4, 5), classes({0: "out", 1: "in"}))
