from __future__ import annotations

import math
from functools import partial
from itertools import pairwise, product

import pytest
import torch

from pytc_auto.schema.heads import AffinityHead, BinaryHead, ClassHead, DistanceHead, FlowHead, PolarityHead, ShapeHead
from pytc_auto.training.losses import (
    CLASS_LOSSES,
    LOSSES,
    balanced_bce,
    dice_balanced_bce,
    dice_bce,
    focal,
    focal_ce,
    head_loss,
    tversky,
    tversky_classes,
)
from pytc_auto.training.module import ConnectomicsModule, learning_rate_factor
from pytc_auto.training.regression import REGRESSION

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


@pytest.mark.parametrize("loss", [*LOSSES.values(), *REGRESSION.values()])
def test_masked_voxels_change_nothing(loss):
    logits, values = sample()
    mask = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) < 0.7
    before = loss(logits, values, mask)
    other, changed = logits.clone(), values.clone()
    other[~mask] = 50.0
    changed[~mask] = 1 - changed[~mask]
    assert float(loss(other, changed, mask)) == pytest.approx(float(before), rel=1e-5)


@pytest.mark.parametrize("loss", CLASS_LOSSES.values())
def test_masked_voxels_of_classes_change_nothing(loss):
    logits = torch.randn(2, 3, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    index = torch.randint(0, 3, (2, 1, 2, 3, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    mask = torch.rand(index.shape, generator=torch.Generator().manual_seed(2)) < 0.6
    before = loss(logits, index, mask, [1.0, 2.0, 0.5])
    other, changed = logits.clone(), index.clone()
    other[(~mask).expand_as(other)] = 9.0
    changed[~mask] = 0
    assert float(loss(other, changed, mask, [1.0, 2.0, 0.5])) == pytest.approx(float(before), rel=1e-5)


def test_a_batch_without_a_known_voxel_is_finite():
    logits, values = sample()
    nothing = torch.zeros(SHAPE, dtype=torch.bool)
    every = [*LOSSES.values(), *REGRESSION.values()]
    assert len(every) >= 7
    assert all(torch.isfinite(loss(logits, values, nothing)) for loss in every)
    index = torch.zeros(1, 1, 3, 4, 5, dtype=torch.uint8)
    nothing = torch.zeros_like(index, dtype=torch.bool)
    assert all(torch.isfinite(loss(logits, index, nothing, [1.0, 1.0])) for loss in CLASS_LOSSES.values())


def test_right_answers_cost_nothing_and_wrong_ones_much():
    _, values = sample()
    mask = torch.ones(SHAPE, dtype=torch.bool)
    for loss in (balanced_bce, dice_bce, focal):
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


def shape_loss(name, logits, values, mask):
    return head_loss(ShapeHead(kind="lsd", sigma_nm=80.0, loss=name, weight=1.0), logits, values, mask)


def test_mse_by_hand():
    logits = torch.tensor([0.0, 0.0, 100.0, -100.0]).reshape(1, 1, 1, 1, 4)
    values = torch.tensor([0.5, 1.0, 0.0, 0.7]).reshape(1, 1, 1, 1, 4)
    mask = torch.tensor([True, True, True, False]).reshape(1, 1, 1, 1, 4)
    assert float(shape_loss("mse", logits, values, mask)) == pytest.approx((0 + 0.25 + 1) / 3)


def voxels(logits, values, mask):
    """Channel, probability, value and mask, voxel by voxel."""
    for place in product(*map(range, logits.shape)):
        yield place, 1 / (1 + math.exp(-float(logits[place]))), float(values[place]), bool(mask[place])


def masked_sample(seed=4):
    logits, values = sample(0.3, seed)
    return 3 * logits, values, torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed + 1)) < 0.7


def test_focal_by_hand():
    logits = torch.tensor([0.0, math.log(3), math.log(3), 5.0]).reshape(1, 1, 1, 1, 4)
    values = torch.tensor([1, 1, 0, 0], dtype=torch.uint8).reshape(1, 1, 1, 1, 4)
    mask = torch.tensor([True, True, True, False]).reshape(1, 1, 1, 1, 4)
    expected = (0.5**2 * math.log(2) + 0.25**2 * math.log(4 / 3) + 0.75**2 * math.log(4)) / 3
    assert float(focal(logits, values, mask)) == pytest.approx(expected, rel=1e-5)


def test_focal_is_its_oracle():
    logits, values, mask = masked_sample()
    right = [p if v else 1 - p for _, p, v, known in voxels(logits, values, mask) if known]
    assert float(focal(logits, values, mask)) == pytest.approx(
        sum(-((1 - p) ** 2) * math.log(p) for p in right) / len(right), rel=1e-4
    )


def test_tversky_by_hand():
    """Two found, one claimed wrongly, one missed: 2 / (2 + 0.3 + 0.7); in the other channel all is right."""
    values = torch.tensor([[1, 1, 0, 1, 0], [0, 1, 1, 0, 0]], dtype=torch.uint8).reshape(1, 2, 1, 1, 5)
    found = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 1, 0, 1]]).reshape(1, 2, 1, 1, 5)
    mask = torch.ones_like(values, dtype=torch.bool)
    mask[0, 1, 0, 0, 4] = False
    assert float(tversky(found * 80.0 - 40, values, mask)) == pytest.approx((1 / 3 + 0) / 2, abs=1e-4)


def test_tversky_is_its_oracle():
    logits, values, mask = masked_sample()
    index = []
    for channel in range(SHAPE[1]):
        mine = [(p, v) for place, p, v, known in voxels(logits, values, mask) if known and place[1] == channel]
        common, wrong, missed = (
            sum(f(p, v) for p, v in mine) for f in (lambda p, v: p * v, lambda p, v: p * (1 - v), lambda p, v: (1 - p) * v)
        )
        index.append(common / (common + 0.3 * wrong + 0.7 * missed))
    assert float(tversky(logits, values, mask)) == pytest.approx(1 - sum(index) / len(index), rel=1e-3)


def test_smooth_l1_by_hand():
    logits = torch.tensor([0.0, 0.0, 100.0, -100.0]).reshape(1, 1, 1, 1, 4)
    values = torch.tensor([0.54, 1.0, 0.0, 0.7]).reshape(1, 1, 1, 1, 4)
    mask = torch.tensor([True, True, True, False]).reshape(1, 1, 1, 1, 4)
    expected = (0.04**2 / 2 / 0.1 + (0.5 - 0.05) + (1 - 0.05)) / 3
    assert float(shape_loss("smooth_l1", logits, values, mask)) == pytest.approx(expected, rel=1e-4)


def test_smooth_l1_is_its_oracle():
    logits, _, mask = masked_sample()
    values = torch.rand(SHAPE, generator=torch.Generator().manual_seed(9))
    wrong = [abs(p - v) for _, p, v, known in voxels(logits, values, mask) if known]
    assert min(wrong) < 0.1 < max(wrong)
    expected = sum(w * w / 0.2 if w < 0.1 else w - 0.05 for w in wrong) / len(wrong)
    assert float(shape_loss("smooth_l1", logits, values, mask)) == pytest.approx(expected, rel=1e-4)


CLASS_WEIGHTS = [1.0, 3.0, 0.5]


def class_sample():
    logits = 2 * torch.randn(2, 3, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    index = torch.randint(0, 3, (2, 1, 3, 4, 5), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    mask = torch.rand(index.shape, generator=torch.Generator().manual_seed(2)) < 0.6
    known = [(int(index[n, 0, z, y, x]), logits[n, :, z, y, x].tolist()) for n, _, z, y, x in mask.nonzero().tolist()]
    shares = [(truth, [math.exp(v) / sum(map(math.exp, voxel)) for v in voxel]) for truth, voxel in known]
    return logits, index, mask, shares


def test_the_focal_loss_of_classes_is_its_oracle():
    logits, index, mask, shares = class_sample()
    total = sum(CLASS_WEIGHTS[truth] * (1 - p[truth]) ** 2 * -math.log(p[truth]) for truth, p in shares)
    expected = total / sum(CLASS_WEIGHTS[truth] for truth, _ in shares)
    assert float(focal_ce(logits, index, mask, CLASS_WEIGHTS)) == pytest.approx(expected, rel=1e-4)


def test_the_tversky_loss_of_classes_is_its_oracle():
    logits, index, mask, shares = class_sample()
    found = 0.0
    for number, weight in enumerate(CLASS_WEIGHTS):
        common = sum(p[number] for truth, p in shares if truth == number)
        wrong = sum(p[number] for truth, p in shares if truth != number)
        missed = sum(1 - p[number] for truth, p in shares if truth == number)
        found += weight * common / (common + 0.3 * wrong + 0.7 * missed)
    loss = tversky_classes(logits, index, mask, CLASS_WEIGHTS)
    assert float(loss) == pytest.approx(1 - found / sum(CLASS_WEIGHTS), rel=1e-3)


@pytest.mark.parametrize("loss", [focal, tversky, partial(shape_loss, "smooth_l1")])
def test_a_step_against_the_gradient_lowers_the_loss(loss):
    logits, values, mask = masked_sample()
    logits.requires_grad_()
    before = loss(logits, values, mask)
    before.backward()
    with torch.no_grad():
        assert float(loss(logits - 0.5 * logits.grad, values, mask)) < float(before)
    assert not bool(logits.grad[~mask].any())


@pytest.mark.parametrize(
    ("kind", "fields", "names"),
    [
        (
            AffinityHead,
            {"kind": "affinities", "offsets": [(-1, 0, 0), (0, -1, 0)]},
            ["balanced_bce", "dice_bce", "dice_balanced_bce", "focal", "tversky"],
        ),
        (
            BinaryHead,
            {"kind": "boundary", "width_nm": 9.0},
            ["dice_bce", "dice_balanced_bce", "balanced_bce", "focal", "tversky"],
        ),
    ],
)
def test_every_head_has_the_losses_it_may_choose(kind, fields, names):
    assert list(kind.model_fields["loss"].annotation.__args__) == names
    logits, values, mask = masked_sample()
    for name in names:
        head = kind(**fields, loss=name, weight=2.0)
        assert float(head_loss(head, logits, values, mask)) == float(LOSSES[name](logits, values, mask))


def test_every_class_head_has_the_losses_it_may_choose():
    logits, index, mask, _ = class_sample()
    names = list(ClassHead.model_fields["loss"].annotation.__args__)
    assert names == list(CLASS_LOSSES)
    found = [
        float(head_loss(ClassHead(kind="classes", class_weights=CLASS_WEIGHTS, loss=n, weight=1.0), logits, index, mask))
        for n in names
    ]
    assert len(set(found)) == len(names)


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
def test_heads_are_weighed_by_hand(plan, weighting):
    made = plan(optimizer={"weighting": weighting})
    made = made.replace(heads=[made.heads[0].replace(weight=2.0), made.heads[1]])
    module = ConnectomicsModule(torch.nn.Conv3d(1, made.outputs, 1), made, None)
    values = [torch.tensor(0.5), torch.tensor(3.0)]

    def weighted():
        return float(sum(module.weighted(number, value) for number, value in enumerate(values)).detach())

    assert weighted() == pytest.approx(2 * 0.5 + 3.0)
    if weighting == "fixed":
        assert module.log_variances is None
        return
    with torch.no_grad():
        module.log_variances.copy_(torch.tensor([math.log(4), -1.0]))
    assert weighted() == pytest.approx(2 * 0.5 / 4 + math.log(4) / 2 + math.e * 3.0 - 0.5)


def test_what_is_learned_of_the_noise_follows_the_loss(plan):
    """The best log variance of a head is log(2 · weight · loss): there the derivative is 0."""
    made = plan(optimizer={"weighting": "uncertainty", "weight_decay": 0.5})
    module = ConnectomicsModule(torch.nn.Conv3d(1, made.outputs, 1), made, None)
    groups = module.configure_optimizers()["optimizer"].param_groups
    assert [any(p is module.log_variances for p in group["params"]) for group in groups] == [False, True]
    assert groups[1]["weight_decay"] == 0
    losses = [torch.tensor(0.05), torch.tensor(2.0)]
    optimizer = torch.optim.SGD([module.log_variances], lr=0.2)
    for _ in range(400):
        optimizer.zero_grad()
        sum(module.weighted(number, loss) for number, loss in enumerate(losses)).backward()
        optimizer.step()
    assert module.log_variances.tolist() == pytest.approx([math.log(0.1), math.log(4)], abs=1e-3)
