import errno

import numpy as np
import pytest
import torch
import zarr

from pytc_auto.errors import OutputError
from pytc_auto.geometry import Box, blocks
from pytc_auto.inference import blocks as module
from pytc_auto.inference.blocks import BlockLedger, predict_volume
from pytc_auto.inference.window import Predictor, predict_box
from pytc_auto.io.predictions import to_uint8
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.models.build import build_network

SHAPE = (18, 20, 26)
BLOCK = (10, 20, 9)


@pytest.fixture
def plan(make_plan):
    return make_plan(block=BLOCK)


@pytest.fixture
def networks(plan):
    torch.manual_seed(0)
    return [build_network(plan)]


@pytest.fixture
def predictors(plan, networks):
    return [Predictor(networks, plan)]


@pytest.fixture
def image():
    return ArrayVolume(np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8))


def a_store(folder, plan):
    shape = (plan.channels, *SHAPE)
    return zarr.create_array(folder / "predictions.zarr", shape=shape, chunks=(1, 8, 8, 8), dtype="uint8", fill_value=0)


class Filling:
    """A disk that is full from the n-th block on."""

    def __init__(self, array, room):
        self.array, self.room = array, room

    def __setitem__(self, index, values):
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        self.array[index] = values


@pytest.fixture
def predicted(monkeypatch):
    """The boxes that were computed."""
    seen, plain = [], module.Predictor.predict

    def predict(self, image, box, progress=None):
        seen.append(box)
        return plain(self, image, box, progress)

    monkeypatch.setattr(module.Predictor, "predict", predict)
    return seen


def test_writes_what_one_box_gives(tmp_path, plan, networks, predictors, image):
    array, seen = a_store(tmp_path, plan), []
    predict_volume(predictors, image, array, ledger=BlockLedger(tmp_path / "done", "a"), progress=seen.append)
    whole = to_uint8(predict_box(networks, image, plan, image.box), plan.heads)
    assert whole.std() > 0
    assert np.abs(array[:].astype(int) - whole).max() <= 1
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_goes_on_after_the_last_finished_block(tmp_path, plan, predictors, image, predicted):
    whole = a_store(tmp_path / "whole", plan)
    predict_volume(predictors, image, whole, ledger=BlockLedger(tmp_path / "whole" / "done", "a"))
    boxes = list(blocks(image.box, BLOCK))
    assert predicted == boxes
    predicted.clear()

    array = a_store(tmp_path / "part", plan)
    folder = tmp_path / "part" / ".pytc" / "done"
    with pytest.raises(OutputError, match=r"cannot be written .*No space left on device.*run the same command again"):
        predict_volume(predictors, image, Filling(array, 2), ledger=BlockLedger(folder, "a"))
    assert predicted == boxes[:3]
    predicted.clear()

    predict_volume(predictors, image, array, ledger=BlockLedger(folder, "a"))
    assert predicted == boxes[2:]
    np.testing.assert_array_equal(array[:], whole[:])
    predicted.clear()

    seen = []
    predict_volume(predictors, image, array, ledger=BlockLedger(folder, "a"), progress=seen.append)
    assert predicted == []
    assert seen[-1] == 1


def test_an_interruption_leaves_no_mark(tmp_path, plan, predictors, image, monkeypatch):
    def stop(self, image, box, progress=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Predictor, "predict", stop)
    ledger = BlockLedger(tmp_path, "a")
    with pytest.raises(KeyboardInterrupt):
        predict_volume(predictors, image, a_store(tmp_path, plan), ledger=ledger)
    assert not any(ledger.is_done(box) for box in blocks(image.box, BLOCK))


def test_ledger_remembers(tmp_path):
    one, other = Box((0, 1, 2), (3, 4, 5)), Box((0, 1, 2), (3, 4, 6))
    ledger = BlockLedger(tmp_path / "out" / ".pytc" / "done", "a")
    assert not ledger.is_done(one)
    ledger.mark(one)
    again = BlockLedger(tmp_path / "out" / ".pytc" / "done", "a")
    assert again.is_done(one)
    assert not again.is_done(other)
    assert not list(ledger.folder.glob("*.part"))


def test_ledger_of_another_job_is_refused(tmp_path):
    BlockLedger(tmp_path, "a")
    with pytest.raises(OutputError, match=r"was made by another job .* Choose another output, or delete"):
        BlockLedger(tmp_path, "b")


def test_an_unfinished_mark_does_not_count(tmp_path):
    box = Box((0, 0, 0), (1, 2, 3))
    ledger = BlockLedger(tmp_path, "abc")
    ledger.mark(box)
    [marker] = [p for p in tmp_path.iterdir() if p.name != "job"]
    marker.write_text("ab")
    assert not ledger.is_done(box)


def test_a_ledger_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="list of finished blocks cannot be used"):
        BlockLedger(tmp_path / "file" / "done", "a")
    ledger = BlockLedger(tmp_path / "done", "a")
    box = Box((0, 0, 0), (1, 1, 1))
    ledger.mark(box)
    [marker] = [p for p in ledger.folder.iterdir() if p.name != "job"]
    marker.unlink()
    marker.mkdir()
    (marker / "in the way").write_text("")
    with pytest.raises(OutputError, match="cannot be used"):
        ledger.is_done(box)
    with pytest.raises(OutputError, match="cannot be used"):
        ledger.mark(box)
