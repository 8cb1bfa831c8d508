from __future__ import annotations

import logging

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pytc_auto.errors import ModelError
from pytc_auto.training.finite import BATCH_FILE
from pytc_auto.training.fit import best_weights, fit

SAMPLING = {"batch": 2, "accumulate": 2, "steps": 8, "validate_every": 4}


class Nan(nn.Conv3d):
    """Has weights, and gives nothing but NaN from its ``after``-th pass on."""

    after = 0

    def forward(self, image):
        self.after -= 1
        return super().forward(image) * (1 if self.after >= 0 else float("nan"))


def weights(folder, name="last"):
    return best_weights(folder / "checkpoints" / f"{name}.ckpt")


@pytest.mark.parametrize("optimizer", [{"ema": 0.5}, {"ema": 0.0}])
def test_a_step_with_a_nan_crop_changes_no_weight_and_no_average(plan, network, data, tmp_path, caplog, optimizer):
    """Crop 5 is in the second of the two batches of step 1: as if there had been no such step."""
    settings = {**optimizer, "weight_decay": 0.3, "warmup_steps": 0}
    long = plan(sampling={**SAMPLING, "steps": 2, "validate_every": 2}, optimizer=settings)
    short = plan(sampling={**SAMPLING, "steps": 1, "validate_every": 1}, optimizer=settings)
    with caplog.at_level(logging.WARNING, "pytc_auto"):
        fit(long, network(long), data(long, [5]), tmp_path / "spoiled", validate=None)
    assert "step 1: the loss is not finite. It is skipped (1 so far)" in caplog.text
    fit(long, network(long), data(long), tmp_path / "sound", validate=None)
    fit(short, network(short), data(short), tmp_path / "short", validate=None)
    spoiled, sound, once = (weights(tmp_path / name) for name in ("spoiled", "sound", "short"))
    assert all(torch.equal(spoiled[key], once[key]) for key in once)
    assert any(not torch.equal(sound[key], once[key]) for key in once)


def test_skipped_steps_are_counted_over_a_resumed_run_and_written(plan, network, data, tmp_path):
    made = plan(sampling={**SAMPLING, "accumulate": 1, "steps": 40, "validate_every": 20})
    half = made.replace(sampling=made.sampling.replace(steps=20))
    fit(half, network(half), data(half, [6]), tmp_path, validate=None)
    fit(made, network(made), data(made, [6, 50, 51, 72]), tmp_path, validate=None)
    rows = [row.split(",") for row in (tmp_path / "metrics.csv").read_text().splitlines()]
    column = rows[0].index("skipped_steps")
    assert [float(row[column]) for row in rows[1:] if row[column]][-1] == 3
    state = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["callbacks"]["SkipNonFinite"]
    assert state == {"skipped": 3, "in_a_row": 0}


def test_ten_in_a_row_end_with_the_batch_and_the_last_good_checkpoint(plan, data, tmp_path):
    made = plan(sampling={**SAMPLING, "steps": 40, "validate_every": 3})
    broken = Nan(1, made.outputs, 3, padding=1)
    broken.after = 6 * SAMPLING["accumulate"]
    with pytest.raises(ModelError) as caught:
        fit(made, broken, data(made), tmp_path, validate=None)
    last = tmp_path / "checkpoints/last.ckpt"
    told = str(caught.value)
    assert f"step 15: the loss was not finite 10 times in a row. The batch is in {tmp_path / BATCH_FILE}" in told
    assert f"the last good checkpoint is {last}. Look for NaN" in told
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights(tmp_path).values())
    saved = load_file(tmp_path / BATCH_FILE)
    crops = data(made).crops
    assert torch.equal(saved["image"], torch.stack([crops[62]["image"], crops[63]["image"]]))
    assert saved["targets.0.mask"].dtype == torch.bool
    assert torch.equal(saved["targets.1.values"][1], crops[63]["targets"][1]["values"])


def test_of_accumulated_batches_the_one_to_blame_is_saved(plan, network, data, tmp_path):
    made = plan(sampling={**SAMPLING, "steps": 12, "validate_every": 12})
    with pytest.raises(ModelError, match=r"step 10: .*10 times in a row"):
        fit(made, network(made), data(made, [4 * step for step in range(1, 12)]), tmp_path, validate=None)
    image = load_file(tmp_path / BATCH_FILE)["image"]
    assert torch.equal(image.nan_to_num(), torch.stack([data(made).crops[i]["image"] for i in (40, 41)]) * ~image.isnan())
    assert int(image.isnan().sum()) == 2


def test_before_the_first_checkpoint_none_is_named(plan, data, tmp_path):
    made = plan(sampling={**SAMPLING, "steps": 12, "validate_every": 12})
    with pytest.raises(ModelError, match="the last good checkpoint is none yet"):
        fit(made, Nan(1, made.outputs, 3, padding=1), data(made), tmp_path, validate=None)


def test_a_gradient_that_is_not_finite_is_skipped_too(plan, network, data, tmp_path, monkeypatch):
    made = plan(sampling={**SAMPLING, "steps": 2, "validate_every": 2})
    spoiled = network(made)
    passes = []

    def spoil(gradient):
        passes.append(1)
        return gradient * float("inf") if len(passes) == 3 else gradient

    spoiled[0].weight.register_hook(spoil)
    fit(made, spoiled, data(made), tmp_path, validate=None)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights(tmp_path).values())
