from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from samples import AFFINITIES, FOREGROUND

from pytc_auto.inference.quantize import quantize_in_place
from pytc_auto.io.predictions import UNSEEN, to_uint8
from pytc_auto.schema.heads import Head

CLASSES = {"kind": "classes", "class_weights": [1, 1, 2, 1], "loss": "dice_ce", "weight": 1.0}
DISTANCE = {"kind": "signed_distance", "scale_nm": 50.0, "loss": "mse", "weight": 1.0}
FLOW = {"kind": "flow", "loss": "mse", "weight": 1.0}
CASES = {
    "affinities": [AFFINITIES, FOREGROUND],
    "classes": [CLASSES],
    "distance": [FOREGROUND, DISTANCE],
    "flow": [FLOW, FOREGROUND],
}


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize("name", CASES)
def test_it_is_the_plain_way_to_one_step(name, scale):
    heads = TypeAdapter(list[Head]).validate_python(CASES[name])
    shape = (sum(head.channels for head in heads), 5, 9, 14)
    logits_czyx = (scale * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    logits_czyx[:, 2, 3] = UNSEEN
    wanted = to_uint8(logits_czyx, heads)
    found = quantize_in_place(torch.from_numpy(logits_czyx.copy()), heads).numpy()
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert (found != wanted).mean() < 0.01
    assert wanted.std() > 1
    assert not found[:, 2, 3].any()
