import numpy as np
import pytest

from pytc_auto.data.folds import Region
from pytc_auto.data.volumes import LabelledVolume, open_volumes, whole_regions
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


def test_labels_must_lie_inside_the_image():
    with pytest.raises(DataError, match=r"odd: the image has \[5, 8, 11\] voxels .*the labels have \[5, 8, 12\]"):
        LabelledVolume("odd", ArrayVolume(ramp(0)), ArrayVolume(ramp(0, (5, 8, 12))))
    with pytest.raises(DataError, match=r"the labels have \[4, 8, 11\] from \[2, 0, 0\] on .* Run pytc plan again"):
        LabelledVolume("odd", ArrayVolume(ramp(0)), ArrayVolume(ramp(0, (4, 8, 11))), labels_start=(2, 0, 0))


def test_around_a_label_box_all_is_unlabeled():
    start, shape = (1, 3, 2), (3, 4, 7)
    labels = (np.arange(np.prod(shape)) + 1).reshape(shape)
    boxed = LabelledVolume("box", ArrayVolume(ramp(2)), ArrayVolume(labels), 0, (2,), start)
    wanted = np.zeros(SHAPE, int)
    wanted[boxed.labelled.slices] = labels
    assert (boxed.shape, boxed.labelled) == (SHAPE, Box((1, 3, 2), (4, 7, 9)))
    for box in (boxed.box, Box((0, 4, 1), (3, 9, 12)), Box((2, 4, 3), (3, 6, 8))):
        got = boxed.read_labels(box)
        known = np.zeros(box.shape, bool)
        inside = box.intersect(boxed.box)
        known[inside.relative_to(box.start).slices] = wanted[inside.slices] > 0
        known[2 - box.start[0]] = False
        np.testing.assert_array_equal(got.unlabeled_zyx, ~known)
        np.testing.assert_array_equal(got.labels_zyx[known], wanted[inside.slices][known[inside.relative_to(box.start).slices]])
    np.testing.assert_array_equal(boxed.read_image(boxed.box), ramp(2))
    assert boxed.labelled_voxels(boxed.labelled) == 2 * 4 * 7
    assert whole_regions([boxed, volume()]) == (Region(0, boxed.labelled, boxed.box), Region(1, boxed.box, boxed.box))


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


def test_a_label_box_is_found_again_on_the_working_grid(tmp_path, make_plan):
    """The position is written into image and labels: the same fine voxel, nearest the center, must meet in both."""
    plan = make_plan(working_scale=[1, 3, 2])
    entry = write(tmp_path, "padded", (6, 27, 21), labels_start=[2, 4, 3], unlabeled_sections=[3])
    position = np.arange(6 * 27 * 21, dtype=np.uint32).reshape(6, 27, 21)
    np.save(entry["labels"], position[2:5, 4:23, 3:18])
    (got,) = open_volumes(dataset(tmp_path, entry), plan, memory_bytes=1e6)
    assert got.shape == (6, 9, 11)
    assert got.labelled == Box((2, 2, 2), (5, 8, 9))
    assert got.unlabeled_sections == (3,)
    read = got.read_labels(got.labelled)
    nearest = np.ix_(range(2, 5), np.minimum(np.arange(6, 24, 3) + 1, 22), np.arange(4, 18, 2))
    np.testing.assert_array_equal(read.labels_zyx, position[nearest])
    np.testing.assert_array_equal(read.unlabeled_zyx.any(axis=(1, 2)), [False, True, False])


def test_labels_thinner_than_a_working_voxel_are_refused(tmp_path, make_plan):
    entry = write(tmp_path, "thin", SHAPE, labels_start=[0, 3, 0])
    np.save(entry["labels"], np.ones((5, 1, 11), np.uint8))
    with pytest.raises(
        DataError, match=r"thin: the labels have \[5, 1, 11\] voxels, too few for the plan's working_scale \[1, 2, 2\]"
    ):
        open_volumes(dataset(tmp_path, entry), make_plan(working_scale=[1, 2, 2]), memory_bytes=0)


def test_image_and_labels_of_two_voxel_sizes_meet_on_the_coarser_grid(tmp_path, make_plan):
    entry = write(tmp_path, "two", (4, 12, 18), image_scale=[1, 2, 3], labels_scale=[2, 1, 1])
    np.save(entry["labels"], np.arange(8 * 6 * 6, dtype=np.uint16).reshape(8, 6, 6))
    (got,) = open_volumes(dataset(tmp_path, entry), make_plan(), memory_bytes=1e6)
    assert got.shape == got.labels.shape == (4, 6, 6)
    assert got.image.voxel_size_nm == got.labels.voxel_size_nm == (40.0, 5.0, 4.0)
    np.testing.assert_array_equal(got.read_image(got.box)[0, 0], [1, 4, 7, 10, 13, 16])
    np.testing.assert_array_equal(got.read_labels(got.box).labels_zyx[:, 0, 0], [0, 72, 144, 216])


def test_a_data_set_without_labels_is_refused(tmp_path, make_plan):
    with pytest.raises(DataError, match="no volume has labels"):
        open_volumes(dataset(tmp_path, write(tmp_path, "bare", SHAPE, labels=None)), make_plan(), memory_bytes=0)


def test_what_a_mask_leaves_out_is_unlabeled(tmp_path, make_plan):
    inside = np.zeros(SHAPE, np.uint8)
    inside[1:, 3:, 4:9] = 255
    np.save(tmp_path / "mask.npy", inside)
    entry = write(tmp_path, "masked", SHAPE, mask=str(tmp_path / "mask.npy"), unlabeled_sections=[2])
    for memory in (0.0, 1e9):
        (got,) = open_volumes(dataset(tmp_path, entry), make_plan(), memory_bytes=memory)
        read = got.read_labels(Box((0, 1, 2), (4, 6, 9)))
        wanted = inside[:4, 1:6, 2:9] == 0
        wanted[2] = True
        np.testing.assert_array_equal(read.unlabeled_zyx, wanted)
        np.testing.assert_array_equal(read.labels_zyx, ramp(0)[:4, 1:6, 2:9])
    (coarse,) = open_volumes(dataset(tmp_path, entry), make_plan(working_scale=[1, 2, 1]), memory_bytes=0.0)
    assert coarse.mask.shape == coarse.shape


def test_a_mask_of_another_shape_is_refused(tmp_path, make_plan):
    np.save(tmp_path / "mask.npy", np.ones((3, 4, 5), np.uint8))
    entry = write(tmp_path, "odd", SHAPE, mask=str(tmp_path / "mask.npy"))
    with pytest.raises(DataError, match=r"odd: the image has .* but the mask has \[3, 4, 5\]"):
        open_volumes(dataset(tmp_path, entry), make_plan(), memory_bytes=0.0)


def test_gray_values_that_are_no_numbers_never_reach_a_crop(tmp_path, make_plan):
    entry = write(tmp_path, "lost", (8, 16, 18))
    raw = np.random.default_rng(0).random((8, 16, 18)).astype(np.float32) * 200
    raw[2], raw[3, 4, 5], raw[3, 4, 6] = np.nan, np.inf, -np.inf
    np.save(entry["image"], raw)
    for scale, held in (([1, 1, 1], 1e6), ([1, 1, 1], 0.0), ([1, 2, 2], 1e6)):
        plan = make_plan(working_scale=scale)
        (got,) = open_volumes(dataset(tmp_path, entry), plan, memory_bytes=held)
        image = got.read_image(got.box)
        assert np.isfinite(image).all()
        assert np.allclose(image[2], plan.intensity.scale[0])
        if scale == [1, 1, 1]:
            assert (image[3, 4, 5], image[3, 4, 6]) == (plan.intensity.clip[1], plan.intensity.clip[0])
