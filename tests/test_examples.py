from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from tests_pipeline import quick  # noqa: F401

from pytc_auto.schema.dataset import Declared

EXAMPLES = Path(__file__).parents[1] / "examples"
PAGE = Path(__file__).parents[1] / "docs" / "data.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_whole_way_runs(tmp_path):
    main = runpy.run_path(str(EXAMPLES / "whole_way.py"))["main"]
    scores = main(tmp_path, shape=(26, 36, 48))
    assert 0 <= scores["adapted_rand"] <= 1


def test_the_dataset_file_is_valid():
    declared = Declared.load(EXAMPLES / "dataset.yaml")
    assert declared.voxel_size_nm == (45.0, 4.6, 4.6)
    assert set(Declared.model_fields) == declared.model_fields_set


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_dataset_file_of_the_documentation_is_valid(number, tmp_path):
    (tmp_path / "dataset.yaml").write_text(BLOCKS[number])
    assert Declared.load(tmp_path / "dataset.yaml").model_fields_set


def test_the_documentation_shows_every_field(tmp_path):
    (tmp_path / "dataset.yaml").write_text(BLOCKS[-1])
    assert set(Declared.model_fields) == Declared.load(tmp_path / "dataset.yaml").model_fields_set
    assert len(BLOCKS) >= 7
