"""The decoder's search, drawn: the metric over the decoder's main parameter, and what splits cost in mergers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytc_auto.report.charts import INK, empty_figure, style, svg
from pytc_auto.schema.model import DecoderKind, ModelScores, TriedDecoder

MAIN: Mapping[DecoderKind, str] = MappingProxyType(
    {
        "agglomerate": "threshold",
        "mutex": "bias",
        "seeded": "seed_threshold",
        "argmax": "min_size",
        "polarity": "threshold",
        "components": "threshold",
    }
)
"""The parameter along which a kind of decoder is drawn."""
SCORE = MappingProxyType({"voi": "voi", "dice": "mean_foreground_dice", "ap": "ap", "nerl": "nerl"})
"""The score that a metric goes by."""
UNITS = MappingProxyType(
    {
        "voi": "VOI, bits (lower is better)",
        "dice": "mean foreground Dice",
        "ap": "average precision",
        "nerl": "NERL (1 is best)",
    }
)
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
CHOSEN = "#d55e00"
INCHES = (4.6, 2.7)
Draw = Callable[[Any], None]


def search_charts(scores: ModelScores) -> dict[str, str]:
    """SVG charts of a search, each with its caption."""
    charts = {}
    for caption, draw in _drawings(scores).items():
        figure = empty_figure(INCHES)
        draw(figure.add_subplot())
        charts[caption] = svg(figure)
    return charts


def search_picture(scores: ModelScores, path: Path) -> None:
    """All charts of a search side by side, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawings = _drawings(scores)
    figure = empty_figure((INCHES[0] * len(drawings), INCHES[1] + 0.4))
    FigureCanvasAgg(figure)
    for number, (caption, draw) in enumerate(drawings.items(), 1):
        axes = figure.add_subplot(1, len(drawings), number)
        axes.set_title(caption, fontsize=9)
        draw(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _drawings(scores: ModelScores) -> dict[str, Draw]:
    """What draws each chart, by its caption."""
    drawings: dict[str, Draw] = {}
    for kind in dict.fromkeys(tried.kind for tried in scores.search):
        shown = _shown(scores, kind)
        drawings[_caption(kind, shown)] = partial(_curves, scores=scores, kind=kind, shown=shown)
    if all({"voi_split", "voi_merge"} <= tried.scores.keys() for tried in scores.search):
        drawings["every decoder that was tried: splits against mergers"] = partial(_splits_and_mergers, scores=scores)
    return drawings


def _shown(scores: ModelScores, kind: DecoderKind) -> TriedDecoder:
    """The chosen decoder; of another kind the best."""
    chosen = scores.search[scores.chosen]
    return chosen if chosen.kind == kind else max((t for t in scores.search if t.kind == kind), key=lambda t: t.merit)


def _caption(kind: DecoderKind, shown: TriedDecoder) -> str:
    fixed = {name: value for name, value in shown.parameters.items() if name not in (MAIN[kind], "min_size")}
    told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in fixed.items())
    return f"decoder {kind}{f' with {told}' if told else ''}"


def _curves(axes: Any, scores: ModelScores, kind: DecoderKind, shown: TriedDecoder) -> None:
    """The metric over the main parameter, a line for each least size; the other parameters as in what is shown."""
    main, score = MAIN[kind], SCORE[scores.metric]
    of_kind = [t for t in scores.search if t.kind == kind]
    drawn = [t for t in of_kind if _others(t, main, "min_size") == _others(shown, main, "min_size")]
    sizes = dict.fromkeys(t.parameters.get("min_size", 0.0) for t in drawn) if main != "min_size" else {None: None}
    for number, size in enumerate(sizes):
        line = sorted((t for t in drawn if size in (None, t.parameters.get("min_size", 0.0))), key=lambda t: t.parameters[main])
        label = None if size is None else f"min size {size:g}"
        color = COLORS[number % len(COLORS)]
        values = [t.parameters[main] for t in line], [t.scores[score] for t in line]
        axes.plot(*values, color=color, linewidth=1.3, marker=".", markersize=5, label=label)
    chosen = scores.search[scores.chosen]
    if chosen.kind == kind:
        _mark(axes, chosen.parameters[main], chosen.scores[score])
    style(axes, main.replace("_", " "), UNITS[scores.metric])
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=8, frameon=False)


def _splits_and_mergers(axes: Any, scores: ModelScores) -> None:
    """A line for each set of the other parameters, along the main one."""
    for number, kind in enumerate(dict.fromkeys(t.kind for t in scores.search)):
        lines = _lines([t for t in scores.search if t.kind == kind], MAIN[kind])
        for first, line in enumerate(lines):
            split, merge = [t.scores["voi_split"] for t in line], [t.scores["voi_merge"] for t in line]
            label = None if first else kind
            axes.plot(merge, split, color=COLORS[number], linewidth=0.8, alpha=0.6, marker=".", markersize=3, label=label)
    chosen = scores.search[scores.chosen].scores
    _mark(axes, chosen["voi_merge"], chosen["voi_split"])
    style(axes, "VOI merge, bits", "VOI split, bits")
    axes.legend(loc="best", fontsize=8, frameon=False)


def _lines(tried: Sequence[TriedDecoder], main: str) -> list[list[TriedDecoder]]:
    """Those that differ in the main parameter alone, along it."""
    lines: dict[tuple[tuple[str, float], ...], list[TriedDecoder]] = {}
    for one in tried:
        lines.setdefault(tuple(sorted(_others(one, main).items())), []).append(one)
    return [sorted(line, key=lambda t: t.parameters[main]) for line in lines.values()]


def _others(tried: TriedDecoder, *names: str) -> Mapping[str, float]:
    """The parameters without some."""
    return {name: value for name, value in tried.parameters.items() if name not in names}


def _mark(axes: Any, x: float, y: float) -> None:
    """A ring around the chosen point."""
    axes.plot(
        [x], [y], marker="o", markersize=11, markerfacecolor="none", markeredgecolor=CHOSEN, markeredgewidth=1.8, linestyle=""
    )
    axes.annotate("chosen", (x, y), xytext=(9, 5), textcoords="offset points", fontsize=8, color=INK)
