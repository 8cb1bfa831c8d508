from __future__ import annotations

import pytest

from pytc_auto.training.fit import fit


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(("steps", "every", "after"), [(7, 3, [3, 6, 7]), (5, 4, [4, 5]), (2, 3, [2]), (4, 2, [2, 4])])
def test_the_last_interval_is_validated_however_short(plan, network, data, watched, tmp_path, steps, every, after, accumulate):
    made = plan(sampling={"batch": 1, "steps": steps, "validate_every": every, "accumulate": accumulate})
    rising = watched([0.1 * (i + 1) for i in range(len(after))])
    fitted = fit(made, network(made), data(made), tmp_path, validate=rising)
    assert fitted.steps == steps
    assert [int(file.stem.rpartition("_")[2]) for file in sorted((tmp_path / "validation").iterdir())] == after


def test_it_is_validated_where_the_training_was_taken_up_again(plan, network, data, watched, tmp_path):
    made = plan(sampling={"batch": 1, "steps": 7, "validate_every": 3})
    cut = watched([0.1])
    with pytest.raises(RuntimeError, match="power cut"):
        fit(made, network(made), data(made), tmp_path, validate=cut)
    going_on = watched([0.2, 0.3])
    assert fit(made, network(made), data(made), tmp_path, validate=going_on).steps == 7
    assert len(going_on.weights) == 2
