"""What a training adds to runs/NAME/report.html: how it went, and how the decoder was chosen."""

from __future__ import annotations

import base64
import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytc_auto.files import write_whole
from pytc_auto.report.charts import empty_figure, style, svg
from pytc_auto.report.search import COLORS, INCHES, SCORE, UNITS, search_charts
from pytc_auto.schema.model import ModelScores

BEGIN, END = "<!-- training: begin -->", "<!-- training: end -->"
"""In page.html; what is between them is replaced."""
Curve = dict[int, float]


def add_training(report: Path, scores: ModelScores, folds: Mapping[int, Path]) -> None:
    """Put the section "Training and decoder" into a report, in place of one that is there.

    Args:
        report: As ``pytc plan`` wrote it. Where it is missing, or has no place for the section, nothing is written.
        scores: Of the exported model.
        folds: Folder of each fold, with metrics.csv and validation.png.
    """
    from jinja2 import Environment, PackageLoader

    if not report.is_file():
        return
    text = report.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        return
    environment = Environment(
        loader=PackageLoader("pytc_auto.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    curves = {number: validation_curve(folder / "metrics.csv", SCORE[scores.metric]) for number, folder in folds.items()}
    pictures = {number: _embedded(folder / "validation.png") for number, folder in folds.items()}
    section = environment.get_template("training.html").render(
        facts=_facts(scores),
        pictures={number: picture for number, picture in pictures.items() if picture},
        charts={**_validation_chart(curves, scores.metric), **search_charts(scores)},
    )
    write_whole(report, f"{before}{begin}\n{section}\n{end}{after}")


def validation_curve(metrics: Path, score: str) -> Curve:
    """A validation score by step, as a fold's metrics.csv tells; empty where it tells none."""
    if not metrics.is_file():
        return {}
    with metrics.open(encoding="utf-8", newline="") as file:
        rows = [(row.get("step"), row.get(f"validation/{score}")) for row in csv.DictReader(file)]
    return {int(step): float(value) for step, value in rows if step and value and math.isfinite(float(value))}


def _embedded(picture: Path) -> str:
    """A PNG as an address that holds it; empty without one."""
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode('ascii')}" if picture.is_file() else ""


def _facts(scores: ModelScores) -> list[tuple[str, str]]:
    """What was chosen and how it did, a topic in each row."""
    chosen = scores.search[scores.chosen]
    parameters = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in chosen.parameters.items())
    rows = [("decoder", f"{chosen.kind}: {parameters}; out of {len(scores.search)} by {scores.metric}")]
    for number, found in scores.folds.items():
        told = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in found.items())
        rows.append((f"held-out scores, fold {number}", told))
    if scores.merge_thresholds is not None:
        told = (
            "on skeletons, cut at the faces of what is held out; a segment is a merger if a second skeleton has more nodes in it"
        )
        rows.append(("run lengths", f"{told} than {_thresholds(scores.merge_thresholds)}"))
    if scores.refit:
        rows.append(("refit", "after these scores were taken, the exported weights learned from the held-out data, too"))
    return rows


def _thresholds(nodes: Sequence[int]) -> str:
    """0 (nerl), 5 (nerl_5)."""
    return ", ".join(f"{n} ({f'nerl_{n}' if n else 'nerl'})" for n in nodes)


def _validation_chart(curves: Mapping[int, Curve], metric: str) -> dict[str, str]:
    """The score of the network so far, with a few decoders, at each validation; none where nothing was noted."""
    if not any(curves.values()):
        return {}
    figure = empty_figure(INCHES)
    axes = figure.add_subplot()
    for number, curve in curves.items():
        color, label = COLORS[number % len(COLORS)], f"fold {number}" if len(curves) > 1 else None
        axes.plot(list(curve), list(curve.values()), color=color, linewidth=1.3, marker=".", markersize=5, label=label)
    style(axes, "step", UNITS[metric])
    if len(curves) > 1:
        axes.legend(loc="best", fontsize=8, frameon=False)
    return {"held-out score while training, with a few decoders": svg(figure)}
