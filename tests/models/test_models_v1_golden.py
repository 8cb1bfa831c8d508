"""v1's own state and outputs of six networks (v1_golden.json): names and shapes exactly, logits within 1e-5."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from samples_v1 import built_v1, design_v1, wavy

GOLDEN = json.loads(Path(__file__).with_name("v1_golden.json").read_text(encoding="utf-8"))
MODELS = GOLDEN["models"]


def test_the_file_says_where_it_comes_from_and_holds_what_it_should():
    assert GOLDEN["source"].endswith("(2025-06-16)")
    assert len(MODELS) == 6
    assert {model["network"]["kind"] for model in MODELS.values()} == {"v1_unet_3d", "v1_unet_plus_3d", "v1_fpn_3d"}
    assert all(len(model["state_dict"]) == model["n_keys"] > 100 and len(model["samples"]) == 7 for model in MODELS.values())


@pytest.mark.parametrize("name", MODELS)
def test_names_shapes_and_logits_are_v1_s(name):
    golden = MODELS[name]
    made = built_v1(design_v1(**golden["network"]), golden["output_shape"][1])
    assert {key: list(tensor.shape) for key, tensor in made.state_dict().items()} == golden["state_dict"]
    assert sum(p.numel() for p in made.parameters()) == golden["params"]
    with torch.no_grad():
        logits = made(wavy(*golden["input_shape"]))
    assert list(logits.shape) == golden["output_shape"]
    flat = logits.flatten().double()
    assert math.prod(golden["output_shape"]) == flat.numel()
    found = {place: float(flat[int(place)]) for place in golden["samples"]}
    assert found == pytest.approx(golden["samples"], abs=1e-5, rel=0)
    assert (float(flat.mean()), float(flat.std())) == pytest.approx((golden["mean"], golden["std"]), abs=1e-5, rel=0)
