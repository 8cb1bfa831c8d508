from __future__ import annotations

import pickle

import numpy as np
import pytest
import tifffile
import torch
from scipy import ndimage
from tests_v1 import close, filled, v1_predicts

from pytc_auto.errors import ModelError, OutputError, PlanError
from pytc_auto.geometry import Box
from pytc_auto.io.ome_zarr import open_level
from pytc_auto.io.working_grid import WorkingGrid
from pytc_auto.models.build import build_network
from pytc_auto.phantom import make_phantom
from pytc_auto.pipeline.import_v1 import import_v1
from pytc_auto.pipeline.model_folder import Model
from pytc_auto.pipeline.prediction import predict
from pytc_auto.pipeline.training import train
from pytc_auto.schema.dataset import Dataset

SMALL = """
MODEL:
  FILTERS: [8, 8, 8, 8, 8]
  INPUT_SIZE: [5, 17, 17]
  OUT_PLANES: {planes}
  TARGET_OPT: {targets}
  LOSS_OPTION: {losses}
  NORM_MODE: gn
DATASET:
  IMAGE_NAME: im.tif
  LABEL_NAME: seg.tif
  INPUT_PATH: data
  PAD_SIZE: [2, 4, 4]
SOLVER: {{ITERATION_TOTAL: 2, ITERATION_VAL: 1, SAMPLES_PER_BATCH: 1}}
INFERENCE: {{STRIDE: [4, 12, 12], OUTPUT_ACT: {acts}, AUG_NUM: None}}
"""
AFFINITIES = {"planes": 3, "targets": ["2"], "losses": [["WeightedBCEWithLogitsLoss", "DiceLoss"]], "acts": ["sigmoid"]}
OBJECTS = {"planes": 3, "targets": ["0", "4-1-1", "6"], "losses": [["DiceLoss"], ["DiceLoss"], ["WeightedMSE"]]}
OBJECTS["acts"] = ["sigmoid", "sigmoid", "tanh"]


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A folder as a user of v1 has it."""
    monkeypatch.chdir(tmp_path)
    tissue = make_phantom((12, 30, 34), (30.0, 8.0, 8.0), seed=5)
    (tmp_path / "data").mkdir()
    tifffile.imwrite("data/im.tif", tissue.image_zyx.astype(np.uint8))
    tifffile.imwrite("data/seg.tif", tissue.neurons_zyx.astype(np.uint16))
    (tmp_path / "config.yaml").write_text(SMALL.format(**AFFINITIES))
    (tmp_path / "objects.yaml").write_text(SMALL.format(**OBJECTS))
    return tmp_path


def checkpoint(name="x.pth.tar", config="config.yaml", pairs=(), prefix="", **changes):
    """What v1 would have saved of the configuration's network."""
    plan = import_v1(config, pairs, out=f"runs/of_{name}").plan
    state = {prefix + key: value for key, value in filled(build_network(plan)).items()}
    torch.save({"iteration": 1, "state_dict": {**state, **changes}, "optimizer": {}, "lr_scheduler": {}}, name)
    return name


def split(plan):
    """v1's activations of a plan's heads."""
    sizes, kinds = [head.channels for head in plan.heads], plan.inference.activations

    def act(logits):
        parts = zip(logits.split(sizes, 1), kinds, strict=True)
        return torch.cat([(torch.tanh(p) + 1) / 2 if kind == "tanh" else getattr(torch, kind)(p) for p, kind in parts], 1)

    return act


FLAT = [
    "MODEL.INPUT_SIZE",
    "[1, 17, 17]",
    "DATASET.DO_2D",
    "True",
    "DATASET.PAD_SIZE",
    "[0, 4, 4]",
    "INFERENCE.STRIDE",
    "[1, 12, 12]",
]
FLAT += ["MODEL.FILTERS", "[16, 16, 16, 16, 16]"]
ARCHITECTURES = {
    "unet_3d": ("config.yaml", ["INFERENCE.AUG_NUM", "4", "INFERENCE.AUG_MODE", "min"]),
    "unet_plus_3d": ("objects.yaml", ["MODEL.ARCHITECTURE", "unet_plus_3d", "MODEL.BLOCK_TYPE", "residual_se"]),
    "fpn_3d": ("config.yaml", ["MODEL.ARCHITECTURE", "fpn_3d", "MODEL.NORM_MODE", "bn", "INFERENCE.BLENDING", "bump"]),
    "unet_2d": ("objects.yaml", ["MODEL.ARCHITECTURE", "unet_2d", *FLAT, "INFERENCE.AUG_NUM", "8"]),
    "unet_plus_2d": ("objects.yaml", ["MODEL.ARCHITECTURE", "unet_plus_2d", *FLAT]),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_imported_checkpoint_predicts_what_v1_predicted(old, name):
    config, pairs = ARCHITECTURES[name]
    made = import_v1(config, pairs, weights=checkpoint(config=config, pairs=pairs), out="runs/new")
    raw = tifffile.imread("data/im.tif")[: 2 if name.endswith("2d") else 5, :20, :24]
    tifffile.imwrite("new.tif", raw)
    (target,) = predict(["new.tif"], model=made.model, out="out", keep_predictions=True)
    model = Model.open(made.model)
    theirs = v1_predicts(model.networks()[0], raw, model.plan, split(model.plan))
    ours = np.asarray(open_level(target)[:])
    assert ours.shape == theirs.shape == (3, *raw.shape)
    assert close(ours, theirs)
    assert len(np.unique(ours)) > 10


ZOOM = ["DATASET.DATA_SCALE", "[1.0, 2.0, 0.6]"]


def test_a_zoomed_volume_predicts_what_v1_predicted_and_is_segmented_on_its_own_grid(old):
    made = import_v1("config.yaml", ZOOM, weights=checkpoint(pairs=ZOOM), out="runs/zoomed")
    raw = tifffile.imread("data/im.tif")[:5, :14, :26]
    tifffile.imwrite("new.tif", raw)
    (target,) = predict(["new.tif"], model=made.model, out="out", keep_predictions=True, voxel_size_nm=(30.0, 8.0, 8.0))
    model = Model.open(made.model)
    zoomed = ndimage.zoom(raw, (1.0, 2.0, 0.6), order=3)
    theirs = v1_predicts(model.networks()[0], zoomed, model.plan, split(model.plan))
    ours = np.asarray(open_level(target)[:])
    assert ours.shape == theirs.shape == (3, 5, 28, 16)
    assert close(ours, theirs)
    whole = np.asarray(open_level(target / "labels" / "segmentation")[:])
    assert whole.shape == raw.shape
    assert whole.any()
    part = Box((1, 3, 2), (5, 12, 25))
    (cut,) = predict(["new.tif"], model=made.model, out="cut", box=part, keep_predictions=True, voxel_size_nm=(30.0, 8.0, 8.0))
    there = WorkingGrid.of(model.plan, raw.shape).box(part)
    np.testing.assert_array_equal(np.asarray(open_level(cut)[:]), ours[(slice(None), *there.slices)])
    assert np.asarray(open_level(cut / "labels" / "segmentation")[:]).shape == part.shape


def test_a_zoomed_plan_trains(old):
    made = import_v1("config.yaml", ZOOM, out="runs/trained", voxel_size_nm=(30.0, 8.0, 8.0))
    model = Model.open(train(made.run.plan_file).run.model)
    assert model.plan.zoom == (1.0, 2.0, 0.6)
    (target,) = predict(["data/im.tif"], model=model.folder, out="out", voxel_size_nm=(30.0, 8.0, 8.0))
    assert np.asarray(open_level(target / "labels" / "segmentation")[:]).shape == (12, 30, 34)


def test_averaged_weights_have_a_prefix(old):
    plain = import_v1("config.yaml", weights=checkpoint(), out="runs/plain").model
    averaged = import_v1("config.yaml", weights=checkpoint("swa.pth.tar", prefix="module."), out="runs/swa").model
    assert (plain / "fold_0.safetensors").read_bytes() == (averaged / "fold_0.safetensors").read_bytes()


def test_weights_that_do_not_fit_are_refused_with_their_keys(old):
    file = checkpoint()
    with pytest.raises(ModelError, match=r"Of another shape: .*conv_in\.0\.weight"):
        import_v1("config.yaml", ["MODEL.FILTERS", "[16, 16, 16, 16, 16]"], weights=file, out="runs/wide")
    with pytest.raises(ModelError, match=r"Missing: down_layers\.0\.2\.conv\.0\.0\.0\.weight.*Unexpected: "):
        import_v1("config.yaml", ["MODEL.BLOCK_TYPE", "residual_se"], weights=file, out="runs/se")
    with pytest.raises(ModelError, match="Unexpected: extra"):
        import_v1("config.yaml", weights=checkpoint("more.pth.tar", extra=torch.zeros(1)), out="runs/more")
    assert not any((old / "runs" / name).exists() for name in ("wide", "se", "more"))


def test_networks_from_before_2021_are_told_from_others(old):
    state = {f"module.layer{n}_E.conv.0.weight": torch.zeros(2, 2) for n in range(9)}
    torch.save({"iteration": 1, "state_dict": state}, "old.pth.tar")
    with pytest.raises(ModelError, match=r"they are layer0_E.* and 4 more\. .*networks from before 2021") as caught:
        import_v1("config.yaml", weights="old.pth.tar", out="runs/old")
    assert str(caught.value).startswith("old.pth.tar: none of its weights")
    with pytest.raises(ModelError, match=r"config\.yaml: is no whole checkpoint \(torch did not write it\)"):
        import_v1("config.yaml", weights="config.yaml", out="runs/old")


def test_null_where_a_value_is_needed_is_one_error(old):
    for key in ("MODEL.FILTERS", "DATASET.INPUT_PATH", "DATASET.DATA_SCALE"):
        with pytest.raises(PlanError, match=f"itself cannot use it .TypeError: {key} must not be None"):
            import_v1("config.yaml", [key, "None"], out="runs/null")


class _Touch:
    def __reduce__(self):
        from pathlib import Path

        return Path.touch, (Path("made"),)


def test_files_that_are_no_checkpoint_run_nothing(old):
    whole = (old / checkpoint()).read_bytes()
    (old / "pickled.pth.tar").write_bytes(pickle.dumps({"state_dict": _Touch()}))
    torch.save({"state_dict": {"a": torch.zeros(1)}, "more": _Touch()}, "saved.pth.tar")
    (old / "cut.pth.tar").write_bytes(whole[: len(whole) // 2])
    (old / "text.pth.tar").write_text("weights")
    for name in ("pickled", "saved", "cut", "text", "absent"):
        with pytest.raises(ModelError, match=f"{name}.pth.tar: "):
            import_v1("config.yaml", weights=f"{name}.pth.tar", out=f"runs/{name}")
        assert not (old / "runs" / name).exists()
    assert not (old / "made").exists()


def test_weights_of_other_architectures_are_refused_plainly(old):
    pairs = ["MODEL.ARCHITECTURE", "swinunetr", "MODEL.INPUT_SIZE", "[64, 64, 64]"]
    with pytest.raises(ModelError, match=r"weights of swinunetr are not carried over\. Import without --weights"):
        import_v1("config.yaml", pairs, weights="x.pth.tar", out="runs/swin")


def test_an_imported_plan_trains(old):
    made = import_v1("config.yaml", out="runs/trained", voxel_size_nm=(30.0, 8.0, 8.0))
    assert Dataset.load(made.run.dataset_file).volumes[0].voxel_size_nm == (30.0, 8.0, 8.0)
    done = train(made.run.plan_file)
    assert done.refit
    model = Model.open(done.run.model)
    assert model.plan == made.plan
    with pytest.raises(OutputError, match="was trained already"):
        import_v1("config.yaml", out="runs/trained")


def test_a_model_without_a_voxel_size_takes_any(old):
    made = import_v1("config.yaml", weights=checkpoint(), out="runs/any")
    (target,) = predict(["data/im.tif"], model=made.model, out="one", voxel_size_nm=(7.0, 5.0, 5.0))
    assert (target / "labels" / "segmentation").is_dir()
    known = import_v1("config.yaml", weights="x.pth.tar", out="runs/known", voxel_size_nm=(30.0, 8.0, 8.0))
    with pytest.raises(Exception, match="but the model was trained on 30 × 8 × 8 nm"):
        predict(["data/im.tif"], model=known.model, out="two", voxel_size_nm=(7.0, 5.0, 5.0))


def test_the_name_and_place_of_a_run(old):
    made = import_v1("config.yaml")
    assert (made.run.folder.as_posix(), made.plan.name, made.model) == ("runs/config", "config", None)
    assert made.rows[0].key == "voxel size"
    (old / "bad.yaml").write_text("MODEL: {X: 1}")
    with pytest.raises(PlanError, match=r"itself cannot use it \(KeyError: Non-existent config key: MODEL.X\)"):
        import_v1("bad.yaml")
    assert not (old / "runs" / "bad").exists()


def test_names_of_the_package():
    import pytc_auto

    assert pytc_auto.ConnectomicsModule.__name__ == "ConnectomicsModule"
    assert pytc_auto.ConnectomicsDataModule.__name__ == "ConnectomicsDataModule"
    assert pytc_auto.import_v1 is import_v1


def test_what_a_mask_leaves_out_is_not_learned(old):
    inside = np.zeros((12, 30, 34), np.uint8)
    inside[:, 5:, 3:] = 1
    tifffile.imwrite("data/mask.tif", inside)
    made = import_v1("config.yaml", ["DATASET.VALID_MASK_NAME", "mask.tif"], out="runs/masked", voxel_size_nm=(30.0, 8.0, 8.0))
    assert "DATASET.VALID_MASK_NAME" not in {row.key for row in made.rows}
    entry = Dataset.load(made.run.dataset_file).volumes[0]
    assert entry.mask == str(old / "data" / "mask.tif")
    assert train(made.run.plan_file).run.model.is_dir()


def test_the_slabs_of_a_zoomed_volume_are_told_in_its_voxels(old):
    plain, zoomed = (
        import_v1("config.yaml", ["MODEL.INPUT_SIZE", "[5, 33, 33]", *pairs], out=f"runs/{len(pairs)}").plan.folds
        for pairs in ([], ["DATASET.DATA_SCALE", "[1.0, 1.0, 3.0]"])
    )
    assert (plain.axis, plain.guard, zoomed.axis, zoomed.guard) == ("x", 4, "x", 12)
