"""Whether the 2D images of a folder are the sections of one stack, or unrelated images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, zyx
from pytc_auto.io.open import format_of, open_volume, stem
from pytc_auto.io.pairing import Side
from pytc_auto.io.volume import Array, Volume
from pytc_auto.schema.dataset import Declared

LEAST_ALIKE = 0.15
"""Median correlation of a stack's neighbours. Measured: 0.25 to 0.96 in four stacks of 8 to 50 nm sections; at most 0.11 for any
two unrelated places of the same tissue."""
MOST_PAIRS = 8
SIDE = 64
"""Images are compared at about this many pixels along their shorter side, so that an imperfect alignment does not count,"""
BACKGROUND = 17
"""and without what varies over more than this many of these pixels, such as uneven illumination."""
MOST_SIDE = 2048
"""Of larger images the middle is compared."""


@dataclass(frozen=True)
class Decision:
    """What a folder of 2D images is, and why; ``remark`` is None where a person has said it, or where it cannot be told."""

    stack: bool
    remark: str | None


def arranged(images: Side, labels: Side, declared: Declared) -> tuple[Side, Side, list[str]]:
    """Loose sections made one stack, and folders of unrelated images taken apart; labels follow their images.

    Returns:
        Images and labels as they are to be matched by name, and remarks on what was decided.
    """
    remarks: list[str] = []
    if _loose(images, declared):
        decision = decide(images.folder, _sections(images.folder), declared)
        remarks += [decision.remark] if decision.remark else []
        if decision.stack:
            images = Side(images.folder, {"stack": [images.folder]})
    if "stack" in images.found and "stack" not in labels.found and _loose(labels, declared):
        labels = Side(labels.folder, {"stack": [labels.folder]})
    for name, paths in list(images.found.items()):
        if paths[0] != images.folder and _is_stack(paths[0]):
            decision = decide(paths[0], _sections(paths[0]), declared)
            if not decision.stack:
                remarks += [decision.remark] if decision.remark else []
                images, labels = _taken_apart(images, name), _taken_apart(labels, name)
    return images, labels, remarks


def decide(folder: Path, paths: Sequence[Path], declared: Declared) -> Decision:
    """Tell a stack by the likeness of neighbouring images; files that cannot be opened are left to whoever opens the stack."""
    if declared.stack is not None or len(paths) < 2:
        return Decision(declared.stack is not False, None)
    try:
        likeness = neighbour_correlation([open_volume(path, channel=declared.channel) for path in paths])
    except DataError:
        return Decision(stack=True, remark=None)
    if likeness is not None and likeness >= LEAST_ALIKE:
        return Decision(
            stack=True,
            remark=f"{folder}: its {len(paths)} images are taken as one stack, because neighbours look alike (correlation "
            f"{likeness:.2f}, at least {LEAST_ALIKE}). If they are unrelated, say stack: false in dataset.yaml.",
        )
    reason = (
        "no two neighbours have the same size"
        if likeness is None
        else f"neighbours do not look alike (correlation {likeness:.2f}, in a stack at least {LEAST_ALIKE})"
    )
    return Decision(
        stack=False,
        remark=f"{folder}: its {len(paths)} images are taken as unrelated, each as a volume of one section, because {reason}. "
        "If they are one stack, say stack: true in dataset.yaml.",
    )


def neighbour_correlation(images: Sequence[Volume]) -> float | None:
    """Median correlation of at most eight pairs of neighbouring images.

    Args:
        images: Volumes of one section.

    Returns:
        None where no two neighbours have the same size; 1 where all images that could be compared are blank.
    """
    pairs = [(a, b) for a, b in pairwise(images) if a.shape == b.shape]
    if not pairs:
        return None
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(MOST_PAIRS, len(pairs))).round().astype(int))
    found = [_correlation(_small(pairs[i][0]), _small(pairs[i][1])) for i in chosen]
    known = [value for value in found if value is not None]
    return float(np.median(known)) if known else 1.0


def _loose(side: Side, declared: Declared) -> bool:
    """Whether a folder holds nothing but several 2D images."""
    paths = [path for found in side.found.values() for path in found]
    return len(paths) > 1 and set(paths) == set(_sections(side.folder)) and all(_is_section(p, declared) for p in paths)


def _sections(folder: Path) -> list[Path]:
    from pytc_auto.io.sections import section_paths

    return [path for path in section_paths(folder) if path.is_file()]


def _is_stack(path: Path) -> bool:
    return path.is_dir() and format_of(path) == "sections"


def _is_section(path: Path, declared: Declared) -> bool:
    """Whether a file is a 2D image; of the formats of sections, only a TIFF may be more."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return True
    try:
        return open_volume(path, channel=declared.channel).shape[0] == 1
    except DataError:
        return False


def _taken_apart(side: Side, name: str) -> Side:
    """The images of a folder of sections as volumes of their own, in its place."""
    found: dict[str, list[Path]] = {}
    for key, paths in side.found.items():
        if key == name and _is_stack(paths[0]):
            for path in _sections(paths[0]):
                found.setdefault(f"{name}/{stem(path)}", []).append(path)
        else:
            found[key] = paths
    return Side(side.folder, found)


def _small(image: Volume) -> Array | None:
    """A section as few pixels, without its background; None where it is blank."""
    from scipy.ndimage import uniform_filter

    start = [max(0, n - MOST_SIDE) // 2 for n in image.shape]
    box = Box(zyx(start), zyx([a + min(n, MOST_SIDE) for a, n in zip(start, image.shape, strict=True)]))
    section = image.read(box)[0].astype(np.float32)
    if section.min() == section.max():
        return None
    factor = max(1, round(min(section.shape) / SIDE))
    rows, columns = (n // factor for n in section.shape)
    cut = section[: rows * factor, : columns * factor]
    small = cut.reshape(rows, factor, columns, factor).mean(axis=(1, 3), dtype=np.float64)
    return np.asarray(small - uniform_filter(small, BACKGROUND))


def _correlation(one: Array | None, other: Array | None) -> float | None:
    """Pearson's correlation of two sections; None where one of them is blank."""
    return None if one is None or other is None else float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
