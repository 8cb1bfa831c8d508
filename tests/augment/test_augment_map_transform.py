import numpy as np
import pytest
from monai.transforms import Compose, RandFlipd

from pytc_auto.augment.compose import augment
from pytc_auto.augment.crop import Crop
from pytc_auto.augment.map_transform import EmEffectsd
from pytc_auto.geometry import Symmetry
from pytc_auto.schema.augmentation import Augmentation, Effects

SIZE = (20.0, 5.0, 5.0)
EFFECTS = Effects.model_validate(
    {
        "section_shift": {"probability": 1.0, "shift_nm": 15.0},
        "missing_section": {"probability": 0.3},
        "noise": {"probability": 1.0, "sigma": 0.2},
    }
)


def sample(make_crop):
    crop = make_crop((6, 12, 14))
    return {"image": crop.image_zyx[None], "label": crop.labels_zyx[None], "name": "a"}


def test_it_gives_what_the_effects_give(make_crop):
    data = sample(make_crop)
    before = data["image"].copy(), data["label"].copy()
    got = EmEffectsd(["image", "label"], EFFECTS, SIZE).set_random_state(seed=5)(data)
    rng = np.random.default_rng(np.random.RandomState(5).randint(2**32, dtype=np.uint64))
    crop = Crop(data["image"][0], data["label"][0], np.zeros((6, 12, 14), bool))
    wanted = augment(crop, Augmentation(symmetries=1, effects=EFFECTS), [Symmetry()], SIZE, rng)
    np.testing.assert_array_equal(got["image"][0], wanted.image_zyx)
    np.testing.assert_array_equal(got["label"][0], wanted.labels_zyx)
    assert got["label"].dtype == np.uint64
    assert got["name"] == "a"
    for old, new in zip(before, (data["image"], data["label"]), strict=True):
        np.testing.assert_array_equal(old, new)


def test_it_stands_in_a_pipeline_of_monai(make_crop):
    keys = ["image", "label"]
    pipeline = Compose([EmEffectsd(keys, EFFECTS, SIZE, symmetric=True), RandFlipd(keys, prob=0.5, spatial_axis=1)])
    draws = [pipeline.set_random_state(seed=seed)(sample(make_crop)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0]["image"], draws[1]["image"])
    assert (np.asarray(draws[0]["image"]) != np.asarray(draws[2]["image"])).any()
    assert draws[0]["image"].shape == draws[0]["label"].shape == (1, 6, 12, 14)


def test_it_wants_an_image_and_labels():
    with pytest.raises(ValueError, match="keys are those of the image and of the labels, got"):
        EmEffectsd(["image"], EFFECTS, SIZE)
