"""Pictures a person looks at instead of reading numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
GOLDEN = 0.61803398875
LARGE, SMALL = 4.0, 2.0
"""Width of a panel in inches, of 100 pixels."""


def side_by_side(panels: dict[str, Array], path: Path, *, title: str = "") -> None:
    """One picture with a panel per entry, left to right.

    Args:
        panels: Title to (Y, X) array: floats and uint8 are shown gray, other integers as labels in colors, (Y, X, 3) as it is.
        path: PNG to write.
        title: Above all panels.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _drawn(panels, title, LARGE).figure.savefig(path)


def small_picture(panels: dict[str, Array], *, title: str = "") -> npt.NDArray[np.uint8]:
    """The same, half as large, as an array (Y, X, 3)."""
    canvas = _drawn(panels, title, SMALL)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _drawn(panels: dict[str, Array], title: str, inches: float) -> Any:
    """A canvas with panels of a width."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = next(iter(panels.values())).shape[:2]
    figure = Figure(figsize=(inches * len(panels), inches * height / width + 0.5), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, fontsize=11)
    for number, (name, panel) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), number + 1)
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
        if panel.ndim == 3:
            axes.imshow(panel, interpolation="nearest")
        else:
            axes.imshow(panel, cmap="gray", interpolation="nearest")
    return canvas


def colors(labels_yx: Array) -> npt.NDArray[np.uint8]:
    """Labels as distinct colors, (Y, X, 3) uint8; 0 is black. The same id has the same color in every picture."""
    import colorsys

    ids, inverse = np.unique(labels_yx, return_inverse=True)
    table = [
        (0.0, 0.0, 0.0) if i == 0 else colorsys.hsv_to_rgb((int(i) * GOLDEN) % 1.0, 0.45 + 0.5 * ((int(i) * 7) % 8) / 8, 0.95)
        for i in ids
    ]
    rgb = (255 * np.asarray(table)).astype(np.uint8)
    return rgb[inverse.reshape(labels_yx.shape)]


def overlay(image_yx: Array, labels_yx: Array, *, strength: float = 0.45) -> npt.NDArray[np.uint8]:
    """Labels in color over the gray image, (Y, X, 3) uint8; NaN and infinite gray values are as dark and as bright as others."""
    shown_yx = image_yx.astype(np.float32)
    known = shown_yx[np.isfinite(shown_yx)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    shown_yx = np.nan_to_num(shown_yx, nan=low, posinf=high, neginf=low)
    gray = (255 * (shown_yx - low) / max(high - low, 1e-6))[..., None]
    mixed = np.where((labels_yx > 0)[..., None], (1 - strength) * gray + strength * colors(labels_yx), gray)
    return mixed.astype(np.uint8)


def alike(segmentation_zyx: Array, truth_zyx: Array) -> Array:
    """Segmentation renumbered so that a segment has the id of the true instance it overlaps most; others get new ids.

    Two pictures side by side then show the same color where they agree.
    """
    pairs, counts = np.unique(
        np.stack([segmentation_zyx.ravel(), truth_zyx.ravel()]).astype(np.int64), axis=1, return_counts=True
    )
    lookup: dict[int, int] = {0: 0}
    taken: set[int] = {0}
    fresh = int(truth_zyx.max(initial=0)) + 1
    for column in np.argsort(-counts, kind="stable"):
        segment, instance = int(pairs[0, column]), int(pairs[1, column])
        if segment not in lookup and instance not in taken:
            lookup[segment] = instance
            taken.add(instance)
    ids, inverse = np.unique(segmentation_zyx, return_inverse=True)
    for segment in ids.tolist():
        if segment not in lookup:
            lookup[segment] = fresh
            fresh += 1
    return np.array([lookup[s] for s in ids.tolist()])[inverse.reshape(segmentation_zyx.shape)]
