import errno

import numpy as np
import pytest
import torch
import zarr

from pytc_auto.errors import OutputError
from pytc_auto.executors.executor import Executor
from pytc_auto.executors.ledger import BlockLedger
from pytc_auto.geometry import Box, blocks, patch_grid
from pytc_auto.inference.blocks import BlockPrediction, mean_logits
from pytc_auto.inference.predict import predict_box
from pytc_auto.inference.window import Predictor
from pytc_auto.io.predictions import UNSEEN, to_uint8
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


def predict(predictors, image, array, ledger, *, part=None, mask=None, progress=lambda _: None):
    """All blocks of the first plan, in this process."""
    part = part or image.box
    task = BlockPrediction(lambda: predictors, lambda: array, image, part, mask)
    Executor().run(task, list(blocks(part, predictors[0].plan.inference.block)), ledger, progress)


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
    boxes, plain = [], Predictor.blend

    def blend(self, seen, progress=None):
        boxes.append(seen.box)
        return plain(self, seen, progress)

    monkeypatch.setattr(Predictor, "blend", blend)
    return boxes


def test_writes_what_one_box_gives(tmp_path, plan, networks, predictors, image):
    array, seen = a_store(tmp_path, plan), []
    predict(predictors, image, array, BlockLedger(tmp_path / "done", "a"), progress=seen.append)
    whole = to_uint8(predict_box(networks, image, plan, image.box), plan.heads)
    assert whole.std() > 0
    assert np.abs(array[:].astype(int) - whole).max() <= 1
    assert seen == sorted(seen)
    assert seen[-1] == image.box.size


def test_goes_on_after_the_last_finished_block(tmp_path, plan, predictors, image, predicted):
    whole = a_store(tmp_path / "whole", plan)
    predict(predictors, image, whole, BlockLedger(tmp_path / "whole" / "done", "a"))
    boxes = list(blocks(image.box, BLOCK))
    assert predicted == boxes
    predicted.clear()

    array = a_store(tmp_path / "part", plan)
    folder = tmp_path / "part" / ".pytc" / "done"
    with pytest.raises(OutputError, match=r"cannot be written .*No space left on device.*run the same command again"):
        predict(predictors, image, Filling(array, 2), BlockLedger(folder, "a"))
    assert predicted in (boxes[:3], boxes[:4]), "it stops when the third cannot be written; the fourth is computed meanwhile"
    predicted.clear()

    predict(predictors, image, array, BlockLedger(folder, "a"))
    assert predicted == boxes[2:]
    np.testing.assert_array_equal(array[:], whole[:])
    predicted.clear()

    seen = []
    predict(predictors, image, array, BlockLedger(folder, "a"), progress=seen.append)
    assert predicted == []
    assert seen == [image.box.size]


def test_an_interruption_leaves_no_mark(tmp_path, plan, predictors, image, monkeypatch):
    def stop(self, seen, progress=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "blend", stop)
    ledger = BlockLedger(tmp_path, "a")
    with pytest.raises(KeyboardInterrupt):
        predict(predictors, image, a_store(tmp_path, plan), ledger)
    assert not any(ledger.is_done(box) for box in blocks(image.box, BLOCK))


def stored_of(folder, predictors, image, shape, **more):
    """A prediction by blocks, as it lies on disk."""
    channels = predictors[0].plan.channels
    array = zarr.create_array(folder / "p.zarr", shape=(channels, *shape), chunks=(1, 8, 8, 8), dtype="uint8", fill_value=0)
    predict(predictors, image, array, BlockLedger(folder / "done", "a"), **more)
    return array[:]


@pytest.mark.parametrize("part", [Box((2, 3, 5), (15, 20, 21)), Box((0, 0, 0), SHAPE), Box((17, 19, 20), (18, 20, 26))])
def test_a_part_is_what_the_whole_gives_there(tmp_path, plan, networks, predictors, image, part):
    seen = []
    found = stored_of(tmp_path, predictors, image, part.shape, part=part, progress=seen.append)
    whole = to_uint8(predict_box(networks, image, plan, image.box), plan.heads)[(slice(None), *part.slices)]
    assert whole.std() > 0
    assert np.abs(found.astype(int) - whole).max() <= 1
    assert seen[-1] == part.size


def test_only_inside_the_mask_is_predicted(tmp_path, plan, networks, predictors, image, predicted):
    inside = np.zeros(SHAPE, np.uint8)
    inside[4:9, 2:17, 10:24] = 3
    before = inside.copy()
    found = stored_of(tmp_path, predictors, image, SHAPE, mask=ArrayVolume(inside))
    assert predicted == [box for box in blocks(image.box, BLOCK) if inside[box.slices].any()]
    assert 0 < len(predicted) < len(list(blocks(image.box, BLOCK)))
    whole = to_uint8(predict_box(networks, image, plan, image.box), plan.heads)
    assert np.abs(found.astype(int) - np.where(inside, whole, 0)).max() <= 1
    assert not found[:, inside == 0].any()
    np.testing.assert_array_equal(inside, before)


class Counted(torch.nn.Module):
    """A network that counts its patches."""

    def __init__(self, network):
        super().__init__()
        self.network, self.calls = network, 0

    def forward(self, x):
        self.calls += 1
        return self.network(x)


@pytest.mark.parametrize("block", [BLOCK, (18, 20, 26), (7, 11, 40)])
@pytest.mark.parametrize("padding", [0, 137])
def test_where_the_image_is_constant_nothing_is_computed(tmp_path, make_plan, block, padding):
    plan = make_plan(block=block, patch=[8, 8, 8])
    torch.manual_seed(0)
    network = Counted(build_network(plan))
    image_zyx = np.random.default_rng(0).integers(0, 256, (18, 20, 40)).astype(np.uint8)
    image_zyx[:, :, 14:] = padding
    image = ArrayVolume(image_zyx)
    found = stored_of(tmp_path, [Predictor([network], plan)], image, image.shape)
    patches = [p for p in patch_grid(image.shape, plan.patch, plan.inference.overlap) if np.ptp(image_zyx[p.slices])]
    reach = max(p.stop[2] for p in patches)
    assert 14 <= reach < 24
    assert found[:, :, :, :reach].any(axis=0).all()
    assert not found[:, :, :, reach:].any()
    whole = to_uint8(predict_box([network.network], image, plan, image.box), plan.heads)
    assert np.abs(found.astype(int) - whole).max() <= 1
    if block == (18, 20, 26):
        boxes = list(blocks(image.box, block))
        assert network.calls == sum(1 for p in patches for box in boxes if p.intersect(box).size)


def test_a_blank_volume_needs_no_network(tmp_path, plan, networks):
    network = Counted(networks[0])
    found = stored_of(tmp_path, [Predictor([network], plan)], ArrayVolume(np.full(SHAPE, 9, np.uint16)), SHAPE)
    assert network.calls == 0
    assert not found.any()


def test_models_are_averaged_as_logits_each_with_its_own_plan(make_plan, image):
    plans = make_plan(), make_plan(patch=[8, 8, 8], intensity={"clip": [50, 200], "scale": [100.0, 30.0]})
    torch.manual_seed(0)
    networks = [[build_network(plans[0])], [build_network(plans[1]), build_network(plans[1])]]
    box, seen = Box((3, 0, 5), (15, 11, 26)), []
    predictors = [Predictor(n, p) for n, p in zip(networks, plans, strict=True)]
    found = mean_logits(predictors, [p.read(image, box) for p in predictors], seen.append).numpy()
    one, two = (predict_box(n, image, p, box) for n, p in zip(networks, plans, strict=True))
    np.testing.assert_allclose(found, (one + 2 * two) / 3, atol=1e-5)
    assert np.abs(one - two).max() > 0.1
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)


def test_where_one_model_sees_nothing_none_is_heard(make_plan):
    plans = make_plan(patch=[16, 16, 16]), make_plan(patch=[8, 8, 8])
    torch.manual_seed(0)
    predictors = [Predictor([build_network(p)], p) for p in plans]
    image_zyx = np.zeros((16, 20, 40), np.uint8)
    image_zyx[:, :, :4] = np.random.default_rng(0).integers(0, 256, (16, 20, 4))
    image = ArrayVolume(image_zyx)
    one, two = (p.predict(image, image.box)[0] != UNSEEN for p in predictors)
    assert one.sum() > two.sum() > 0
    found = mean_logits(predictors, [p.read(image, image.box) for p in predictors])
    np.testing.assert_array_equal(found[0].numpy() != UNSEEN, one & two)
