"""Against v1's test loop, written down step by step for a whole volume."""

import numpy as np
import pytest
import torch
from samples import FOREGROUND, small_plan
from tests_v1 import WAY, close, v1_predicts, v1_weights
from torch import nn

from pytc_auto.errors import DataError, ModelError
from pytc_auto.geometry import Box, blocks
from pytc_auto.inference.predict import predict_box, predictor, stored
from pytc_auto.inference.weights_v1 import window_weights
from pytc_auto.io.volume import ArrayVolume

BOUNDARY = {**FOREGROUND, "kind": "boundary", "width_nm": 16.0}
DISTANCE = {"kind": "signed_distance", "scale_nm": 64.0, "loss": "mse", "weight": 1.0}
SIDES = {"kind": "polarity", "loss": "dice_bce", "weight": 1.0}


def v1_plan(heads=(FOREGROUND, BOUNDARY, DISTANCE), intensity=None, **way):
    bytes_ = {"clip": [0, 255], "scale": [127.5, 127.5], "range": "volume"}
    decoder = {"kinds": ["polarity" if heads[0] is SIDES else "components"], "grid": {}, "metric": "ap"}
    return small_plan(heads=list(heads), intensity=intensity or bytes_, inference={**WAY, **way}, decoder=decoder)


def network(channels, seed=0):
    """Its output depends on where in the window a voxel lies, and on each axis in another way."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ELU(), nn.Conv3d(4, channels, 3, padding=1)).eval()


def three(logits):
    return torch.cat([torch.sigmoid(logits[:, :2]), (torch.tanh(logits[:, 2:]) + 1) / 2], 1)


def gray(shape, dtype=np.uint8, seed=0):
    values = np.random.default_rng(seed).random(shape)
    return (values * 255).astype(dtype) if dtype == np.uint8 else (values * 3000 + 17).astype(dtype)


def predicted(model, raw_zyx, plan):
    image = ArrayVolume(raw_zyx)
    return stored(predict_box([model], image, plan, image.box), plan)


@pytest.mark.parametrize(
    ("shape", "way"),
    [
        ((7, 14, 17), {}),
        ((9, 11, 23), {"blending": "v1_bump", "pad_mode": "edge"}),
        ((6, 16, 12), {"symmetries": 4, "merge": "min", "pad": [[0, 0], [2, 1], [3, 0]]}),
        ((8, 13, 15), {"symmetries": 8, "merge": "max", "pad_mode": "symmetric"}),
        ((11, 12, 10), {"symmetries": 16, "pad_mode": "wrap", "stride": [5, 9, 9]}),
        ((7, 10, 19), {"symmetries": 8, "patch": [3, 8, 12], "pad_mode": "constant"}),
    ],
)
def test_a_volume_is_predicted_as_v1_did(shape, way):
    plan, model = v1_plan(**way), network(3)
    theirs = v1_predicts(model, gray(shape), plan, three)
    assert close(predicted(model, gray(shape), plan), theirs)
    assert len(np.unique(theirs)) > 20


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_values_that_are_no_bytes_are_spread_over_the_volumes_range(dtype):
    plan, model, raw = v1_plan(), network(3), gray((7, 12, 14), dtype)
    assert close(predicted(model, raw, plan), v1_predicts(model, raw, plan, three))


def test_a_single_section_has_v1s_weights_and_no_flip_of_z():
    plan, model = v1_plan(patch=[1, 9, 9], stride=[1, 4, 4], pad=[[0, 0], [3, 3], [3, 3]], symmetries=16), network(3)
    raw = gray((1, 15, 18))
    eight = v1_plan(patch=[1, 9, 9], stride=[1, 4, 4], pad=[[0, 0], [3, 3], [3, 3]], symmetries=8)
    assert close(predicted(model, raw, plan), v1_predicts(model, raw, eight, three))
    assert window_weights((1, 9, 9), "v1_gaussian").max() < 2e-4


@pytest.mark.parametrize("merge", ["min", "max", "mean"])
@pytest.mark.parametrize("activation", ["softmax", "relu", "elu", "none"])
def test_other_activations(activation, merge):
    acts = {
        "softmax": lambda x: x.softmax(1),
        "relu": torch.relu,
        "elu": torch.nn.functional.elu,
        "none": lambda x: x,
    }
    plan = v1_plan([SIDES], activations=[activation], merge=merge, symmetries=4)
    model, raw = network(3), gray((6, 10, 13))
    theirs = v1_predicts(model, raw, plan, acts[activation])
    assert close(predicted(model, raw, plan), theirs)


def test_large_values_stay_white_where_v1_let_them_run_over():
    plan, model = v1_plan([SIDES], activations=["none"]), network(3)
    with torch.no_grad():
        model[-1].bias[:] = 5.0
    assert predicted(model, gray((6, 10, 13)), plan).min() == 255


@pytest.mark.parametrize("block", [(3, 5, 6), (4, 7, 30)])
def test_whole_and_blocks_agree(block):
    plan, model = v1_plan(symmetries=4), network(3)
    image = ArrayVolume(gray((9, 14, 17)))
    whole = predict_box([model], image, plan, image.box)
    joined = np.empty_like(whole)
    ready = predictor([model], plan)
    for box in blocks(image.box, block):
        joined[(slice(None), *box.slices)] = ready.predict(image, box)
    assert np.array_equal(joined, whole)


def test_a_volume_smaller_than_a_window_is_continued():
    plan, model = v1_plan(pad=[[0, 0], [0, 0], [0, 0]]), network(3)
    raw = gray((3, 9, 7))
    longer = np.pad(raw, ((0, 2), (0, 0), (0, 2)), "reflect")
    assert np.array_equal(predicted(model, raw, plan), predicted(model, longer, plan)[:, :3, :, :7])


def test_members_are_averaged():
    plan, one, two = v1_plan(), network(3, 1), network(3, 2)
    image = ArrayVolume(gray((7, 12, 14)))
    both = predict_box([one, two], image, plan, image.box)
    each = [predict_box([model], image, plan, image.box) for model in (one, two)]
    assert np.allclose(both, (each[0] + each[1]) / 2, atol=1e-6)


def test_the_network_is_left_as_it_was_and_the_image_too():
    plan, model, raw = v1_plan(), network(3).train(), gray((7, 12, 14))
    before = raw.copy()
    predicted(model, raw, plan)
    assert model.training
    assert np.array_equal(raw, before)


def test_values_that_are_no_numbers_are_refused():
    plan, model, raw = v1_plan(), network(3), gray((7, 12, 14), np.float32)
    raw[3, 4, 5] = np.nan
    with pytest.raises(DataError, match="NaN or infinite gray values"):
        predicted(model, raw, plan)
    with torch.no_grad():
        model[-1].bias[:] = torch.nan
    with pytest.raises(ModelError, match="NaN or infinite values"):
        predicted(model, gray((7, 12, 14)), plan)
    with pytest.raises(ModelError, match="no network"):
        predictor([], plan)
    with pytest.raises(ValueError, match="not inside"):
        predict_box([network(3)], ArrayVolume(gray((7, 12, 14))), plan, Box((0, 0, 0), (8, 1, 1)))


@pytest.mark.parametrize("patch", [(1, 7, 9), (5, 8, 3), (17, 4, 6)])
@pytest.mark.parametrize("blending", ["v1_gaussian", "v1_bump"])
def test_weights(patch, blending):
    assert np.allclose(window_weights(patch, blending), v1_weights(patch, blending), rtol=1e-4, atol=1e-8)
    assert window_weights(patch, blending).dtype == np.float32
