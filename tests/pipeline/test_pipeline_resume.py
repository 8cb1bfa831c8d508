from __future__ import annotations

import pytest
from safetensors.numpy import load_file
from tests_pipeline import write

import pytc_auto
from pytc_auto.pipeline.validation import HeldOut
from pytc_auto.schema.plan import Plan


def test_an_interrupted_training_ends_as_an_undisturbed_one(tmp_path, monkeypatch):
    write(tmp_path / "train", "tissue", (26, 36, 48), 1)
    for name in ("whole", "cut"):
        pytc_auto.plan(tmp_path / "train", name=name, runs=tmp_path)
        plan = Plan.load(tmp_path / name / "plan.yaml")
        plan.replace(sampling=plan.sampling.replace(steps=5, validate_every=2)).save(tmp_path / name / "plan.yaml")
    pytc_auto.train("whole", runs=tmp_path)
    seen = []
    score = HeldOut.quick_score

    def killed(self, network, number):
        seen.append(number)
        if len(seen) == 2:
            raise RuntimeError("power cut")
        return score(self, network, number)

    with monkeypatch.context() as patch:
        patch.setattr(HeldOut, "quick_score", killed)
        with pytest.raises(RuntimeError, match="power cut"):
            pytc_auto.train("cut", runs=tmp_path)
    assert not (tmp_path / "cut" / "model").exists()
    pytc_auto.train("cut", runs=tmp_path)
    one, two = (load_file(tmp_path / name / "model" / "fold_0.safetensors") for name in ("whole", "cut"))
    assert all((one[key] == two[key]).all() for key in one)
