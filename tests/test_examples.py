from __future__ import annotations

import runpy
from pathlib import Path

from tests_pipeline import quick  # noqa: F401

from pytc_auto.schema.dataset import Declared

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_whole_way_runs(tmp_path):
    main = runpy.run_path(str(EXAMPLES / "whole_way.py"))["main"]
    scores = main(tmp_path, shape=(26, 36, 48))
    assert 0 <= scores["adapted_rand"] <= 1


def test_the_dataset_file_is_valid():
    declared = Declared.load(EXAMPLES / "dataset.yaml")
    assert declared.voxel_size_nm == (45.0, 4.6, 4.6)
    assert set(Declared.model_fields) == declared.model_fields_set
