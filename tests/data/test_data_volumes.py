import numpy as np
import pytest

from pytc_auto.data.volumes import LabelledVolume, open_volumes
from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.schema.dataset import Dataset

SHAPE = (5, 8, 11)


def ramp(axis, shape=SHAPE):
    return np.indices(shape)[axis].astype(np.uint8)


def volume(**fields):
    labels = (np.arange(np.prod(SHAPE)) + 1).reshape(SHAPE).astype(np.uint32)
    return LabelledVolume("small", ArrayVolume(ramp(2)), ArrayVolume(labels), **fields)


def test_the_image_is_reflected_at_the_border_of_the_region():
    region = Box((0, 0, 2), (5, 8, 7))
    got = volume().read_image(Box((0, 0, 0), (5, 8, 10)), within=region)
    assert got[0, 0].tolist() == [4, 3, 2, 3, 4, 5, 6, 5, 4, 3]
    whole = volume().read_image(Box((0, 0, -2), (5, 8, 3)))
    assert whole[0, 0].tolist() == [2, 1, 0, 1, 2]


def test_labels_end_at_the_border_of_the_region():
    region = Box((1, 2, 3), (4, 7, 9))
    box = Box((0, 1, 1), (5, 8, 10))
    got = volume().read_labels(box, within=region)
    inside = np.zeros(SHAPE, bool)
    inside[region.slices] = True
    np.testing.assert_array_equal(got.unlabeled_zyx, ~inside[box.slices])
    np.testing.assert_array_equal(got.labels_zyx, np.where(inside, volume().labels.array_zyx, 0)[box.slices])
    assert got.labels_zyx.dtype == np.uint32


def test_outside_of_the_volume_nothing_is_labeled():
    got = volume().read_labels(Box((-2, 0, 0), (2, 3, 4)))
    assert got.unlabeled_zyx[:2].all()
    assert not got.unlabeled_zyx[2:].any()
    far = volume().read_labels(Box((20, 0, 0), (22, 3, 4)))
    assert far.unlabeled_zyx.all()
    assert not far.labels_zyx.any()


@pytest.mark.parametrize("axis", range(3))
def test_blank_sections_are_unlabeled(axis):
    blank = volume(sections_axis=axis, unlabeled_sections=(1, 3))
    box = Box((1, 1, 1), (5, 6, 7))
    got = np.moveaxis(blank.read_labels(box).unlabeled_zyx, axis, 0)
    assert got.all(axis=(1, 2)).nonzero()[0].tolist() == [0, 2]
    assert got.any(axis=(1, 2)).nonzero()[0].tolist() == [0, 2]
    assert blank.labelled_voxels(box) == box.size * (box.shape[axis] - 2) // box.shape[axis]


def test_image_and_labels_must_have_the_same_shape():
    with pytest.raises(DataError, match=r"odd: the image has \[5, 8, 11\] voxels .*the labels have \[5, 8, 12\]"):
        LabelledVolume("odd", ArrayVolume(ramp(0)), ArrayVolume(ramp(0, (5, 8, 12))))


def write(folder, name, shape, **fields):
    paths = {}
    for kind, array in (("image", ramp(2, shape)), ("labels", ramp(0, shape).astype(np.uint32))):
        paths[kind] = str(folder / f"{name}_{kind}.npy")
        np.save(paths[kind], array)
    entry = {"name": name, "voxel_size_nm": [40.0, 5.0, 4.0], "axes": "zyx", "unlabeled_sections": []}
    return entry | paths | fields


def dataset(folder, *entries):
    raw = {"root": str(folder), "task": None, "unlabeled": [], "class_names": {}, "volumes": entries}
    return Dataset.model_validate(raw)


def test_labelled_volumes_are_opened_and_held_as_long_as_they_fit(tmp_path, make_plan):
    first = write(tmp_path, "first", SHAPE, unlabeled_sections=[2])
    second = write(tmp_path, "second", (6, 7, 9))
    bare = write(tmp_path, "bare", SHAPE, labels=None)
    size = np.prod(SHAPE) * 5
    got = open_volumes(dataset(tmp_path, first, bare, second), make_plan(), memory_bytes=float(size + 6 * 7 * 9))
    assert [v.name for v in got] == ["first", "second"]
    assert [v.shape for v in got] == [SHAPE, (6, 7, 9)]
    assert got[0].unlabeled_sections == (2,)
    held = [isinstance(part, ArrayVolume) for v in got for part in (v.image, v.labels)]
    assert held == [True, True, True, False]
    np.testing.assert_array_equal(got[1].read_labels(got[1].box).labels_zyx, ramp(0, (6, 7, 9)))
    np.testing.assert_array_equal(got[0].read_image(got[0].box), ramp(2))


def test_blank_sections_are_counted_on_the_working_grid(tmp_path, make_plan):
    entry = write(tmp_path, "fine", (12, 8, 9), voxel_size_nm=[4.0, 40.0, 5.0], unlabeled_sections=[3, 4, 7])
    plan = make_plan(working_scale=[1, 2, 1])
    (got,) = open_volumes(dataset(tmp_path, entry), plan, memory_bytes=1e6)
    assert got.shape == (12, 4, 9)
    assert got.sections_axis == 1
    assert got.unlabeled_sections == (1, 2, 3)


def test_a_data_set_without_labels_is_refused(tmp_path, make_plan):
    with pytest.raises(DataError, match="no volume has labels"):
        open_volumes(dataset(tmp_path, write(tmp_path, "bare", SHAPE, labels=None)), make_plan(), memory_bytes=0)
