"""Decisions that a person makes: ``patch=[32,160,160] network.kind=mednext``, in Hydra's override grammar."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from pytc_auto.errors import PlanError
from pytc_auto.planning.decisions import Decision
from pytc_auto.planning.override_path import check_path, check_word
from pytc_auto.schema.document import Part, check_field
from pytc_auto.schema.plan import BY_HAND, Plan, Why

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

NOT_HERE = MappingProxyType(
    {
        "format_version": "it is the file format's",
        "name": "use --name",
        "task": "use --task",
        "machine": "use --size or --max-time",
        "voxel_size_nm": "use --voxel-size or a dataset.yaml",
        "memory": "it follows from patch, network and batch",
        "why": "the planner writes it",
    }
)
"""Fields of a plan that no override sets, and what does."""
FIELDS = tuple(name for name in Plan.model_fields if name not in NOT_HERE)
T = TypeVar("T")
Path = tuple[str, ...]


@dataclass(frozen=True)
class ByHand:
    """Values by their path in the plan. A record is given as its entries, so that what it does not name stays the rule's."""

    values: Mapping[Path, object] = field(default_factory=dict)

    def get(self, *path: str) -> Any:
        """The value given for exactly this path; None where there is none."""
        return self.values.get(path)

    def gives(self, *path: str) -> bool:
        """Whether a value, be it null, is given for exactly this path."""
        return path in self.values

    def within(self, name: str) -> dict[Path, object]:
        """All that is given in a field of the plan, by the rest of its path."""
        return {path[1:]: value for path, value in self.values.items() if path[0] == name}

    def applied(self, name: str, value: T) -> T:
        """The rule's value of a field with what is given put in.

        Raises:
            PlanError: The result is not valid there; all faults are listed.
        """
        given = self.within(name)
        if not given:
            return value
        raw = _raw(value)
        for path, new in given.items():
            raw = _put(raw, path, new, name)
        made: T = check_field(Plan, name, raw, "override")
        return made

    def checked(self, name: str, part: type[Part]) -> None:
        """Check what is given for single fields of a record, before anything is computed from them.

        Raises:
            PlanError: A value is not valid.
        """
        for path, value in self.within(name).items():
            if len(path) == 1 and path[0] in part.model_fields:
                check_field(part, path[0], value, f"override: {name}")


class Decisions:
    """Decisions in the order in which they are made. What is given by hand replaces the rule's value at once."""

    def __init__(self, by_hand: ByHand) -> None:
        self.by_hand = by_hand
        self.values: dict[str, object] = {}
        self._why: dict[str, Why] = {}

    def add(self, name: str, decision: Decision[T]) -> T:
        """Take a rule's decision on a field of the plan and give the value that counts.

        Raises:
            PlanError: What is given by hand is not valid there.
        """
        value = self.by_hand.applied(name, decision.value)
        self.values[name], self._why[name] = value, decision.why
        for path, given in self.by_hand.within(name).items():
            planned = _at(_raw(decision.value), path)
            numbers = {} if planned == given else {"planned": _number(planned)}
            self._why[".".join((name, *path))] = Why(rule=BY_HAND, numbers=numbers)
        return value

    @property
    def why(self) -> dict[str, Why]:
        """Reasons in the order of the plan's fields, those of single values after their record's."""
        order = list(Plan.model_fields)
        return {key: self._why[key] for key in sorted(self._why, key=lambda k: order.index(k.split(".")[0]))}


def read_overrides(texts: Sequence[str]) -> ByHand:
    """Overrides as typed on the command line.

    Args:
        texts: Such as ``optimizer.learning_rate=3e-4``.

    Raises:
        PlanError: One is not understood, names no field of a plan, or gives several values; all faults are listed.
    """
    values: dict[Path, object] = {}
    faults = []
    for text in texts:
        try:
            override = _parsed(text)
            if override.is_sweep_override():
                raise PlanError(f"{text}: gives several values. A plan takes one; pytc sweep tries them all.")
            given: dict[Path, object] = {}
            _flatten(tuple(str(override.key_or_group).split(".")), override.value(), given)
            for path, value in given.items():
                check_word(path, value)
            values |= given
        except PlanError as error:
            faults.append(str(error))
    if faults:
        raise PlanError("\n".join(faults))
    return ByHand(values)


def combinations(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """The grid that overrides with several values span, one value each, in the order of the command line.

    >>> combinations(["network.kind=unet,resenc", "sampling.batch=choice(1,2)", "patch=[64,64,64]"])[:2]
    [('network.kind=unet', 'sampling.batch=1', 'patch=[64,64,64]'), ('network.kind=unet', 'sampling.batch=2', 'patch=[64,64,64]')]

    Raises:
        PlanError: As ``read_overrides``, or a value of a sweep is not valid in itself.
    """
    axes, faults = [], []
    for text in texts:
        try:
            axes.append(_spread(_parsed(text), text))
            faults += _faults(axes[-1])
        except PlanError as error:
            faults.append(str(error))
    if faults:
        raise PlanError("\n".join(faults))
    return list(itertools.product(*axes))


def _faults(texts: Sequence[str]) -> list[str]:
    """What is wrong with each of several values for one field."""
    faults = []
    for text in texts:
        try:
            read_overrides([text])
        except PlanError as error:
            faults.append(str(error))
    return faults


def _spread(override: Override, text: str) -> list[str]:
    if not override.is_sweep_override():
        return [text]
    from hydra.errors import HydraException

    try:
        values = list(override.sweep_string_iterator())
    except HydraException as error:
        raise PlanError(
            f"{text}: is no grid ({error}). Write key=a,b or key=choice(a,b) or key=range(start,stop,step)."
        ) from error
    return [f"{override.key_or_group}={value}" for value in values]


def _parsed(text: str) -> Override:
    """One override by Hydra's parser, its field known.

    Raises:
        PlanError: It is not understood, or a plan has no such field.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import OverrideType
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        said = str(error).splitlines()[0]
        raise PlanError(f"{text}: is no override ({said}). Write key=value, such as patch=[32,160,160].") from error
    if override.type is not OverrideType.CHANGE or override.package is not None:
        raise PlanError(f"{text}: a plan has all its fields; none is added or removed. Write key=value, or key=null.")
    name = str(override.key_or_group).split(".")[0]
    if name in NOT_HERE:
        raise PlanError(f"{text}: {name} is not overridden here; {NOT_HERE[name]}.")
    if name not in FIELDS:
        close = difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.5)
        hint = f"Did you mean {close[0]}? " if close else ""
        raise PlanError(f"{text}: a plan has no field {name}. {hint}Known: {', '.join(FIELDS)}.")
    check_path(str(override.key_or_group).split("."))
    return override


def _flatten(path: Path, value: object, into: dict[Path, object]) -> None:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            _flatten((*path, str(key)), inner, into)
    else:
        into[path] = value


def _raw(value: object) -> Any:
    """Plain lists and dictionaries, as in the file."""
    return TypeAdapter[Any](Any).dump_python(value, mode="json")


def _put(node: Any, path: Path, value: object, where: str) -> Any:
    """A copy with a value at a path; records that are null come into being."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    inner = f"{where}.{step}"
    if isinstance(node, list):
        if not step.isdecimal() or int(step) >= len(node):
            raise PlanError(
                f"override: {inner}: {where} is a list of {len(node)}. Write its number, from 0, or give the whole list."
            )
        return [_put(old, rest, value, inner) if number == int(step) else old for number, old in enumerate(node)]
    if node is not None and not isinstance(node, dict):
        raise PlanError(f"override: {inner}: {where} is the value {node!r} and holds nothing. Write {where}=VALUE.")
    known = dict(node or {})
    key = next((k for k in known if str(k) == step), step)
    return {**known, key: _put(known.get(key), rest, value, inner)}


def _at(node: Any, path: Path) -> Any:
    for step in path:
        if isinstance(node, list):
            node = node[int(step)] if int(step) < len(node) else None
        else:
            node = {str(k): v for k, v in node.items()}.get(step) if isinstance(node, dict) else None
    return node


def _number(value: Any) -> Any:
    """As a reason's number: plain, a flat list, or text."""
    flat = isinstance(value, list) and all(isinstance(v, int | float) for v in value)
    return value if flat or value is None or isinstance(value, str | int | float) else str(value)
