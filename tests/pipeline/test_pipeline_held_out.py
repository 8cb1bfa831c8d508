from __future__ import annotations

import errno
import shutil

import numpy as np
import pytest
import zarr
from safetensors.numpy import save_file
from samples import small_plan, wholes

from pytc_auto.data.folds import divide
from pytc_auto.data.volumes import LabelledVolume
from pytc_auto.errors import OutputError
from pytc_auto.geometry import Box
from pytc_auto.io import ome_zarr
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.models.build import build_network
from pytc_auto.pipeline.held_out import kept_prediction, predict_held_out
from pytc_auto.pipeline.validation import HeldOut, scored_as

SHAPE = (16, 18, 44)
SIZE = (12.0, 9.0, 8.0)
POLARITY = {"kind": "polarity", "loss": "dice_bce", "weight": 1.0}


def held_out(ids=None, **fields):
    """The last quarter of a volume along x; its first voxel lies at 100, 200, 300 nm."""
    plan = small_plan(voxel_size_nm=SIZE, **fields)
    image = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    gray = ArrayVolume(image, voxel_size_nm=SIZE, source="image.h5")
    gray.offset_nm = (100.0, 200.0, 300.0)
    truth = ArrayVolume(np.ones(SHAPE, np.uint16) if ids is None else ids, voxel_size_nm=SIZE, source="labels.h5")
    return HeldOut(plan, [LabelledVolume("cell", gray, truth)], divide(plan.folds, wholes([SHAPE]), 0).validation)


@pytest.fixture
def fold(tmp_path):
    folder = tmp_path / "folds/0"
    folder.mkdir(parents=True)
    weights(folder, 1)
    return folder


def weights(folder, value):
    save_file({"a": np.array([value])}, folder / "weights.safetensors")


def test_a_prediction_is_kept_and_lies_where_the_region_lies(fold):
    held = held_out()
    stored = predict_held_out(held, 0, build_network(held.plan), fold)
    np.testing.assert_array_equal(kept_prediction(held, 0, fold), stored)
    assert stored.shape == (held.plan.channels, 16, 18, 11)
    assert stored.std() > 0
    group = zarr.open_group(fold / "held_out/0", mode="r").attrs.asdict()
    steps = group["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert steps[0]["scale"][1:] == list(SIZE)
    assert steps[1]["translation"] == [0.0, 100.0, 200.0, 300.0 + 33 * 8.0]
    assert (group["pytc"]["volume"], group["pytc"]["box"]["start"]) == ("cell", [0, 0, 33])
    assert [head["kind"] for head in group["pytc"]["heads"]] == ["affinities", "foreground"]


def test_what_is_of_other_weights_or_another_region_is_not_taken(fold):
    held = held_out()
    assert kept_prediction(held, 0, fold) is None
    predict_held_out(held, 0, build_network(held.plan), fold)
    folds = held.plan.folds.model_dump()
    assert kept_prediction(held_out(folds={**folds, "train": 0.5}), 0, fold) is None
    assert kept_prediction(held_out(working_scale=[1, 1, 2]), 0, fold) is None
    assert kept_prediction(held, 0, fold) is not None
    weights(fold, 2)
    assert kept_prediction(held, 0, fold) is None
    weights(fold, 1)
    shutil.rmtree(fold / "held_out/0/0")
    assert kept_prediction(held, 0, fold) is None


def test_a_full_disk_is_one_error_and_what_was_kept_stays(fold, monkeypatch):
    held = held_out()
    network = build_network(held.plan)
    stored = predict_held_out(held, 0, network, fold)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ome_zarr, "create_image", full)
        with pytest.raises(OutputError, match=r"held_out/0: the held-out prediction cannot be written \(No space left"):
            predict_held_out(held, 0, network, fold)
    np.testing.assert_array_equal(kept_prediction(held, 0, fold), stored)


def test_pieces_of_an_object_are_objects_but_the_sides_of_synapses_keep_their_ids():
    labels = np.zeros(SHAPE, np.uint16)
    labels[2:5, 3:6, 34:43], labels[2:5, 8:11, 34:43], labels[9:12, 3:6, 34:43] = 7, 8, 7
    neurons, unlabeled = held_out(labels).truth(0)
    assert sorted(np.unique(neurons).tolist()) == [0, 1, 2, 3]
    assert not unlabeled.any()
    synapses = held_out(
        labels,
        heads=[POLARITY],
        decoder={"kinds": ["polarity"], "grid": {}, "metric": "ap"},
        labels={
            "kind": "instances",
            "background": [0],
            "unlabeled": [8],
            "erode_nm": 0.0,
        },
    )
    truth, unlabeled = synapses.truth(0)
    region = Box((0, 0, 33), SHAPE).slices
    np.testing.assert_array_equal(truth, np.where(labels[region] == 7, 7, 0))
    np.testing.assert_array_equal(unlabeled, labels[region] == 8)
    assert (scored_as(synapses.plan), scored_as(held_out().plan)) == ("synapses", "instances")


def test_a_synapse_with_exchanged_sides_is_seen_in_the_scores():
    labels = np.zeros(SHAPE, np.uint16)
    labels[2:8, 3:9, 34:38], labels[2:8, 3:9, 38:42] = 5, 6
    held = held_out(labels, heads=[POLARITY], decoder={"kinds": ["polarity"], "grid": {}, "metric": "ap"})
    truth, _ = held.truth(0)
    for sides, accuracy in (((5, 6), 1), ((6, 5), 0)):
        stored = np.stack([np.where(np.isin(truth, which), 250, 5) for which in ((sides[0],), (sides[1],), (5, 6))])
        (trial,) = held.trials(stored.astype(np.uint8), 0, held.plan)
        assert (trial.scores["ap"], trial.scores["synapse_f1"], trial.scores["synapse_side_accuracy"]) == (1, 1, accuracy)
