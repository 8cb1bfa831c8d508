"""Label values that look as if they meant: nobody looked here."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from pytc_auto.fingerprint.blank_labels import LabelSections
from pytc_auto.geometry import Box, zyx
from pytc_auto.io.volume import Volume
from pytc_auto.schema.fingerprint import IgnoreCandidate, LabelKind

RIM = 0.95
"""Share of the edges in the plane that a value fills that lies around everything else."""
EDGE_SECTIONS = 8
FULL_MASK = 255


def edge_value(labels: Volume, axis: int, sections: LabelSections, known: Sequence[int]) -> int | None:
    """The value other than 0 that fills whole sections, or the edges of all sections but not their middle; None without one.

    Args:
        labels: Whole numbers.
        axis: The cutting axis.
        sections: What is known of all sections.
        known: Unlabeled values; they are no news.
    """
    full = (sections.lowest == sections.highest) & (sections.lowest != 0) & ~np.isin(sections.lowest, known)
    if full.any() and not full.all():
        values, counts = np.unique(sections.lowest[full], return_counts=True)
        return int(values[counts.argmax()])
    chosen = np.linspace(0, labels.shape[axis] - 1, min(EDGE_SECTIONS, labels.shape[axis])).astype(int).tolist()
    edges = np.concatenate([labels.read(b).ravel() for s in chosen for b in _lines(labels.box, axis, s, inside=False)])
    values, counts = np.unique(edges, return_counts=True)
    value = int(values[counts.argmax()])
    if value == 0 or value in known or counts.max() < RIM * edges.size:
        return None
    middle = np.concatenate([labels.read(b).ravel() for s in chosen for b in _lines(labels.box, axis, s, inside=True)])
    return value if np.count_nonzero(middle == value) < 0.5 * middle.size else None


def ignore_candidates(
    kind: LabelKind, counts: dict[int, int], dtypes: Collection[np.dtype[np.generic]], edge_values: Sequence[int | None]
) -> list[IgnoreCandidate]:
    """Values of the labels that are probably to be declared as unlabeled.

    Args:
        kind: What the labels are.
        counts: Voxels of each value that is not declared as unlabeled.
        dtypes: As stored.
        edge_values: See ``edge_value``, of each volume.
    """
    reasons: dict[int, str] = {v: "it fills whole sections or the rim" for v in edge_values if v is not None}
    ids = sorted(counts.keys() - {0})
    if len(ids) > 1:
        highest = {int(np.iinfo(d.name).max) for d in dtypes if d.kind in "iu"}
        if ids[-1] in highest and ids[-1] - ids[-2] > 1:
            reasons.setdefault(ids[-1], "it is the highest value that can be stored, far from all others")
        if kind == "classes" and FULL_MASK in ids and ids[-2:] != [FULL_MASK - 1, FULL_MASK]:
            reasons.setdefault(FULL_MASK, "it is far from the other classes")
    for value in (v for v in ids if v < 0):
        reasons.setdefault(value, "it is negative")
    total = sum(counts.values())
    return [IgnoreCandidate(value=v, fraction=counts.get(v, 0) / total, reason=why) for v, why in sorted(reasons.items())]


def _lines(whole: Box, axis: int, section: int, *, inside: bool) -> list[Box]:
    """One voxel wide lines of a section: its four edges, or one through its middle on each axis."""
    found = []
    for across in (i for i in range(3) if i != axis):
        last = whole.shape[across] - 1
        for place in (last // 2,) if inside else (0, last):
            fixed = {axis: section, across: place}
            start = [fixed.get(i, 0) for i in range(3)]
            found.append(Box(zyx(start), zyx([fixed[i] + 1 if i in fixed else n for i, n in enumerate(whole.shape)])))
    return found
