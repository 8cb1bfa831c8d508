from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.evaluation import scores as module
from pytc_auto.evaluation.scores import figure_of_merit, score, score_volumes
from pytc_auto.io.volume import ArrayVolume

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.parametrize("block", [(2, 3, 4), (5, 100, 1), (100, 100, 100)])
def test_block_by_block_is_the_same_as_at_once(monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 40, (5, 7, 9)).astype(np.uint32), rng.integers(0, 30, (5, 7, 9)).astype(np.uint32)
    told = []
    scores = score_volumes(ArrayVolume(found), ArrayVolume(truth), progress=lambda *step: told.append(step))
    assert scores == pytest.approx(score(found, truth, kind="instances"))
    count = int(np.prod([-(-n // b) for n, b in zip(truth.shape, block, strict=True)]))
    assert len(told) == count + 1
    assert (told[0], told[-1]) == (("comparing", 0, truth.size), ("comparing", truth.size, truth.size))


def test_masks_are_guessed_as_classes_and_many_ids_as_instances():
    mask = np.zeros((3, 4, 5), np.uint8)
    mask[1] = 255
    assert score_volumes(ArrayVolume(mask), ArrayVolume(mask)) == {
        "dice/0": 1,
        "dice/255": 1,
        "iou/0": 1,
        "iou/255": 1,
        "mean_dice": 1,
        "mean_foreground_dice": 1,
    }
    ids = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    assert score_volumes(ArrayVolume(ids), ArrayVolume(mask))["voi_split"] > 0
    assert "dice/0" not in score_volumes(ArrayVolume(mask), ArrayVolume(mask), kind="instances")


def test_what_cannot_be_scored_says_where():
    ones = np.ones((2, 3, 4), np.uint16)
    with pytest.raises(DataError, match=r"found\.h5: has shape \[2, 3, 4\], but truth\.h5 has \[2, 4, 3\]"):
        score_volumes(ArrayVolume(ones, source="found.h5"), ArrayVolume(ones.reshape(2, 4, 3), source="truth.h5"))
    with pytest.raises(DataError, match=r"truth\.h5: has no voxel that is not 0"):
        score_volumes(ArrayVolume(ones), ArrayVolume(0 * ones, source="truth.h5"), kind="instances")


def test_the_background_of_classes_is_0_or_the_first_value():
    truth, found = np.array([[[0, 0, 5, 5]]]), np.array([[[0, 5, 5, 5]]])
    scores = score(found, truth, kind="classes", values=[5, 0])
    assert figure_of_merit(scores, "dice") == scores["mean_foreground_dice"] == scores["dice/5"] == pytest.approx(0.8)
    shifted = score(found + 1, truth + 1, kind="classes")
    assert shifted["mean_foreground_dice"] == shifted["dice/6"] == pytest.approx(0.8)


def test_no_foreground_on_either_side_is_no_error():
    empty = np.zeros((1, 2, 3), int)
    scores = score(empty, empty, kind="classes", values=[0, 255])
    assert scores["mean_foreground_dice"] == scores["mean_dice"] == 1
    assert "dice/255" not in scores


@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout")
def test_a_published_answer_has_the_published_scores():
    with h5py.File(DATA / "fib25/test/labels/medulla.h5") as file:
        truth = file["neuron_ids"][:]
    found = np.load(DATA / "fixtures/ffn_fib25_test.npz", allow_pickle=False)["segmentation"]
    scores = score(found, truth, ignore_zyx=found == 0, kind="instances")
    assert scores["voi_split"] == pytest.approx(0.359, abs=5e-4)
    assert scores["voi_merge"] == pytest.approx(0.204, abs=5e-4)
    assert scores["adapted_rand"] == pytest.approx(0.031, abs=5e-4)
    assert scores["adapted_rand_recall"] < scores["adapted_rand_precision"]


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout")
def test_a_large_pair_block_by_block():
    arrays = []
    for name in ("lucchi_pred_UNet_label_test", "lucchi_gt_test"):
        with h5py.File(DATA / f"fixtures/{name}.h5") as file:
            arrays.append(file["main"][:])
    scores = score_volumes(*(ArrayVolume(a) for a in arrays))
    assert scores == pytest.approx(score(*arrays, kind="instances"))
    assert scores["ap_50"] == pytest.approx(2 / 3)
    assert scores["ap_75"] == pytest.approx(0.5625)
