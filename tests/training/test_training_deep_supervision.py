from __future__ import annotations

import pytest
import torch
from samples import AFFINITIES, FOREGROUND, small_plan

from pytc_auto.models.build import build_network
from pytc_auto.schema.network import Network
from pytc_auto.training import probe
from pytc_auto.training.deep_supervision import loss_over_stages, stage_weights, stages_of
from pytc_auto.training.losses import head_loss
from pytc_auto.training.module import ConnectomicsModule

NETWORK = {
    "kind": "unet",
    "features": [4, 6, 8],
    "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
    "kernels": [[3, 3, 3]] * 3,
    "blocks": [1, 1, 1],
    "deep_supervision": True,
}
SIZES = [(4, 12, 24), (4, 6, 8), (2, 3, 4)]


def test_each_stage_counts_half_as_much_as_the_finer_one():
    assert stage_weights(1) == [1.0]
    assert stage_weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    one = torch.zeros(1)
    assert stages_of(one) == [one]
    assert stages_of([one, one]) == [one, one]


def test_targets_and_masks_are_sampled_on_the_coarser_grids():
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(2, 3, *size, generator=generator) for size in SIZES]
    values, mask = torch.randn(2, 3, *SIZES[0], generator=generator), torch.rand(2, 3, *SIZES[0], generator=generator) > 0.4
    before = values.clone(), mask.clone()

    def loss(made, wanted, known):
        return ((made - wanted) * known).abs().sum()

    total = 0.0
    for weight, size, made in zip([4 / 7, 2 / 7, 1 / 7], SIZES, logits, strict=True):
        for n, k, z, y, x in torch.cartesian_prod(*map(torch.arange, (2, 3, *size))).tolist():
            at = (n, k, *[i * whole // part for i, whole, part in zip((z, y, x), SIZES[0], size, strict=True)])
            total += weight * float(abs(made[n, k, z, y, x] - values[at])) * bool(mask[at])
    assert float(loss_over_stages(logits, values, mask, loss)) == pytest.approx(total, rel=1e-5)
    assert torch.equal(values, before[0])
    assert torch.equal(mask, before[1])


def _step(plan, batch):
    """The loss of the module's training step, and the network it was made with."""
    torch.manual_seed(0)
    network = build_network(plan)
    module = ConnectomicsModule(network, plan, None)
    module.log = lambda *_, **__: None
    return module.training_step(batch, 0), network


def test_a_training_step_sums_heads_and_stages():
    plan = small_plan(patch=[8, 16, 24], network=NETWORK, heads=[AFFINITIES, {**FOREGROUND, "weight": 0.5}])
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(1, 1, 8, 16, 24, generator=generator)
    targets = [
        {"values": (torch.rand(1, k, 8, 16, 24, generator=generator) > 0.5).float(), "mask": torch.ones(1, k, 8, 16, 24).bool()}
        for k in (6, 1)
    ]
    loss, network = _step(plan, {"image": image, "targets": targets})
    with torch.no_grad():
        fine, coarse = network(image)
    wanted = 0.0
    for weight, made, step in ((2 / 3, fine, 1), (1 / 3, coarse, 2)):
        for head, part, target in zip(plan.heads, made.split([6, 1], dim=1), targets, strict=True):
            sampled = [target[name][:, :, :, ::step, ::step] for name in ("values", "mask")]
            wanted += weight * head.weight * float(head_loss(head, part, *sampled))
    assert float(loss.detach()) == pytest.approx(wanted, rel=1e-5)
    loss.backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_a_step_with_deep_supervision_can_be_timed():
    network = Network.model_validate(NETWORK)
    assert next(probe.training_steps(network, 2, (8, 16, 24), batch=1, precision="fp32", device="cpu")) > 0
