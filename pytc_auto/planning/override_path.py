"""What an override names, checked by the plan's schema alone: before data are read and the machine is timed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pytc_auto.errors import PlanError
from pytc_auto.schema.document import Part
from pytc_auto.schema.plan import Plan


def check_path(path: Sequence[str]) -> None:
    """Refuse a path that no plan can have; what is in lists and tables is left to the plan's own check.

    Args:
        path: The words of a key, such as ``network``, ``kind``.

    Raises:
        PlanError: A record on the way has no such field, whatever its kind.
    """
    _meanings(path)


def check_word(path: Sequence[str], value: object) -> None:
    """Refuse a word where the schema has a fixed list of them.

    Raises:
        PlanError: As ``check_path``, or the value is none of the words.
    """
    found = _meanings(path)
    words = [word for each in found if get_origin(each) is Literal for word in get_args(each)]
    if words and all(get_origin(each) is Literal for each in found) and isinstance(value, str) and value not in words:
        known = ", ".join(map(str, dict.fromkeys(words)))
        raise PlanError(f"override: {'.'.join(path)}: there is no {path[-1]} {value!r}. Known: {known}.")


def _meanings(path: Sequence[str]) -> list[Any]:
    """The types that the value at a path can be of; none where that is not told by the schema."""
    found: list[Any] = [Plan]
    for place, step in enumerate(path):
        if not found or not all(isinstance(each, type) and issubclass(each, Part) for each in found):
            return []
        fields = [(name, field.annotation) for record in found for name, field in record.model_fields.items()]
        known = list(dict.fromkeys(name for name, _ in fields))
        if step not in known:
            close = difflib.get_close_matches(step, known, n=1, cutoff=0.5)
            hint = f"Did you mean {close[0]}? " if close else ""
            where = ".".join(path[: place + 1])
            raise PlanError(f"override: {where}: unknown field. {hint}Known here: {', '.join(known)}.")
        found = [each for name, annotation in fields if name == step for each in _alternatives(annotation)]
    return found


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The types of which an annotation is a union, without None."""
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            yield from _alternatives(each)
    elif annotation is not NoneType:
        yield annotation
