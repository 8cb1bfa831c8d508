"""Curves and histograms of a report, drawn as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np

from pytc_auto.fingerprint.measurement import SizeHistogram
from pytc_auto.fingerprint.sections import Sections
from pytc_auto.schema.fingerprint import IntensityFacts

INCHES = (4.6, 2.3)
INK, FILL = "#1f3a5f", "#9db8d6"
DEFECTS = {
    "missing": ("blank", "#000000"),
    "duplicate": ("repeated", "#009e73"),
    "shifted": ("shifted", "#d55e00"),
    "dark": ("dark", "#0072b2"),
    "bright": ("bright", "#e69f00"),
    "blurred": ("blurred", "#cc79a7"),
}
MOST_MARKS = 200
"""Of more marked sections the first ones are marked."""


def gray_values(facts: IntensityFacts) -> str | None:
    """Histogram of uint8 data, without its padding; None for other data."""
    if facts.histogram is None:
        return None
    figure, axes = _figure("gray value", "share of the voxels, %")
    counts = np.asarray(facts.histogram, np.float64)
    if facts.padding_value is not None:
        counts[int(facts.padding_value)] = 0
    axes.fill_between(np.arange(256), 100 * counts / max(1.0, counts.sum()), step="mid", color=FILL, linewidth=0)
    _mark_percentiles(axes, facts.percentiles, ("p0_5", "p50", "p99_5"), "{:.0f}")
    axes.set_xlim(0, 255)
    axes.set_ylim(bottom=0)
    return svg(figure)


def instance_sizes(sizes: SizeHistogram) -> str:
    """How many components have which size."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure("diameter of a ball of the same volume, nm", "components")
    axes.stairs(sizes.counts, sizes.edges_nm, fill=True, color=FILL)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return svg(figure)


def section_curves(sections: Sections, axis: str) -> dict[str, str]:
    """Gray values, sharpness, correlation and shift of each section; the sections that stand out are marked.

    Args:
        sections: Of one volume.
        axis: Name of the cutting axis.

    Returns:
        A chart for each caption; those without a single value are left out.
    """
    curves, defects = sections.curves, sections.defects
    at, after = curves.section, curves.section[1:]
    marked = {kind: getattr(defects, kind) for kind in DEFECTS}
    lines = {
        "sharpness": (at, curves.sharpness, "sharpness", ("blurred",)),
        "likeness to the section before": (after, curves.correlation[:-1], "correlation", ("duplicate",)),
        "shift against the section before": (after, curves.shift_length_nm[:-1], "shift, nm", ("shifted",)),
    }
    charts = {"gray values": _gray_curve(at, curves.mean, curves.std, marked, axis)} if np.isfinite(curves.mean).any() else {}
    for caption, (where, values, unit, kinds) in lines.items():
        if np.isfinite(values).any():
            figure, axes = _section_figure(axis, unit)
            _line(axes, where, values)
            _mark_sections(axes, {kind: marked[kind] for kind in kinds})
            charts[caption] = svg(figure)
    return charts


def _gray_curve(at: Any, mean: Any, std: Any, marked: Mapping[str, Sequence[int]], axis: str) -> str:
    """Mean and one standard deviation on either side."""
    figure, axes = _section_figure(axis, "mean ± deviation")
    axes.fill_between(at, mean - std, mean + std, color=FILL, alpha=0.5, linewidth=0)
    _line(axes, at, mean)
    _mark_sections(axes, {kind: marked[kind] for kind in ("missing", "dark", "bright")})
    return svg(figure)


def _line(axes: Any, at: Any, values: Any) -> None:
    """A curve; a few sections are dots, too, and one alone is seen."""
    axes.plot(at, values, color=INK, linewidth=1.2, marker="." if len(at) <= 50 else None, markersize=5)


def _mark_sections(axes: Any, marked: Mapping[str, Sequence[int]]) -> None:
    """A line at each section that stands out, and what it means."""
    for kind, sections in marked.items():
        name, color = DEFECTS[kind]
        for number, section in enumerate(sections[:MOST_MARKS]):
            axes.axvline(section, color=color, linewidth=1.0, alpha=0.8, label=None if number else name)
    if any(marked.values()):
        axes.legend(loc="best", fontsize=9, frameon=False)


def _mark_percentiles(axes: Any, percentiles: Mapping[str, float], wanted: Sequence[str], form: str) -> None:
    """Thin lines with the value above them."""
    for name in wanted:
        if name in percentiles:
            axes.axvline(percentiles[name], color=INK, linewidth=1.0, linestyle=":")
            text = f"{name[1:].replace('_', '.')} %: {form.format(percentiles[name])}"
            axes.annotate(
                text, (percentiles[name], 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=9
            )


def _section_figure(axis: str, y: str) -> tuple[Any, Any]:
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(f"section along {axis}", y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _figure(x: str, y: str) -> tuple[Any, Any]:
    figure = empty_figure(INCHES)
    axes = figure.add_subplot()
    style(axes, x, y)
    return figure, axes


def empty_figure(inches: tuple[float, float]) -> Any:
    """A figure that lays out what is put into it."""
    from matplotlib.figure import Figure

    return Figure(figsize=inches, layout="constrained")


def style(axes: Any, x: str, y: str) -> None:
    """What all charts have in common; ``x`` and ``y`` name the axes."""
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def svg(figure: Any) -> str:
    """The SVG element; text stays text, drawn with the page's font."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pytc", "font.family": "sans-serif"}):
        stream = StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
