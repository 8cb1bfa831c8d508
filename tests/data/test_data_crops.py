import pickle

import numpy as np
import pytest
import torch
from samples import region

from pytc_auto.data.crops import CropDataset, collate_crops, start_anywhere, start_around
from pytc_auto.data.folds import divide
from pytc_auto.data.intensity import normalize
from pytc_auto.data.volumes import LabelledVolume, whole_regions
from pytc_auto.errors import DataError, PlanError
from pytc_auto.geometry import AXES, Box
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.schema.plan import Intensity, SlabFolds

SHAPE = (9, 40, 60)


def neurons(shape=SHAPE, **fields):
    """Blocks of ids far above what a float holds."""
    coarse = np.random.default_rng(0).integers(0, 9, [-(-n // 5) for n in shape]).astype(np.uint64)
    labels = coarse.repeat(5, 0).repeat(5, 1).repeat(5, 2)[: shape[0], : shape[1], : shape[2]]
    labels[labels > 0] += np.uint64(2**60)
    image = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
    return LabelledVolume("small", ArrayVolume(image), ArrayVolume(labels), **fields)


def coded(shape, axis):
    """Image and class are the position along an axis."""
    position = np.broadcast_to(np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(3)]), shape).astype(np.uint8)
    values = {i: str(i) for i in range(shape[axis])}
    head = {"kind": "classes", "class_weights": [1.0] * len(values), "loss": "dice_ce", "weight": 1.0}
    labels = {"kind": "classes", "values": values, "unlabeled": []}
    volume = LabelledVolume("coded", ArrayVolume(position), ArrayVolume(position))
    return volume, {"labels": labels, "heads": [head], "task": "classes"}


def whole(volume):
    return whole_regions([volume])


def test_a_crop_has_an_image_and_one_target_per_head(make_plan, all_effects):
    plan = make_plan(effects=all_effects)
    volume = neurons()
    before = volume.image.array_zyx.copy(), volume.labels.array_zyx.copy()
    crops = CropDataset([volume], plan, whole(volume))
    assert len(crops) == 10
    for index in range(len(crops)):
        crop = crops[index]
        assert crop["image"].shape == (1, 4, 12, 16)
        assert crop["image"].dtype == torch.float32
        assert torch.isfinite(crop["image"]).all()
        (target,) = crop["targets"]
        assert target["values"].shape == target["mask"].shape == (6, 4, 12, 16)
        assert target["values"].dtype == torch.uint8
        assert target["mask"].dtype == torch.bool
    np.testing.assert_array_equal(volume.image.array_zyx, before[0])
    np.testing.assert_array_equal(volume.labels.array_zyx, before[1])


def same(a, b):
    parts = zip(a["targets"], b["targets"], strict=True)
    return torch.equal(a["image"], b["image"]) and all(torch.equal(x[k], y[k]) for x, y in parts for k in ("values", "mask"))


def test_a_crop_depends_on_seed_and_number_alone(make_plan, all_effects):
    volume = neurons()
    plan = make_plan(effects=all_effects, sampling={"foreground_share": 0.5})
    first = CropDataset([volume], plan, whole(volume))
    forward = [first[i] for i in range(10)]
    second = pickle.loads(pickle.dumps(CropDataset([volume], plan, whole(volume))))
    assert all(same(second[i], forward[i]) for i in reversed(range(10)))
    other = CropDataset([volume], make_plan(effects=all_effects, sampling={"foreground_share": 0.5, "seed": 8}), whole(volume))
    assert not any(same(other[i], forward[i]) for i in range(10))


def test_a_plain_crop_is_what_the_volume_holds(make_plan):
    volume, fields = coded((9, 40, 60), 2)
    crops = CropDataset([volume], make_plan(**fields, intensity={"clip": [3, 50], "scale": [20.0, 4.0]}), whole(volume))
    starts = set()
    for index in range(10):
        crop = crops[index]
        classes = crop["targets"][0]["values"][0].numpy()
        starts.add(int(classes[0, 0, 0]))
        assert (np.diff(classes[0, 0].astype(int)) == 1).all()
        wanted = (np.clip(classes.astype(np.float32), 3, 50) - 20) / 4
        np.testing.assert_allclose(crop["image"][0].numpy(), wanted, rtol=1e-6)
    assert len(starts) > 5


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize(("count", "fold"), [(1, 0), (4, 0), (4, 2)])
def test_nothing_of_the_validation_slab_is_seen(axis, count, fold, make_plan, all_effects, no_effects):
    """The position along the cut axis is written into image and labels."""
    shape = [26, 30, 34]
    shape[axis] = 100
    volume, fields = coded(tuple(shape), axis)
    effects = no_effects | {
        "affine": all_effects["affine"] | {"probability": 0.7},
        "section_shift": {"probability": 0.7, "shift_nm": 30},
    }
    plan = make_plan(**fields, patch=[12, 16, 16], effects=effects, sampling={"foreground_share": 0.5, "steps": 40})
    folds = SlabFolds(kind="slab", axis=AXES[axis], count=count, train=0.6, guard=3)
    division = divide(folds, whole_regions([volume]), fold)
    allowed = np.zeros(100, bool)
    for part in division.training:
        allowed[part.box.start[axis] : part.box.stop[axis]] = True
    crops = CropDataset([volume], plan, division.training)
    gray, classes = set(), set()
    for index in range(len(crops)):
        crop = crops[index]
        (target,) = crop["targets"]
        classes |= set(target["values"][target["mask"]].tolist())
        gray |= set(np.unique(np.floor(crop["image"].numpy() + 1e-3)).astype(int)) | set(
            np.unique(np.ceil(crop["image"].numpy() - 1e-3)).astype(int)
        )
    assert allowed[list(classes)].all()
    assert allowed[list(gray)].all()
    assert len(classes) > 0.7 * allowed.sum()
    assert len(gray) > 0.7 * allowed.sum()


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize(("count", "fold"), [(1, 0), (4, 0), (4, 2)])
def test_around_a_label_box_only_the_own_side_is_seen(axis, count, fold, make_plan, all_effects, no_effects):
    """Labels for the middle of the image; the position along the cut axis is written into both."""
    shape, start, stop = [26, 30, 34], [7, 5, 3], [19, 24, 30]
    shape[axis], start[axis], stop[axis] = 120, 23, 103
    whole, fields = coded(tuple(shape), axis)
    box = Box(tuple(start), tuple(stop))
    volume = LabelledVolume("box", whole.image, ArrayVolume(whole.labels.read(box)), labels_start=box.start)
    effects = no_effects | {"affine": all_effects["affine"] | {"probability": 0.9}}
    plan = make_plan(**fields, patch=[12, 16, 16], effects=effects, sampling={"foreground_share": 0.5, "steps": 80})
    division = divide(SlabFolds(kind="slab", axis=AXES[axis], count=count, train=0.6, guard=3), whole_regions([volume]), fold)
    held = division.validation[0].box
    hidden = range(held.start[axis] - 3, held.stop[axis] + 3)
    seen = set(range(120)) - set(hidden)
    seen -= set(range(hidden.stop, 120)) if hidden.stop >= 103 else set()
    seen -= set(range(hidden.start)) if hidden.start <= 23 else set()
    crops = CropDataset([volume], plan, division.training)
    gray, classes = set(), set()
    for index in range(len(crops)):
        crop = crops[index]
        (target,) = crop["targets"]
        classes |= set(target["values"][target["mask"]].tolist())
        values = crop["image"].numpy()
        gray |= set(np.unique(np.floor(values + 1e-3)).astype(int)) | set(np.unique(np.ceil(values - 1e-3)).astype(int))
    assert classes <= seen & set(range(23, 103))
    assert gray <= seen
    assert gray - set(range(23, 103)), "the rim is shown"
    assert len(classes) > 0.7 * len(seen & set(range(23, 103)))


def test_a_patch_larger_than_the_labels_shows_the_image_around_them(make_plan):
    volume, fields = coded((9, 40, 60), 2)
    box = Box((2, 10, 50), (6, 30, 56))
    inside = LabelledVolume("box", volume.image, ArrayVolume(volume.labels.read(box)), labels_start=box.start)
    crops = CropDataset([inside], make_plan(**fields), whole_regions([inside]))
    starts = set()
    for index in range(10):
        gray = crops[index]["image"][0].numpy()[0, 0]
        mask = crops[index]["targets"][0]["mask"][0].numpy()
        assert (np.diff(gray) == 1).all(), "nothing is reflected"
        assert mask[:, :, (gray >= 50) & (gray < 56)].all()
        assert not mask[:, :, (gray < 50) | (gray >= 56)].any()
        starts.add(int(gray[0]))
    assert starts <= set(range(40, 45))
    assert len(starts) > 2


@pytest.mark.parametrize("axis", range(3))
def test_a_region_thinner_than_the_patch_is_padded(axis, make_plan):
    volume, fields = coded((9, 40, 60), 2)
    start, stop = [0, 0, 0], [9, 40, 60]
    start[axis], stop[axis] = 2, 5
    crops = CropDataset([volume], make_plan(**fields), [region(Box(tuple(start), tuple(stop)))])
    places = set()
    for index in range(10):
        mask = crops[index]["targets"][0]["mask"][0].numpy()
        lines = np.moveaxis(mask, axis, 0)
        assert lines.any(axis=(1, 2)).sum() == lines.all(axis=(1, 2)).sum() == 3
        places.add(int(lines.any(axis=(1, 2)).argmax()))
    assert len(places) > 1


def test_a_rare_class_is_found_at_the_wanted_share(make_plan):
    labels = np.zeros((9, 200, 200), np.uint8)
    labels[:, ::2] = 1
    labels[3, 30, 150] = labels[7, 190, 5] = 2
    volume = LabelledVolume("rare", ArrayVolume(labels), ArrayVolume(labels))
    head = {"kind": "classes", "class_weights": [1.0] * 3, "loss": "dice_ce", "weight": 1.0}
    fields = {
        "labels": {"kind": "classes", "values": {0: "out", 1: "common", 2: "rare"}, "unlabeled": []},
        "heads": [head],
        "task": "classes",
    }

    def share(wanted):
        plan = make_plan(**fields, sampling={"foreground_share": wanted, "steps": 300})
        crops = CropDataset([volume], plan, whole(volume))
        hits = [crops[i]["targets"][0]["values"][0] == 2 for i in range(300)]
        return np.mean([bool(h.any()) for h in hits]), [np.argwhere(h.numpy())[0] for h in hits if h.any()]

    assert share(0.0)[0] < 0.04
    found, places = share(0.6)
    assert 0.22 < found < 0.38
    assert np.ptp(places, axis=0).tolist() >= [2, 8, 8]


def test_regions_are_drawn_by_their_labelled_voxels(make_plan):
    volume = neurons((20, 40, 60), unlabeled_sections=tuple(range(10, 20)))
    regions = [region(Box((0, 0, 0), (10, 40, 60))), region(Box((10, 0, 0), (20, 40, 60)))]
    crops = CropDataset([volume], make_plan(sampling={"steps": 40}), regions)
    assert all(crops[i]["targets"][0]["mask"].any() for i in range(40))


def test_a_crop_without_labels_is_drawn_again(make_plan):
    labels = np.full((9, 40, 200), 99, np.uint8)
    labels[:, :, 100:120] = 1
    volume = LabelledVolume("sparse", ArrayVolume(labels), ArrayVolume(labels))
    plan = make_plan(labels={"kind": "instances", "background": [0], "unlabeled": [99], "erode_nm": 0.0}, sampling={"steps": 40})
    crops = CropDataset([volume], plan, whole(volume))
    assert all(crops[i]["targets"][0]["mask"].any() for i in range(40))


def test_regions_without_labels_are_refused(make_plan):
    volume = neurons(unlabeled_sections=tuple(range(9)))
    with pytest.raises(DataError, match="small: the training regions hold no label"):
        CropDataset([volume], make_plan(), whole(volume))


def test_a_number_of_symmetries_that_cannot_be_is_refused(make_plan):
    volume = neurons()
    plan = make_plan()
    group = len(plan.symmetry_group)
    assert group == 8
    for wanted in (1, group):
        CropDataset([volume], plan.replace(augmentation=plan.augmentation.replace(symmetries=wanted)), whole(volume))
    with pytest.raises(PlanError, match=r"augmentation.symmetries is 3, .* allow 8. Use 8 for all of them or 1 for none"):
        CropDataset([volume], plan.replace(augmentation=plan.augmentation.replace(symmetries=3)), whole(volume))


def test_starts_are_uniform_and_around_the_voxel():
    rng = np.random.default_rng(0)
    part, patch = region(Box((2, 5, 10), (6, 25, 60))), (4, 8, 60)
    starts = np.array([start_anywhere(part, patch, rng) for _ in range(500)])
    assert starts.min(axis=0).tolist() == [2, 5, 0]
    assert starts.max(axis=0).tolist() == [2, 17, 10]
    around = np.array([start_around((3, 6, 59), part, patch, rng) for _ in range(500)])
    assert around.min(axis=0).tolist() == [2, 5, 0]
    assert around.max(axis=0).tolist() == [2, 6, 10]
    wide = region(part.box, Box((0, 0, 4), (9, 40, 61)))
    starts = np.array([start_anywhere(wide, (5, 8, 58), rng) for _ in range(500)])
    assert starts.min(axis=0).tolist() == [1, 5, 3]
    assert starts.max(axis=0).tolist() == [2, 17, 4]
    middle = np.array([start_around((3, 15, 20), part, patch, rng) for _ in range(500)])
    assert sorted(set(middle[:, 1].tolist())) == list(range(8, 16))


def test_crops_are_stacked(make_plan):
    volume = neurons()
    crops = CropDataset([volume], make_plan(), whole(volume))
    batch = collate_crops([crops[0], crops[1]])
    assert batch["image"].shape == (2, 1, 4, 12, 16)
    assert isinstance(batch["targets"], tuple)
    assert torch.equal(batch["targets"][0]["values"][1], crops[1]["targets"][0]["values"])
    assert batch["targets"][0]["mask"].dtype == torch.bool


def test_normalize_clips_subtracts_and_divides():
    image = np.array([[0, 10, 300]], np.uint16)
    got = normalize(image, Intensity(clip=(5, 200), scale=(20.0, 10.0)))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [[-1.5, -1.0, 18.0]])
    assert image.tolist() == [[0, 10, 300]]
