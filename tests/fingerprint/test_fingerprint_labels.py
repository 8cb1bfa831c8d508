from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import ndimage

from pytc_auto.errors import DataError
from pytc_auto.fingerprint.labels import Unlabeled, label_facts, read_labels, refuse_empty
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume

NOWHERE = Unlabeled((), 0, ())


def _table(array, unlabeled=NOWHERE, box=None):
    volume = ArrayVolume(array, source="labels.h5:truth")
    return read_labels(volume, box or volume.box, unlabeled, (10, 10, 10), np.random.default_rng(0))


def _facts(*arrays, unlabeled=NOWHERE, declared=False):
    return label_facts([_table(a, unlabeled) for a in arrays], declared_classes=declared)


def _scattered(values, shape=(12, 20, 30), each=5):
    """``each`` cubes of 2³ for every value."""
    labels = np.zeros(shape, np.uint8)
    places = [(z, y, x) for z in range(1, 10, 4) for y in range(1, 18, 4) for x in range(1, 28, 4)]
    order = np.random.default_rng(0).permutation(len(places))
    for i, value in enumerate(v for v in values for _ in range(each)):
        z, y, x = places[order[i]]
        labels[z : z + 2, y : y + 2, x : x + 2] = value
    return labels


@pytest.mark.parametrize("value", [1, 255])
def test_one_value_is_a_mask(value):
    facts = _facts(_scattered([value]))
    assert facts.kind == "mask"
    assert facts.values == pytest.approx({0: 1 - 40 / 7200, value: 40 / 7200})
    assert (facts.ids, facts.components) == (1, 5)
    assert facts.foreground_fraction == pytest.approx(40 / 7200)
    assert facts.unlabeled_fraction == 0


def test_booleans_are_a_mask():
    facts = _facts(_scattered([1]).astype(bool))
    assert facts.kind == "mask"
    assert list(facts.values) == [0, 1]


def test_few_values_of_many_components_are_classes():
    labels = _scattered([1, 3, 4])
    labels[:, 18:] = 7
    facts = _facts(labels)
    assert facts.kind == "classes"
    assert list(facts.values) == [0, 1, 3, 4, 7]
    assert facts.values[7] == pytest.approx(0.1)
    assert facts.components == 16


def test_few_values_of_one_component_each_are_instances():
    facts = _facts(_scattered(range(1, 9), each=1))
    assert facts.kind == "instances"
    assert facts.values is None
    assert (facts.ids, facts.components) == (8, 8)


def test_specks_do_not_make_classes_of_instances():
    labels = np.zeros((12, 20, 30), np.uint8)
    labels[:, :8], labels[:, 10:] = 1, 2
    labels[2::4, 2, 2::4], labels[2::4, 12, 2::4] = 2, 1
    facts = _facts(labels)
    assert facts.components > 20
    assert facts.kind == "instances"


def test_many_values_are_instances_however_scattered():
    assert _facts(_scattered(range(1, 22))).kind == "instances"


def test_declared_classes_need_no_components():
    labels = _scattered([1, 2, 3], each=1)
    assert _facts(labels).kind == "instances"
    assert _facts(labels, declared=True).kind == "classes"


def test_instances_of_several_volumes_are_different_objects():
    facts = _facts(_scattered(range(1, 9), each=1), _scattered(range(1, 5), each=1))
    assert facts.kind == "instances"
    assert (facts.ids, facts.components) == (12, 12)


def test_shares_of_several_volumes_are_weighted_by_voxels():
    facts = _facts(_scattered([255]), np.zeros((3, 4, 5), np.uint8))
    assert facts.values == pytest.approx({0: 1 - 40 / 7260, 255: 40 / 7260})


def test_unlabeled_values_and_sections_do_not_count():
    labels = _scattered([2]).astype(np.int16)
    labels[:, :, 15:] = -1
    labels[11] = 0
    facts = _facts(labels, unlabeled=Unlabeled((-1,), 0, (11,)))
    known = labels[:11, :, :15]
    assert facts.kind == "mask"
    assert facts.unlabeled_fraction == pytest.approx(1 - 11 * 15 / (12 * 30))
    assert facts.values == pytest.approx({0: (known == 0).mean(), 2: (known == 2).mean()})
    assert facts.foreground_fraction == pytest.approx((known == 2).mean())
    assert facts.components == ndimage.label(known == 2)[1]


def test_zero_may_be_the_unlabeled_value():
    facts = _facts(_scattered(range(1, 9), each=1), unlabeled=Unlabeled((0,), 0, ()))
    assert facts.foreground_fraction == 1
    assert facts.unlabeled_fraction == pytest.approx(1 - 64 / 7200)
    assert facts.ids == 8


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_unlabeled_sections_lie_along_the_axis_and_are_absolute(axis):
    box = Box((2, 3, 4), (8, 9, 10))
    known = Unlabeled((), axis, (1, 5, 30)).labelled(np.zeros(box.shape), box)
    gone = np.argwhere(~known)
    assert len(gone) == 36
    assert set(gone[:, axis]) == {5 - box.start[axis]}


def test_a_box_without_labelled_voxels_is_empty():
    table = _table(np.full((3, 4, 5), 9, np.uint8), Unlabeled((9,), 0, ()))
    assert table.counts == {}
    facts = label_facts([table], declared_classes=False)
    assert facts.foreground_fraction is None
    assert facts.unlabeled_fraction == 1


def test_large_ids_and_whole_floats_are_kept():
    labels = _scattered([1], each=1).astype(np.uint64) * (2**63 + 5)
    assert list(_table(labels).counts) == [0, 2**63 + 5]
    assert list(_table(_scattered([3]).astype(np.float32)).counts) == [0, 3]
    with pytest.raises(DataError, match=r"labels.h5:truth: labels must be whole numbers, found 0.5. Export them as integers."):
        _table(np.full((2, 2, 2), 0.5))


def test_inputs_are_unchanged():
    labels = _scattered([1, 2])
    before = labels.copy()
    _facts(labels, unlabeled=Unlabeled((2,), 0, (3,)))
    np.testing.assert_array_equal(labels, before)


def test_empty_labels_are_refused():
    volume = ArrayVolume(np.zeros((3, 4, 5), np.int16), source="labels/a.h5:seg")
    with pytest.raises(DataError, match=re.escape("labels/a.h5:seg: the labels are zero everywhere, there is nothing")) as error:
        refuse_empty(volume, ())
    assert "Give the labels that belong to this image" in str(error.value)
    volume.array_zyx[1] = -1
    with pytest.raises(DataError, match=re.escape("are zero or unlabeled (-1) everywhere")):
        refuse_empty(volume, (-1,))
    volume.array_zyx[2, 3, 4] = 1
    refuse_empty(volume, (-1,))
