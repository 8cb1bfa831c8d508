from __future__ import annotations

import pytest
import torch

from pytc_auto.training.averaging import averaging, equal_from
from pytc_auto.training.fit import best_weights, fit

NO_AVERAGE, EMA, SWA = {"ema": 0.0}, {"ema": 0.7}, {"ema": 0.0, "swa_start": 0.4}
SAMPLING = {"batch": 1, "steps": 9, "validate_every": 3}


def test_the_mean_from_a_step_on_by_hand():
    average, seen = equal_from(3), torch.tensor([5.0, 7.0, 1.0, 2.0, 4.0, 9.0])
    now, found = seen[0], [5.0]
    for count in range(1, 6):
        now = average(now, seen[count], torch.tensor(count))
        found.append(float(now))
    assert found == pytest.approx([5, 7, 1, 2, 3, 5])


def test_one_average_at_a_time(plan):
    assert averaging(plan(optimizer=NO_AVERAGE), lambda: False) is None
    with pytest.raises(ValueError, match=r"ema 0\.7 and swa_start 0\.4 are two averages"):
        plan(optimizer={**SWA, "ema": 0.7})


def steps(made, network, data, tmp_path):
    """The weights after each step, by a run that validates after each, without an average."""
    plain = made.replace(
        optimizer=made.optimizer.replace(**NO_AVERAGE, swa_start=None), sampling=made.sampling.replace(validate_every=1)
    )
    seen = []

    class Keep(torch.nn.Sequential):
        def forward(self, image):
            seen.append({name: tensor.clone() for name, tensor in self.state_dict().items()})
            return super().forward(image)

    fit(plain, Keep(*network(plain)), data(plain), tmp_path / "plain", validate=None)
    return [*seen[1:], best_weights(tmp_path / "plain/checkpoints/last.ckpt")]


@pytest.mark.parametrize("optimizer", [NO_AVERAGE, EMA, SWA])
def test_the_saved_weights_are_those_the_best_validation_was_made_with(plan, network, data, watched, tmp_path, optimizer):
    made = plan(sampling=SAMPLING, optimizer=optimizer)
    validate = watched([0.2, 0.9, 0.5])
    fitted = fit(made, network(made), data(made), tmp_path / "run", validate=validate)
    saved = best_weights(fitted.checkpoint)
    assert all(torch.equal(saved[key], tensor) for key, tensor in validate.weights[1].items())
    assert not all(torch.equal(saved[key], tensor) for key, tensor in validate.weights[2].items())


@pytest.mark.parametrize("optimizer", [EMA, SWA])
def test_the_average_is_that_of_an_oracle(plan, network, data, watched, tmp_path, optimizer):
    made = plan(sampling=SAMPLING, optimizer=optimizer)
    validate = watched([0.1, 0.2, 0.3])
    fit(made, network(made), data(made), tmp_path / "run", validate=validate)
    each = [state["0.weight"] for state in steps(made, network, data, tmp_path)]
    for number, state in zip((3, 6, 9), validate.weights, strict=True):
        if "swa_start" in optimizer:
            expected = torch.stack(each[4:number]).mean(0) if number > 4 else each[number - 1]
        else:
            expected = each[0]
            for later in each[1:number]:
                expected = 0.7 * expected + 0.3 * later
        torch.testing.assert_close(state["0.weight"], expected)


@pytest.mark.parametrize("optimizer", [EMA, SWA])
def test_an_average_goes_on_in_a_resumed_run(plan, network, data, watched, tmp_path, optimizer):
    made = plan(sampling=SAMPLING, optimizer=optimizer)
    fit(made, network(made), data(made), tmp_path / "whole", validate=watched([0.1, 0.2, 0.3]))
    with pytest.raises(RuntimeError, match="power cut"):
        fit(made, network(made), data(made), tmp_path / "cut", validate=watched([0.1, 0.2]))
    fit(made, network(made), data(made), tmp_path / "cut", validate=watched([0.3]))
    whole, cut = (best_weights(tmp_path / name / "checkpoints/best.ckpt") for name in ("whole", "cut"))
    assert all(torch.equal(whole[key], cut[key]) for key in whole)


def test_validations_without_gain_end_the_training(plan, network, data, watched, tmp_path):
    made = plan(sampling={**SAMPLING, "steps": 30, "patience": 2})
    fitted = fit(made, network(made), data(made), tmp_path / "run", validate=watched([0.2, 0.5, 0.5, 0.4, 0.9]))
    assert fitted.steps == 12
    assert not fitted.stopped_early
    patient = made.replace(sampling=made.sampling.replace(patience=None))
    scores = [0.2, 0.5, *[0.1] * 8]
    assert fit(patient, network(made), data(made), tmp_path / "patient", validate=watched(scores)).steps == 30
