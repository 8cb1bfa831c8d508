"""``pytc view --augment``: one row per effect, on data that are planned or not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests_pipeline import write
from typer.testing import CliRunner

import pytc_auto
from pytc_auto.cli import app
from pytc_auto.errors import OutputError, PlanError
from pytc_auto.pipeline import augmentation_sheet as sheet
from pytc_auto.report.contact_sheet import DPI, INCHES
from pytc_auto.schema.augmentation import Effects


@pytest.fixture
def data(tmp_path):
    write(tmp_path / "blobs" / "train", "a", (20, 40, 44), 1)
    return tmp_path / "blobs" / "train"


def test_every_effect_has_a_row_of_the_same_section(data, tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(sheet, "contact_sheet", lambda rows, columns, *_, **__: shown.update(rows=rows, columns=columns))
    told = []
    sheet.augmentation_sheet(data, tmp_path / "sheet.png", progress=lambda *step: told.append(step))
    rows = shown["rows"]
    effects = [done / of for what, done, of in told if what == "effects"]
    assert effects == [n / len(rows) for n in range(len(rows) + 1)]
    assert [row.name.replace(" ", "_") for row in rows] == list(Effects.model_fields)
    assert {len(row.panels) for row in rows} == {len(shown["columns"])}
    stills = {row.panels[0].picture.tobytes() for row in rows}
    assert len(stills) == 2, "gray, and with labels in color"
    for row in rows:
        still, *drawn, _ = (panel.picture for panel in row.panels)
        changed = [bool((still != other).any()) for other in drawn]
        if row.name == "copy paste":
            assert not any(changed), "neurons leave no room"
            assert "not seen here" in row.note
        else:
            assert all(changed), row.name
    on = {row.name for row in rows if row.note.startswith("in the plan")}
    assert on == {"affine", "intensity", "blur", "noise"}


@pytest.mark.drawn
def test_the_sheet_of_data_and_of_its_run_is_a_picture(data, tmp_path):
    pytc_auto.plan(data, runs=tmp_path / "runs")
    for what, name in ((str(data), "data.png"), ("blobs", "run.png")):
        done = CliRunner().invoke(app, ["view", what, "--augment", "-o", str(tmp_path / name), "--runs", str(tmp_path / "runs")])
        assert done.exit_code == 0, done.output
        assert name in done.output.replace("\n", "")
        picture = Image.open(tmp_path / name)
        rows, columns = len(Effects.model_fields), 1 + len(sheet.HEADINGS)
        assert picture.size == (round(INCHES * columns * DPI), round((INCHES * rows + 0.6) * DPI))
        assert np.asarray(picture.convert("L")).std() > 20
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["blobs"]


def test_mistakes_are_told(data, tmp_path):
    with pytest.raises(OutputError, match=r"sheet\.jpg: the sheet is a PNG picture"):
        sheet.augmentation_sheet(data, tmp_path / "sheet.jpg")
    with pytest.raises(PlanError, match="neither a plan file, a data folder nor a run"):
        sheet.augmentation_sheet("nothing", tmp_path / "sheet.png", runs=tmp_path / "runs")
