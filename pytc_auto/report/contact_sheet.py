"""Many small pictures in rows, to be compared at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

INCHES = 1.9
DPI = 100


@dataclass(frozen=True)
class Panel:
    """A picture.

    Attributes:
        picture: (Y, X) gray values or (Y, X, 3) uint8.
        proportion: Physical height of a pixel over its width.
    """

    picture: npt.NDArray[Any]
    proportion: float


@dataclass(frozen=True)
class Row:
    """Panels that belong together, with a name and what is known about them."""

    name: str
    note: str
    panels: Sequence[Panel]


def contact_sheet(rows: Sequence[Row], columns: Sequence[str], path: Path, *, title: str, window: tuple[float, float]) -> None:
    """Write rows of panels as a PNG.

    Args:
        rows: Each with one panel per column.
        columns: Headings.
        path: PNG to write.
        title: Above all.
        window: Gray values shown black and white in every panel, so that brightness can be compared.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(INCHES * (len(columns) + 1), INCHES * len(rows) + 0.6), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    grid = figure.subplots(len(rows), len(columns) + 1, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        line[0].set_axis_off()
        line[0].text(0, 0.6, row.name, fontsize=11, weight="bold", wrap=True)
        line[0].text(0, 0.55, row.note.replace(", ", "\n"), fontsize=7, verticalalignment="top")
        for axes, panel in zip(line[1:], row.panels, strict=True):
            axes.set_axis_off()
            low, high = window
            axes.imshow(panel.picture, cmap="gray", vmin=low, vmax=high, aspect=panel.proportion, interpolation="nearest")
    for axes, heading in zip(grid[0][1:], columns, strict=True):
        axes.set_title(heading, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")
