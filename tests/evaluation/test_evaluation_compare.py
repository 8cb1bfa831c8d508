from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytc_auto.errors import DataError
from pytc_auto.evaluation import compare as module
from pytc_auto.evaluation.boundary import Tolerance, boundary_counts
from pytc_auto.evaluation.compare import compare
from pytc_auto.evaluation.region import Voxels, common_region
from pytc_auto.evaluation.scores import boundary_scores, figure_of_merit, score
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def region(found, truth, **restricted):
    return common_region(ArrayVolume(found, source="found.h5"), ArrayVolume(truth, source="truth.h5"), **restricted)


@pytest.mark.parametrize("block", [(2, 3, 4), (5, 100, 1), (100, 100, 100)])
def test_block_by_block_is_the_same_as_at_once(monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 40, (5, 7, 9)).astype(np.uint32), rng.integers(0, 30, (5, 7, 9)).astype(np.uint32)
    told = []
    compared = compare(region(found, truth), progress=lambda *step: told.append(step))
    assert (compared.kind, compared.voxels) == ("instances", truth.size)
    assert compared.scores == pytest.approx(score(found, truth, kind="instances"))
    count = int(np.prod([-(-n // b) for n, b in zip(truth.shape, block, strict=True)]))
    assert len(told) == count + 1
    assert (told[0], told[-1]) == (("comparing", 0, truth.size), ("comparing", truth.size, truth.size))


def test_masks_are_guessed_as_classes_and_many_ids_as_instances():
    mask = np.zeros((3, 4, 5), np.uint8)
    mask[1] = 255
    assert compare(region(mask, mask)).scores == {
        "dice/0": 1,
        "dice/255": 1,
        "iou/0": 1,
        "iou/255": 1,
        "mean_dice": 1,
        "mean_foreground_dice": 1,
    }
    ids = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    assert compare(region(ids, mask)).scores["voi_split"] > 0
    assert "dice/0" not in compare(region(mask, mask), kind="instances").scores


def test_what_cannot_be_scored_says_where():
    ones = np.ones((2, 3, 4), np.uint16)
    with pytest.raises(DataError, match=r"truth\.h5: has no voxel that is not 0"):
        compare(region(ones, 0 * ones), kind="instances")
    with pytest.raises(DataError, match=r"truth\.h5: every voxel of \[0:2, 0:3, 0:4\] is ignored"):
        compare(region(ones, ones, ignore=ArrayVolume(ones)))


SIZE = (40.0, 8.0, 6.0)


@settings(max_examples=40, deadline=None)
@given(
    block=st.tuples(*(st.integers(1, n + 2) for n in (6, 7, 9))),
    nm=st.floats(0, 90),
    seed=st.integers(0, 20),
    kind=st.sampled_from(["instances", "classes", None]),
)
def test_any_block_gives_the_same_scores(block, nm, seed, kind):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, (6, 7, 9)).astype(np.uint8)
    found = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, 3, truth.shape), truth).astype(np.uint16)
    mask = (rng.random(truth.shape) < 0.2).astype(np.uint8)
    wanted = region(found, truth, ignore=ArrayVolume(mask), box=Box((0, 1, 0), (6, 7, 8)), border=(1, 0, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        blocks = compare(wanted, kind=kind, tolerance=Tolerance(nm, SIZE))
        patch.setattr(module, "BLOCK", truth.shape)
        assert compare(wanted, kind=kind, tolerance=Tolerance(nm, SIZE)) == blocks
    inside = Box((1, 1, 1), (5, 7, 7)).slices
    plain = score(found[inside], truth[inside], ignore_zyx=mask[inside] != 0, kind=kind or "classes")
    if kind != "instances":
        voxels = Voxels(found[inside], truth[inside], mask[inside] != 0)
        plain |= boundary_scores(boundary_counts(voxels, Box.of_shape((4, 6, 6)), Tolerance(nm, SIZE)))
    assert blocks.scores == pytest.approx(plain)
    assert blocks.voxels == np.count_nonzero(mask[inside] == 0)


class Watched(ArrayVolume):
    """A volume that notes the boxes that are read."""

    def __init__(self, array_zyx):
        super().__init__(array_zyx)
        self.boxes = []

    def _read(self, box):
        self.boxes.append(box)
        return super()._read(box)


def test_boundaries_are_given_up_once_there_are_too_many_values(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", (1, 4, 30))
    truth = Watched(np.repeat(np.arange(60, dtype=np.uint8), 10).reshape(5, 4, 30))
    compared = compare(common_region(ArrayVolume(truth.array_zyx), truth), tolerance=Tolerance(10, SIZE))
    assert compared.kind == "instances"
    assert not [name for name in compared.scores if "boundary" in name]
    assert sum(box.size for box in truth.boxes) == 600 + 120 * 3, "a halo of one section about each of the first two blocks"
    asked = compare(common_region(truth, truth), kind="classes", tolerance=Tolerance(10, SIZE))
    assert len([name for name in asked.scores if name.startswith("boundary_f1/")]) == 60


@pytest.mark.parametrize("sections", ["segmentation", "truth", "ignore"])
def test_volumes_that_are_decoded_by_section_are_read_in_whole_sections(monkeypatch, sections):
    monkeypatch.setattr(module, "BLOCK", (4, 5, 6))
    volumes = {name: Watched(np.ones((7, 8, 9), np.uint16)) for name in ("segmentation", "truth", "ignore")}
    volumes["ignore"].array_zyx[1:] = 0
    volumes[sections].random_access = False
    compared = compare(common_region(*list(volumes.values())[:2], ignore=volumes["ignore"], border=(0, 1, 1)))
    assert compared.voxels == 6 * 6 * 7
    for volume in volumes.values():
        assert volume.boxes == [Box((a, 1, 1), (b, 7, 8)) for a, b in ((0, 2), (2, 4), (4, 6), (6, 7))]


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
    scores = compare(region(*arrays)).scores
    assert scores == pytest.approx(score(*arrays, kind="instances"))
    assert scores["ap_50"] == pytest.approx(2 / 3)
    assert scores["ap_75"] == pytest.approx(0.5625)
