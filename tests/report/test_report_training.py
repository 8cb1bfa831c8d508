from __future__ import annotations

import base64
import itertools
import re
from html.parser import HTMLParser
from io import BytesIO
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from pytc_auto.report.search import MAIN, search_charts, search_picture
from pytc_auto.report.training import BEGIN, END, add_training, validation_curve
from pytc_auto.schema.model import DecoderKind, ModelScores, TriedDecoder

PAGE = f"<html><body><h1>x</h1>\n{BEGIN}\n{END}\n<h2>The data</h2></body></html>"


class Words(HTMLParser):
    """The text and tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.text, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def neurons(*, refit=False, folds=(0,)):
    """Two kinds of decoder; the chosen one is agglomerate with threshold 0.5, min size 100 and foreground threshold 0.2."""
    search = []
    for threshold, least, size in itertools.product((0.3, 0.5, 0.7), (0.0, 0.2), (0.0, 100.0)):
        split, merge = 0.4 * threshold + 0.1 * (size == 0), 0.6 - 0.5 * threshold + 0.1 * (least == 0)
        voi = split + merge + abs(threshold - 0.5)
        parameters = {"threshold": threshold, "min_size": size, "foreground_threshold": least}
        scores = {"voi": voi, "voi_split": split, "voi_merge": merge}
        search.append(TriedDecoder(kind="agglomerate", parameters=parameters, merit=-voi, scores=scores))
    for bias in (0.2, 0.6):
        parameters = {"bias": bias, "min_size": 0.0, "foreground_threshold": 0.0}
        scores = {"voi": 2 - bias, "voi_split": 1.0, "voi_merge": 1 - bias}
        search.append(TriedDecoder(kind="mutex", parameters=parameters, merit=bias - 2, scores=scores))
    chosen = max(range(len(search)), key=lambda i: search[i].merit)
    assert search[chosen].parameters == {"threshold": 0.5, "min_size": 100, "foreground_threshold": 0.2}
    return ModelScores(metric="voi", refit=refit, folds=dict.fromkeys(folds, search[chosen].scores), search=search, chosen=chosen)


def of_metric(metric, kind, parameter):
    name = {"dice": "mean_foreground_dice"}.get(metric, metric)
    search = [TriedDecoder(kind=kind, parameters={parameter: v}, merit=v / 10, scores={name: v / 10}) for v in (1.0, 2.0, 3.0)]
    return ModelScores(metric=metric, refit=False, folds={0: {name: 0.3}}, search=search, chosen=2)


def fold(folder, steps):
    rows = ["epoch,step,train/affinities,validation/score,validation/voi"]
    for step in steps:
        rows += [f"0,{step - 1},0.5,,", f"0,{step},,-1.5,{1000 / step}"]
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_the_section_tells_what_was_chosen_and_draws_every_kind(tmp_path):
    report = tmp_path / "report.html"
    report.write_text(PAGE)
    add_training(report, neurons(), {0: fold(tmp_path, (60, 120, 240))})
    page = Words(report.read_text())
    for words in (
        "Training and decoder",
        "agglomerate: threshold 0.5, min size 100, foreground threshold 0.2; out of 14 by voi",
        "held-out scores, fold 0 voi 0.550, voi split 0.200, voi merge 0.350",
        "held-out score while training",
        "decoder agglomerate with foreground threshold 0.2",
        "decoder mutex with foreground threshold 0",
        "every decoder that was tried: splits against mergers",
        "min size 100",
        "VOI, bits (lower is better)",
    ):
        assert words in page.words, words
    assert page.words.count("chosen") == 2
    assert page.tags.count("figure") == 4
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.words.endswith("The data")


def test_the_picture_of_what_was_held_out_is_in_the_page_itself(tmp_path):
    report = tmp_path / "report.html"
    report.write_text(PAGE)
    drawn = fold(tmp_path, (60,))
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(drawn / "validation.png")
    add_training(report, neurons(), {0: drawn, 1: tmp_path / "none"})
    text = report.read_text()
    (embedded,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    np.testing.assert_array_equal(Image.open(BytesIO(base64.b64decode(embedded))), np.arange(48).reshape(6, 8))
    assert "held out in fold 0" in Words(text).words


def test_the_section_is_replaced_and_the_rest_stays(tmp_path):
    report = tmp_path / "report.html"
    report.write_text(PAGE)
    add_training(report, neurons(refit=True, folds=(0, 1)), {})
    assert "learned from the held-out data, too" in report.read_text()
    assert "while training" not in report.read_text()
    add_training(report, of_metric("dice", "argmax", "min_size"), {})
    text = report.read_text()
    assert "agglomerate" not in text
    assert (text.count("<h2>"), text.count(BEGIN), text.count(END)) == (2, 1, 1)
    assert re.sub(f"{BEGIN}.*{END}", f"{BEGIN}\n{END}", text, flags=re.S) == PAGE


def test_a_report_that_is_missing_or_has_no_place_is_left_alone(tmp_path):
    add_training(tmp_path / "report.html", neurons(), {})
    assert not (tmp_path / "report.html").exists()
    (tmp_path / "report.html").write_text("<h1>mine</h1>")
    add_training(tmp_path / "report.html", neurons(), {})
    assert (tmp_path / "report.html").read_text() == "<h1>mine</h1>"


@pytest.mark.parametrize(
    ("metric", "kind", "parameter", "unit"),
    [
        ("ap", "seeded", "seed_threshold", "average precision"),
        ("ap", "components", "threshold", "average precision"),
        ("dice", "argmax", "min_size", "mean foreground Dice"),
        ("nerl", "mutex", "bias", "NERL (1 is best)"),
    ],
)
def test_other_metrics_have_one_chart(metric, kind, parameter, unit):
    charts = search_charts(of_metric(metric, kind, parameter))
    assert list(charts) == [f"decoder {kind}"]
    assert all(words in charts[f"decoder {kind}"] for words in (unit, parameter.replace("_", " "), "chosen"))


def test_by_what_run_lengths_were_measured_is_told(tmp_path):
    report = tmp_path / "report.html"
    for thresholds, told in ((None, False), ([0, 5], True)):
        report.write_text(PAGE)
        add_training(report, of_metric("nerl", "mutex", "bias").replace(merge_thresholds=thresholds), {})
        assert ("a second skeleton has more nodes in it than 0 (nerl), 5 (nerl_5)" in report.read_text()) is told


def test_a_line_holds_the_search_s_own_numbers(monkeypatch):
    from matplotlib.axes import Axes

    drawn = {}

    def plot(self, x, y, **style):
        drawn.setdefault(style.get("label"), (list(x), [round(v, 6) for v in y]))
        return real(self, x, y, **style)

    real = Axes.plot
    monkeypatch.setattr(Axes, "plot", plot)
    scores = neurons()
    search_charts(scores)
    of_kind = [t for t in scores.search if t.kind == "agglomerate" and t.parameters["foreground_threshold"] == 0.2]
    for size in (0, 100):
        line = {t.parameters["threshold"]: round(t.scores["voi"], 6) for t in of_kind if t.parameters["min_size"] == size}
        assert drawn[f"min size {size}"] == ([0.3, 0.5, 0.7], [line[0.3], line[0.5], line[0.7]])


def test_the_picture_has_a_panel_for_each_chart(tmp_path):
    search_picture(neurons(), tmp_path / "0/decoder.png")
    search_picture(of_metric("ap", "seeded", "seed_threshold"), tmp_path / "one.png")
    wide, narrow = (np.asarray(Image.open(tmp_path / name)) for name in ("0/decoder.png", "one.png"))
    assert wide.shape[1] == 3 * narrow.shape[1]
    assert wide.std() > 10


def test_a_curve_leaves_out_what_is_missing_or_not_a_number(tmp_path):
    path = fold(tmp_path, (10, 20)) / "metrics.csv"
    path.write_text(path.read_text() + "1,30,,,nan\n")
    assert validation_curve(path, "voi") == {10: 100.0, 20: 50.0}
    assert validation_curve(path, "ap") == {}
    assert validation_curve(tmp_path / "none.csv", "voi") == {}


def test_every_kind_of_decoder_can_be_drawn():
    assert set(MAIN) == set(get_args(DecoderKind))
