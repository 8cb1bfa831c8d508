"""A network of v1 in the pipeline: a checkpoint as a model folder that predicts, and a new plan that is trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from samples import FOREGROUND, small_plan
from samples_v1 import built_v1, design_v1
from tests_models import write_volume
from tests_pipeline import write

import pytc_auto
from pytc_auto.errors import ModelError, OutputError
from pytc_auto.inference.predict import predict_box
from pytc_auto.io.open import open_volume
from pytc_auto.pipeline.model_folder import Model
from pytc_auto.pipeline.v1_model import weights_to_model
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Plan

PATCH = (9, 17, 25)
IN_PLANE = {"kind": "affinities", "offsets": [[-1, 0, 0], [0, -1, 0], [0, 0, -1]], "loss": "balanced_bce", "weight": 1.0}
DECODER = DecoderChoice(kind="agglomerate", parameters={"threshold": 0.9, "foreground_threshold": 0.5})


def plan_of(network):
    return small_plan(network=network, patch=PATCH, heads=[IN_PLANE, FOREGROUND], voxel_size_nm=[24.0, 8.0, 8.0])


def checkpoint(folder, design):
    made = built_v1(design, 4, PATCH)
    torch.save({"iteration": 5, "state_dict": made.state_dict(), "optimizer": {}}, folder / "checkpoint_00005.pth.tar")
    return made, folder / "checkpoint_00005.pth.tar"


@pytest.mark.parametrize("design", [design_v1(block="residual_se"), design_v1("v1_unet_plus_3d"), design_v1("v1_fpn_3d")])
def test_a_checkpoint_becomes_a_model_that_predicts_what_the_network_gives(design, tmp_path):
    before, path = checkpoint(tmp_path, design)
    weights_to_model(path, plan_of(design), tmp_path / "runs" / "old" / "model", DECODER)
    model = Model.open(tmp_path / "runs" / "old" / "model")
    assert load_file(model.weights[0]).keys() == before.state_dict().keys()
    (after,) = model.networks()
    image = torch.randn(1, 1, *PATCH)
    with torch.no_grad():
        assert torch.equal(after(image), before(image))
    volume = open_volume(write_volume(tmp_path / "v.h5", shape=PATCH, size=(24.0, 8.0, 8.0)))
    gray = (np.clip(volume.read(volume.box), 10, 240).astype(np.float32) - 120) / 60
    with torch.no_grad():
        wanted = before(torch.from_numpy(gray)[None, None])[0].numpy()
    found = predict_box([after], volume, model.plan, volume.box)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_folder_that_exists_and_weights_that_do_not_fit_leave_nothing(tmp_path):
    _, path = checkpoint(tmp_path, design_v1())
    with pytest.raises(
        ModelError, match=r"checkpoint_00005\.pth\.tar: the weights do not fit the network\. Missing: feat_layers"
    ):
        weights_to_model(path, plan_of(design_v1("v1_unet_plus_3d")), tmp_path / "model", DECODER)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    (tmp_path / "model").mkdir()
    with pytest.raises(OutputError, match="model: exists already"):
        weights_to_model(path, plan_of(design_v1()), tmp_path / "model", DECODER)


@pytest.mark.parametrize(
    "overrides",
    [("network.norm=bn", "network.block=residual", "optimizer.ema=0", "optimizer.swa_start=0.5"), ("network.norm=in",)],
)
def test_a_new_plan_with_a_network_of_v1_is_trained_and_predicts(overrides, tmp_path, quick):
    write(tmp_path / "train", "tissue", (26, 30, 40), 1)
    pytc_auto.plan(
        tmp_path / "train", ["network.kind=v1_unet_3d", "network.features=[8,16,24]", *overrides], name="n", runs=tmp_path
    )
    plan = Plan.load(tmp_path / "n" / "plan.yaml")
    assert plan.network.kind == "v1_unet_3d"
    assert plan.why["network"].rule == "network.v1_unet_3d"
    pytc_auto.train("n", runs=tmp_path)
    weights = load_file(tmp_path / "n/model/fold_0.safetensors")
    assert {"conv_in.0.weight", "conv_out.0.bias"} <= weights.keys()
    if "network.norm=bn" in overrides:
        assert weights["conv_in.1.num_batches_tracked"] > 0
        assert float(weights["conv_in.1.running_mean"].abs().sum()) > 0
        return
    (out,) = pytc_auto.predict([tmp_path / "train/images/tissue.h5"], model=tmp_path / "n/model", out=tmp_path / "seg")
    assert (out / "labels").is_dir()
