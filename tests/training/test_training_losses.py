from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from pytc_auto.schema.heads import ClassHead, DistanceHead, FlowHead, PolarityHead
from pytc_auto.training.losses import balanced_bce, dice_balanced_bce, dice_bce, dice_ce, head_loss, mse
from pytc_auto.training.module import learning_rate_factor

SHAPE = (1, 2, 3, 4, 5)


def sample(share=0.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(SHAPE, generator=generator)
    values = (torch.rand(SHAPE, generator=generator) < share).to(torch.uint8)
    return logits, values


def test_balanced_bce_by_hand():
    logits = torch.zeros(1, 1, 1, 1, 4)
    values = torch.tensor([1, 0, 0, 0], dtype=torch.uint8).reshape(1, 1, 1, 1, 4)
    mask = torch.ones_like(values, dtype=torch.bool)
    assert float(balanced_bce(logits, values, mask)) == pytest.approx(0.6931, abs=1e-3)
    logits[..., 0] = 100.0
    assert float(balanced_bce(logits, values, mask)) == pytest.approx(0.6931 / 2, abs=1e-3)


def test_a_rare_value_weighs_ten_times_at_most():
    values = torch.zeros(1, 1, 10, 10, 10, dtype=torch.uint8)
    values[0, 0, 0, 0, 0] = 1
    logits = torch.full(values.shape, -100.0)
    loss = balanced_bce(logits, values, torch.ones_like(values, dtype=torch.bool))
    assert float(loss) == pytest.approx(100 * 10 / 1000, rel=1e-3)


@pytest.mark.parametrize("loss", [balanced_bce, dice_bce, dice_balanced_bce, mse])
def test_masked_voxels_change_nothing(loss):
    logits, values = sample()
    mask = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) < 0.7
    before = loss(logits, values, mask)
    other, changed = logits.clone(), values.clone()
    other[~mask] = 50.0
    changed[~mask] = 1 - changed[~mask]
    assert float(loss(other, changed, mask)) == pytest.approx(float(before), rel=1e-5)


def test_masked_voxels_of_classes_change_nothing():
    logits = torch.randn(2, 3, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    index = torch.randint(0, 3, (2, 1, 2, 3, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    mask = torch.rand(index.shape, generator=torch.Generator().manual_seed(2)) < 0.6
    before = dice_ce(logits, index, mask, [1.0, 2.0, 0.5])
    other, changed = logits.clone(), index.clone()
    other[(~mask).expand_as(other)] = 9.0
    changed[~mask] = 0
    assert float(dice_ce(other, changed, mask, [1.0, 2.0, 0.5])) == pytest.approx(float(before), rel=1e-5)


def test_a_batch_without_a_known_voxel_is_finite():
    logits, values = sample()
    nothing = torch.zeros(SHAPE, dtype=torch.bool)
    assert torch.isfinite(balanced_bce(logits, values, nothing))
    assert torch.isfinite(dice_bce(logits, values, nothing))
    index = torch.zeros(1, 1, 3, 4, 5, dtype=torch.uint8)
    assert torch.isfinite(dice_ce(logits, index, torch.zeros_like(index, dtype=torch.bool), [1.0, 1.0]))


def test_right_answers_cost_nothing_and_wrong_ones_much():
    _, values = sample()
    mask = torch.ones(SHAPE, dtype=torch.bool)
    for loss in (balanced_bce, dice_bce):
        assert float(loss(values * 40.0 - 20, values, mask)) < 1e-3
        assert float(loss(20 - values * 40.0, values, mask)) > 1


def test_the_table_knows_class_heads():
    head = ClassHead(kind="classes", class_weights=[1.0, 1.0], loss="dice_ce", weight=1.0)
    index = torch.ones(1, 1, 3, 4, 5, dtype=torch.uint8)
    logits = torch.zeros(SHAPE)
    logits[:, 1] = 30
    assert float(head_loss(head, logits, index, torch.ones_like(index, dtype=torch.bool))) < 1e-3 + 1


@pytest.mark.parametrize("name", ["smooth_l1", "mse"])
@pytest.mark.parametrize("kind", ["signed_distance", "skeleton_distance", "flow"])
def test_distances_and_flow_are_learned_as_a_tanh(kind, name):
    head = (
        FlowHead(kind=kind, loss=name, weight=1) if kind == "flow" else DistanceHead(kind=kind, scale_nm=9, loss=name, weight=1)
    )
    values = torch.tensor([-0.9, 0.5, 0.0, 1.0]).reshape(1, 1, 1, 1, 4).repeat(1, head.channels, 1, 1, 1)
    mask = torch.tensor([True, True, True, False]).reshape(1, 1, 1, 1, 4).expand_as(values)
    right = torch.atanh(values.clamp(-0.999, 0.999))
    assert float(head_loss(head, right, values, mask)) == pytest.approx(0, abs=1e-9)
    logits = right.clone()
    logits[..., 2] = 100.0
    logits[..., 3] = -100.0
    assert float(head_loss(head, logits, values, mask)) == pytest.approx((1 - 0.05 if name == "smooth_l1" else 1) / 3, rel=1e-5)
    assert float(head_loss(head, logits, values, torch.zeros_like(mask))) == 0
    logits.requires_grad_()
    head_loss(head, logits, values, mask).backward()
    assert not logits.grad[..., 3].any()


def test_the_sides_of_synapses_have_a_loss_for_each_value():
    head = PolarityHead(kind="polarity", loss="dice_bce", weight=1)
    values = torch.rand(1, 3, 3, 4, 5, generator=torch.Generator().manual_seed(3)).round().to(torch.uint8)
    mask = torch.ones_like(values, dtype=torch.bool)
    assert float(head_loss(head, values * 40.0 - 20, values, mask)) < 1e-3
    assert float(head_loss(head, 20 - values * 40.0, values, mask)) > 1


def test_learning_rate_warms_up_and_falls():
    rates = [learning_rate_factor(step, 100, 10) for step in range(101)]
    assert rates[0] < 0.1
    assert max(rates) == rates[10] == 1.0
    assert rates[100] == pytest.approx(0.01)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_a_rare_foreground_weighs_more_when_balanced():
    values = torch.zeros(1, 1, 10, 10, 10, dtype=torch.uint8)
    values[0, 0, 0, 0] = 1
    mask = torch.ones_like(values, dtype=torch.bool)
    missed = torch.full(values.shape, -3.0)
    assert float(dice_balanced_bce(missed, values, mask)) > 2 * float(dice_bce(missed, values, mask)) - 1
    assert float(dice_balanced_bce(missed, values, mask) - balanced_bce(missed, values, mask)) == pytest.approx(
        float(dice_bce(missed, values, mask) - torch.nn.functional.binary_cross_entropy_with_logits(missed, values.float())),
        abs=1e-6,
    )


def test_mse_by_hand():
    logits = torch.tensor([0.0, 0.0, 100.0, -100.0]).reshape(1, 1, 1, 1, 4)
    values = torch.tensor([0.5, 1.0, 0.0, 0.7]).reshape(1, 1, 1, 1, 4)
    mask = torch.tensor([True, True, True, False]).reshape(1, 1, 1, 1, 4)
    assert float(mse(logits, values, mask)) == pytest.approx((0 + 0.25 + 1) / 3)
