import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytc_auto.data.intensity import normalize
from pytc_auto.errors import DataError, ModelError
from pytc_auto.geometry import Box, blocks, patch_grid
from pytc_auto.inference.gaussian import gaussian_weights
from pytc_auto.inference.predict import predict_box
from pytc_auto.inference.window import Predictor, _normalized, patches_meeting
from pytc_auto.inference.window_size import window_plan
from pytc_auto.io.predictions import to_uint8
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.models.build import build_network
from pytc_auto.models.precision import half_precision

FOREGROUND = [{"kind": "foreground", "width_nm": 0.0, "loss": "dice_bce", "weight": 1.0}]
FLAT = {
    "kind": "unet",
    "features": [4, 8],
    "strides": [[1, 1, 1], [1, 2, 2]],
    "kernels": [[1, 3, 3], [1, 3, 3]],
    "blocks": [1, 1],
}
CASES = {
    "isotropic": ((18, 23, 29), {}),
    "anisotropic": (
        (9, 21, 34),
        {"voxel_size_nm": [40.0, 8.0, 5.0], "patch": [4, 10, 16], "network": FLAT, "heads": FOREGROUND},
    ),
    "thinner than the patch": ((5, 20, 11), {"voxel_size_nm": [9.0, 8.0, 8.0]}),
    "no overlap": ((17, 8, 25), {"overlap": 0.0, "patch": [8, 8, 8], "heads": FOREGROUND}),
    "symmetric": ((12, 9, 20), {"symmetries": 4, "patch": [8, 8, 8]}),
}
ODD_BLOCKS = [(7, 11, 13), (5, 40, 17), (18, 9, 19)]


class Counting(ArrayVolume):
    def __init__(self, array_zyx):
        super().__init__(array_zyx)
        self.boxes = []

    def _read(self, box):
        self.boxes.append(box)
        return super()._read(box)


class Constant(torch.nn.Module):
    def __init__(self, value, channels):
        super().__init__()
        self.value, self.channels = value, channels

    def forward(self, x):
        return torch.full((1, self.channels, *x.shape[2:]), self.value)


def an_image(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def a_network(plan, seed=0):
    torch.manual_seed(seed)
    return build_network(plan)


def slow_blend(networks, image_zyx, plan):
    """Every patch of the grid on the padded, normalized volume, summed in float64."""
    plan = window_plan(plan, image_zyx.shape)
    values = normalize(image_zyx, plan.intensity)
    pad = [(0, max(0, p - n)) for p, n in zip(plan.patch, values.shape, strict=True)]
    values = np.pad(values, pad, mode="reflect")
    total, weight = np.zeros((plan.channels, *values.shape)), np.zeros(values.shape)
    gaussian = gaussian_weights(plan.patch).astype(np.float64)
    with torch.no_grad():
        for patch in patch_grid(image_zyx.shape, plan.patch, plan.inference.overlap):
            inputs = torch.from_numpy(values[patch.slices].copy())[None, None]
            logits = np.mean([n.eval()(inputs)[0].numpy() for n in networks], axis=0)
            total[(slice(None), *patch.slices)] += logits * gaussian
            weight[patch.slices] += gaussian
    return (total / weight)[(slice(None), *Box.of_shape(image_zyx.shape).slices)]


@pytest.mark.parametrize("name", [n for n in CASES if n != "symmetric"])
def test_whole_equals_the_slow_blend(make_plan, name):
    shape, fields = CASES[name]
    plan = make_plan(**fields)
    network, image_zyx = a_network(plan), an_image(shape)
    before = image_zyx.copy()
    logits = predict_box([network], ArrayVolume(image_zyx), plan, Box.of_shape(shape))
    assert logits.dtype == np.float32
    assert logits.shape == (plan.channels, *shape)
    assert logits.std() > 0.01
    np.testing.assert_allclose(logits, slow_blend([network], image_zyx, plan), atol=1e-4)
    np.testing.assert_array_equal(image_zyx, before)


@pytest.mark.parametrize("block", ODD_BLOCKS)
@pytest.mark.parametrize("name", CASES)
def test_blocks_equal_the_whole(make_plan, name, block):
    shape, fields = CASES[name]
    plan = make_plan(**fields)
    network, image = a_network(plan), ArrayVolume(an_image(shape))
    whole = predict_box([network], image, plan, image.box)
    joined = np.full_like(whole, np.nan)
    for box in blocks(image.box, block):
        joined[(slice(None), *box.slices)] = predict_box([network], image, plan, box)
    np.testing.assert_allclose(joined, whole, atol=1e-4)
    steps = to_uint8(joined, plan.heads).astype(int) - to_uint8(whole, plan.heads)
    assert np.abs(steps).max() <= 1


extents = st.tuples(*[st.integers(1, 22)] * 3)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=extents, block=extents, overlap=st.sampled_from([0.0, 0.25, 0.5, 0.7]), seed=st.integers(0, 9))
def test_any_blocks_of_any_volume_equal_the_whole(make_plan, shape, block, overlap, seed):
    plan = make_plan(overlap=overlap, patch=[8, 12, 8], heads=FOREGROUND)
    predictor, image = Predictor([a_network(plan, seed)], plan), ArrayVolume(an_image(shape, seed))
    whole = to_uint8(predictor.predict(image, image.box), plan.heads).astype(int)
    for box in blocks(image.box, block):
        part = to_uint8(predictor.predict(image, box), plan.heads)
        assert np.abs(part - whole[(slice(None), *box.slices)]).max() <= 1


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.75])
@pytest.mark.parametrize("shape", [(40, 33, 70), (5, 16, 17), (16, 64, 3)])
def test_patches_meeting_a_box_are_those_of_the_grid(make_plan, shape, overlap):
    plan = make_plan(overlap=overlap)
    grid = patch_grid(shape, plan.patch, overlap)
    for box in blocks(Box.of_shape(shape), (11, 7, 9)):
        assert patches_meeting(shape, plan, box) == [p for p in grid if p.intersect(box).size]


def test_reads_once_and_no_more_than_the_halo(make_plan):
    plan = make_plan(heads=FOREGROUND)
    image = Counting(an_image((60, 50, 70)))
    box = Box((20, 24, 30), (27, 30, 35))
    predict_box([Constant(0.5, 1)], image, plan, box)
    assert len(image.boxes) == 1
    assert box.grow([15] * 3).contains(image.boxes[0])


def test_members_are_averaged_as_logits(make_plan):
    plan = make_plan(heads=FOREGROUND)
    image = ArrayVolume(an_image((16, 20, 24)))
    networks = [a_network(plan, seed) for seed in (1, 2, 3)]
    mean = np.mean([predict_box([n], image, plan, image.box) for n in networks], axis=0)
    np.testing.assert_allclose(predict_box(networks, image, plan, image.box), mean, atol=1e-5)
    assert np.abs(mean - predict_box(networks[:1], image, plan, image.box)).max() > 0.01


def test_symmetries_replace_the_plan_s(make_plan):
    plan, more = make_plan(patch=[8, 8, 8]), make_plan(patch=[8, 8, 8], symmetries=3)
    image, network = ArrayVolume(an_image((10, 9, 8))), a_network(plan)
    asked = predict_box([network], image, plan, image.box, symmetries=3)
    np.testing.assert_array_equal(asked, predict_box([network], image, more, image.box))
    assert np.abs(asked - predict_box([network], image, plan, image.box)).max() > 0.01


def test_networks_are_left_as_they_were(make_plan):
    plan = make_plan(heads=FOREGROUND)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 1, 1), torch.nn.Dropout(0.9))
    network.train()
    network[0].eval()
    image = ArrayVolume(an_image((16, 16, 16)))
    first, second = (predict_box([network], image, plan, image.box) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert [m.training for m in network.modules()] == [True, False, True]


def test_progress_ends_at_one(make_plan):
    plan, seen = make_plan(heads=FOREGROUND), []
    image = ArrayVolume(an_image((20, 16, 40)))
    predict_box([Constant(0.0, 1)], image, plan, image.box, progress=seen.append)
    assert len(seen) == 2 * 4
    assert seen == sorted(seen)
    assert seen[-1] == 1


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i8", "f4", "f8", "?"])
def test_gray_values_are_normalized_as_in_training(make_plan, dtype):
    intensity = make_plan(intensity={"clip": [3.5, 97.0], "scale": [41.3, 7.7]}).intensity
    gray_zyx = np.random.default_rng(0).integers(0, 120, (4, 5, 6)).astype(dtype)
    before = gray_zyx.copy()
    found = _normalized(torch.from_numpy(gray_zyx)[1:, :, 2:], intensity)
    np.testing.assert_array_equal(found.numpy(), normalize(gray_zyx[1:, :, 2:], intensity))
    np.testing.assert_array_equal(gray_zyx, before)


def test_precision_is_the_plan_s(make_plan):
    image = ArrayVolume(an_image((16, 16, 16)))
    results = {}
    for precision in ("fp32", "bf16", "fp16"):
        plan = make_plan(precision=precision)
        results[precision] = predict_box([a_network(plan)], image, plan, image.box)
    difference = np.abs(results["bf16"] - results["fp32"])
    assert (difference.max() > 0) == (half_precision("cpu") == "bf16")
    assert difference.max() < 0.1
    np.testing.assert_array_equal(results["fp16"], results["fp32"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_name_the_box(make_plan, value):
    plan = make_plan(heads=FOREGROUND)
    image = ArrayVolume(an_image((16, 16, 20)), source="cell.h5:raw")
    with pytest.raises(ModelError, match=r"cell\.h5:raw: box \[0:16, 0:16, 4:9\]: the network gave NaN"):
        predict_box([Constant(value, 1)], image, plan, Box((0, 0, 4), (16, 16, 9)))


def test_gray_values_that_are_not_finite_are_refused(make_plan):
    plan = make_plan(heads=FOREGROUND)
    image_zyx = an_image((16, 16, 16)).astype(np.float32)
    image_zyx[3, 4, 5] = np.nan
    with pytest.raises(DataError, match="memory: NaN or infinite gray values"):
        predict_box([Constant(0.0, 1)], ArrayVolume(image_zyx), plan, Box.of_shape((16, 16, 16)))


def test_nothing_to_predict_is_refused(make_plan):
    plan = make_plan(heads=FOREGROUND)
    image = ArrayVolume(an_image((16, 16, 16)))
    for box in (Box((0, 0, 0), (0, 4, 4)), Box((0, 0, 0), (17, 4, 4))):
        with pytest.raises(ValueError, match="empty or not inside"):
            predict_box([Constant(0.0, 1)], image, plan, box)
    with pytest.raises(ModelError, match="no network"):
        predict_box([], image, plan, image.box)
