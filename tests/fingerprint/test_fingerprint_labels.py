from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import ndimage

from pytc_auto.errors import DataError
from pytc_auto.fingerprint.labels import VolumeLabels, census_of, label_facts, read_labels, refuse_empty
from pytc_auto.fingerprint.unlabeled import Unlabeled
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume

NOWHERE = Unlabeled((), 0, ())


def _table(array, unlabeled=NOWHERE, size=(10.0, 10.0, 10.0)):
    volume = ArrayVolume(array, source="labels.h5:truth")
    return read_labels(volume, volume.box, unlabeled, size, np.random.default_rng(0))


def _volume(array, unlabeled=NOWHERE, size=(10.0, 10.0, 10.0), counted_from="voxels", edge=None):
    table = _table(array, unlabeled, size=size)
    return VolumeLabels([table], census_of([table], size), counted_from, size, array.size, edge, array.dtype)


def _facts(*arrays, unlabeled=NOWHERE, declared=False):
    return label_facts([_volume(a, unlabeled) for a in arrays], declared_classes=declared)


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
    labels, unlabeled = np.full((3, 4, 5), 9, np.uint8), Unlabeled((9,), 0, ())
    assert _table(labels, unlabeled).counts == {}
    facts = _facts(labels, unlabeled=unlabeled)
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


def _long(count=25, side=40, width=4):
    """Plates of ``width`` voxels that run through the whole box, with as much room between them."""
    labels = np.zeros((side, count * width * 2, side), np.uint16)
    for i in range(count):
        labels[:, 2 * i * width : (2 * i + 1) * width] = i + 1
    return labels


def test_ids_and_their_range():
    labels = _scattered([3], each=1).astype(np.uint32) * 5
    labels[:, 18:] = 70_000
    facts = _facts(labels)
    assert (facts.ids, facts.id_range, facts.components) == (2, (15, 70_000), 2)
    assert _facts(np.full((3, 4, 5), 9, np.uint8), unlabeled=Unlabeled((9,), 0, ())).id_range is None


def test_lines_are_skeletons():
    lines = np.zeros((30, 40, 50), np.uint16)
    for i in range(6):
        lines[4 * i + 2, 3:37, 8 * i + 3] = i + 1
    facts = _facts(lines)
    assert (facts.kind, facts.coverage) == ("skeletons", "sparse")
    lines[:, 3:37] = np.repeat(lines[2::4, 3:37][:7], 4, axis=0)[:1]
    thick = np.kron(lines[:, ::2], np.ones((1, 1, 4), int)).astype(np.uint16)
    assert _facts(thick).kind != "skeletons"


def test_dense_and_sparse():
    plates = _long()
    dense = np.where(plates == 0, np.roll(plates, 4, axis=1) + 100, plates)
    assert _facts(dense).coverage == "dense"
    few = np.where(plates % 3 == 1, plates, 0)
    few[:, :, :13] = 0
    assert _facts(np.kron(few, np.ones((1, 1, 3), int)).astype(np.uint16)).coverage == "sparse"
    assert _facts(_scattered(range(1, 9), each=1)).coverage is None


def test_what_was_counted_is_said():
    small, large = _scattered(range(1, 9), each=1), _long()
    volumes = [_volume(small), _volume(large, size=(20.0, 10.0, 10.0), counted_from="sample")]
    facts = label_facts(volumes, declared_classes=False)
    assert (facts.counted_from, facts.counted_at_nm) == ("sample", (20.0, 10.0, 10.0))
    assert facts.components is None
    assert facts.instances.broken_fraction is None
    assert facts.instances.tiny_fraction is None
    assert facts.ids == 8 + 25
    assert facts.sampled_fraction == 1


def test_candidates_for_unlabeled_are_told():
    labels = _scattered([1, 2, 3])
    labels[:, 18:] = 255
    facts = _facts(labels)
    assert [c.value for c in facts.ignore_candidates] == [255]
    assert facts.ignore_candidates[0].fraction == pytest.approx(0.1)
    edged = label_facts([_volume(_scattered([1, 2, 3]), edge=2)], declared_classes=False)
    assert [(c.value, c.reason) for c in edged.ignore_candidates] == [(2, "it fills whole sections or the rim")]
