from __future__ import annotations

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pytc_auto.training.fit import fit


def test_every_validation_leaves_its_picture_here_and_in_tensorboard(plan, network, data, watched, tmp_path):
    made = plan(sampling={"batch": 1, "steps": 6, "validate_every": 2})
    fit(made, network(made), data(made), tmp_path, validate=watched([0.1, 0.3, 0.2]))
    files = sorted((tmp_path / "validation").iterdir())
    assert [file.name for file in files] == ["step_000002.png", "step_000004.png", "step_000006.png"]
    for number, file in enumerate(files, 1):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), np.full((4, 6, 3), number))
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert [event.step for event in events.Images("validation")] == [2, 4, 6]
