"""What the names of sections tell: whether one is missing, and whether labels lie beside their images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from pytc_auto.io.open import format_of
from pytc_auto.io.pairing import Pair
from pytc_auto.io.remote import is_url

MOST_NAMED = 5


def section_remarks(pairs: Iterable[Pair]) -> list[str]:
    """What a person should check of the stacks of a data set whose sections are files."""
    return [remark for pair in pairs for remark in _of_pair(pair)]


def section_numbers(paths: Sequence[Path]) -> list[int] | None:
    """The numbers of sections in their names.

    Args:
        paths: In order.

    Returns:
        None where the names do not differ in one number alone.
    """
    parts = [re.split(r"([0-9]+)", path.name) for path in paths]
    if len({(len(p), *p[::2]) for p in parts}) != 1:
        return None
    varying = [i for i in range(1, len(parts[0]), 2) if len({int(p[i]) for p in parts}) > 1]
    return [int(p[varying[0]]) for p in parts] if len(varying) == 1 else None


def missing_numbers(numbers: Sequence[int]) -> list[int]:
    """What is left out of numbers that rise by the same step; a step that is found nowhere else is no gap.

    >>> missing_numbers([1, 2, 3, 5]), missing_numbers([0, 10, 20, 40]), missing_numbers([3, 8])
    ([4], [30], [])
    """
    steps = [b - a for a, b in pairwise(numbers)]
    step = min(steps, default=0)
    if step <= 0 or 2 * steps.count(step) <= len(steps):
        return []
    return sorted(set(range(numbers[0], numbers[-1], step)) - set(numbers))


def _of_pair(pair: Pair) -> list[str]:
    images, labels = (_sections(source) for source in (pair.image, pair.labels))
    numbers = section_numbers(images)
    found = []
    if numbers and (missing := missing_numbers(numbers)):
        named = ", ".join(map(str, missing[:MOST_NAMED])) + (" …" if len(missing) > MOST_NAMED else "")
        found.append(
            f"{pair.image}: of the numbers {numbers[0]} to {numbers[-1]} in the names of its sections {named} "
            f"{'is' if len(missing) == 1 else 'are'} missing. What is left is read as neighbors: put a blank section (all 0) for "
            "each that is lost, with blank labels."
        )
    others = section_numbers(labels)
    if numbers and others and len(numbers) == len(others) and numbers != others:
        first = next(i for i, (a, b) in enumerate(zip(numbers, others, strict=True)) if a != b)
        found.append(
            f"{pair.image}: its sections are numbered otherwise than their labels. They are taken in order: {images[first].name} "
            f"with {labels[first].name}."
        )
    return found


def _sections(source: str | None) -> list[Path]:
    """The files of a folder of sections; none where the source is something else."""
    if source is None or is_url(source) or not Path(source).is_dir() or format_of(Path(source)) != "sections":
        return []
    from pytc_auto.io.sections import section_paths

    return section_paths(Path(source))
