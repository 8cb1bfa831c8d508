"""A v1 configuration as v1 itself reads it: defaults, base, file, then ``KEY VALUE`` pairs, by the rules of YACS.

YACS checks little, and what it checks it checks strictly: a key must be known, and a value must have the type of the one it
replaces. Texts are read as Python literals where they are some (``None`` is null); null goes with any type, and lists and tuples
go for each other. A number without a point is refused where a float stood.
"""

from __future__ import annotations

import copy
import json
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import yaml

from pytc_auto.errors import PlanError

_PLAIN = (tuple, list, str, int, float, bool, type(None))
_SUFFIXES = ("", ".yaml", ".yml")


@dataclass(frozen=True)
class V1Config:
    """All 226 values by their full key, such as ``MODEL.FILTERS``."""

    values: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def changed(self) -> list[str]:
        """The keys whose values are not v1's defaults, in v1's order."""
        return [key for key in defaults() if self.is_changed(key)]

    def is_changed(self, key: str) -> bool:
        """Whether a key's value is not v1's default."""
        return bool(self.values[key] != defaults()[key])

    def replace(self, changes: Mapping[str, Any]) -> V1Config:
        """A copy with some values replaced."""
        return V1Config({**self.values, **changes})


@cache
def defaults() -> Mapping[str, Any]:
    """Every key of v1.0.0 with its default, in v1's order."""
    return json.loads(files("pytc_auto.legacy").joinpath("v1_defaults.json").read_text(encoding="utf-8"))


def load_config(path: Path | str, *, base: Path | str | None = None, pairs: Sequence[str] = ()) -> V1Config:
    """Read a configuration.

    Args:
        path: YAML file.
        base: YAML file that is read before it, as v1's ``--config-base``.
        pairs: Key, value, key, value …; they win over both files.

    Raises:
        PlanError: A file cannot be read, or v1 itself could not load it; then its own reason is told.
    """
    values: dict[str, Any] = {key: copy.deepcopy(value) for key, value in defaults().items()}
    for file in [base, path] if base is not None else [path]:
        _merge(_read(Path(file)), values, (), str(file))
    _merge_pairs(pairs, values)
    _check_mask(values, str(path))
    return V1Config(values)


def refuse(where: str, kind: str, reason: str) -> NoReturn:
    """Tell that v1 could not use a configuration either, in its own words.

    Raises:
        PlanError: Always.
    """
    raise PlanError(f"{where}: PyTorch Connectomics v1 itself cannot use it ({kind}: {reason}). Mend the configuration.")


def _read(path: Path) -> Mapping[Any, Any]:
    """A file's mapping, by YAML's safe loader as in YACS: tags that would make Python objects are refused."""
    if path.suffix not in _SUFFIXES:
        raise PlanError(f"{path}: a configuration is a .yaml file. Python configurations would be run, and are not read.")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: cannot be read ({error}). Give a YAML file of PyTorch Connectomics v1.") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        told = " ".join(str(error).split())
        raise PlanError(f"{path}: is not plain YAML, so v1 itself cannot load it: {told}. Mend the file.") from error
    if raw is not None and not isinstance(raw, dict):
        refuse(str(path), "AssertionError", f"expected keys and values, got {type(raw).__name__}")
    return raw or {}


def _merge(raw: Mapping[Any, Any], values: dict[str, Any], path: tuple[str, ...], where: str) -> None:
    """Put a file's values, or those of one section of it, in place of those that are there."""
    for name, given in raw.items():
        key = ".".join((*path, str(name)))
        value = _literal(given)
        section = _is_section(key)
        if not section and key not in values:
            refuse(where, "KeyError", f"Non-existent config key: {key}")
        if section and isinstance(value, dict):
            _merge(value, values, (*path, str(name)), where)
        elif section or isinstance(value, dict):
            old, new = ("a section", type(value)) if section else (type(values[key]), "a section")
            refuse(where, "ValueError", f"Type mismatch ({old} vs. {new}) for config key: {key}")
        else:
            values[key] = _coerced(value, values[key], key, where)


def _merge_pairs(pairs: Sequence[str], values: dict[str, Any]) -> None:
    """Put the values of the command line in place."""
    where = " ".join(pairs)
    if len(pairs) % 2:
        refuse(where, "AssertionError", f"Override list has odd length: {list(pairs)}; it must be a list of pairs")
    for key, text in zip(pairs[::2], pairs[1::2], strict=True):
        if key not in values:
            refuse(f"{key} {text}", "AssertionError", f"Non-existent key: {key}")
        values[key] = _coerced(_literal(text), values[key], key, f"{key} {text}")


def _check_mask(values: Mapping[str, Any], where: str) -> None:
    """What v1 asks of a configuration with masks when it has loaded it."""
    if values["DATASET.VALID_MASK_NAME"] is None:
        return
    if values["DATASET.LABEL_NAME"] is None:
        refuse(where, "AssertionError", "Using valid mask is only supported when target label is given.")
    for key in ("AUGMENTOR.ADDITIONAL_TARGETS_NAME", "AUGMENTOR.ADDITIONAL_TARGETS_TYPE"):
        if values[key] is None:
            refuse(where, "AssertionError", f"{key} is None, with DATASET.VALID_MASK_NAME")


@cache
def _sections() -> frozenset[str]:
    parts = [key.split(".") for key in defaults()]
    return frozenset(".".join(part[:depth]) for part in parts for depth in range(1, len(part)))


def _is_section(key: str) -> bool:
    return key in _sections()


def _literal(value: object) -> Any:
    """A text as the Python literal that it is, if it is one."""
    if not isinstance(value, str):
        return value
    try:
        return literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    except (RecursionError, MemoryError) as error:
        raise PlanError(f"{value[:40]}…: is nested too deeply to be a value. Mend the configuration.") from error


def _coerced(value: Any, old: Any, key: str, where: str) -> Any:
    """The value as the type of the one that it replaces."""
    kinds = {type(value), type(old)}
    if len(kinds) == 1 or (type(None) in kinds and kinds <= set(_PLAIN)):
        return value
    if kinds == {list, tuple}:
        return type(old)(value)
    refuse(
        where,
        "ValueError",
        f"Type mismatch ({type(old)} vs. {type(value)}) with values ({old} vs. {value}) for config key: {key}",
    )
