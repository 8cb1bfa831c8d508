"""What all documents have in common: frozen, strict, no unknown fields, every fault reported at once."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from pytc_auto.errors import PlanError
from pytc_auto.files import write_whole

try:
    from yaml import CSafeDumper as SafeDumper
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml does the same, ten times slower
    from yaml import SafeDumper, SafeLoader  # type: ignore[assignment]


class Part(BaseModel):
    """A frozen record. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    def replace(self, **fields: object) -> Self:
        """A checked copy with some fields replaced."""
        return self.model_validate({**{k: getattr(self, k) for k in type(self).model_fields}, **fields})


class Document(Part):
    """A record that lives in a file of its own, JSON or YAML by the file's suffix."""

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read and check a document.

        Raises:
            PlanError: The file cannot be read, or holds faults; all of them are listed.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            what = " Save it as UTF-8." if isinstance(error, UnicodeDecodeError) else ""
            raise PlanError(f"{path}: cannot be read ({error}).{what}") from error
        try:
            raw = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=_Loader)
        except (json.JSONDecodeError, yaml.YAMLError) as error:
            raise PlanError(f"{path}: is not valid {path.suffix.lstrip('.').upper()}: {error}") from error
        return cls.parse(raw, str(path))

    @classmethod
    def parse(cls, raw: object, where: str) -> Self:
        """Check a document that is in memory; ``where`` names it in errors."""
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            faults = _faults(cls, error, where)
            if any(fault["loc"] for fault in error.errors()) and isinstance(raw, dict):
                faults += [f"{where}: {fault}" for fault in cls.faults_between(_valid(cls, raw))]
            raise PlanError("\n".join(faults)) from error

    @classmethod
    def faults_between(cls, valid: Mapping[str, Any]) -> list[str]:  # noqa: ARG003
        """What does not go together among the fields that are valid in themselves; path first. None by default."""
        return []

    def text(self, suffix: str = ".yaml") -> str:
        """The document as it is written to disk; the same document gives the same bytes."""
        raw = self.model_dump(mode="json")
        if suffix == ".json":
            return json.dumps(raw, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        return yaml.dump(raw, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)

    def save(self, path: Path | str) -> None:
        """Write the document whole or not at all."""
        path = Path(path)
        write_whole(path, self.text(path.suffix))


def check_field(model: type[Part], name: str, raw: object, where: str) -> Any:
    """Check one field by itself, as it would be in the whole document; ``where`` names it in errors.

    Raises:
        PlanError: The value is not valid; all faults are listed with their path.
    """
    single = _alone(model, name)
    try:
        return getattr(single.model_validate({name: raw}), name)
    except ValidationError as error:
        raise PlanError("\n".join(_faults(single, error, where))) from error


@cache
def _alone(model: type[Part], name: str) -> type[Part]:
    """A record of one field of another; making it takes much longer than using it."""
    field = model.model_fields[name]
    definition: Any = {name: (field.annotation, field)}
    return create_model(model.__name__, __base__=Part, **definition)


def _valid(model: type[Part], raw: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are valid in themselves."""
    values = {}
    for name in model.model_fields.keys() & raw.keys():
        with suppress(PlanError):
            values[name] = check_field(model, name, raw[name], "")
    return values


class _Loader(SafeLoader):
    """YAML's safe loader that reads 1e-3 as a number (YAML 1.1 wants 1.0e-3) and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(k) for k in keys if keys.count(k) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {', '.join(twice)}", node.start_mark)
        return dict(super().construct_mapping(node, deep))


_FLOAT = r"^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+(?:[eE][-+]?[0-9]+)?)$"


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(_FLOAT), list("-+0123456789."))


class _Dumper(SafeDumper):
    """Short lists and records of plain values stay on one line."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:  # noqa: ARG002
        return super().represent_sequence(tag, sequence, flow_style=_is_flat(sequence))

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:  # noqa: ARG002
        return super().represent_mapping(tag, mapping, flow_style=bool(mapping) and _is_flat(mapping))


def _is_flat(value: object) -> bool:
    """Whether a value fits on one line: plain, or lists of plain values to any depth."""
    if isinstance(value, dict):
        return len(value) < 9 and all(not isinstance(v, dict) and _is_flat(v) for v in value.values())
    if isinstance(value, list):
        return all(not isinstance(v, dict) and _is_flat(v) for v in value)
    return True


def _faults(model: type[BaseModel], error: ValidationError, where: str) -> list[str]:
    """One line for each fault: file, field, what is wrong, what to do."""
    lines = []
    for fault in error.errors():
        if fault["type"] == "value_error" and not fault["loc"]:
            lines += [f"{where}: {line}" for line in fault["msg"].removeprefix("Value error, ").splitlines()]
            continue
        field = ".".join(str(p) for p in fault["loc"]) or "document"
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = f"unknown field. {_near(model, fault['loc'])}"
        elif fault["type"] == "missing":
            message = "is missing. Add it"
        elif fault["type"] != "value_error":
            message = message.replace("a valid tuple", "a list, such as [1, 2, 3]").replace("a valid list", "a list in [ ]")
            message = f"{message} (got {fault['input']!r:.80})"
        lines.append(f"{where}: {field}: {message}")
    return lines


def _near(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """The known fields beside an unknown one, the nearest first."""
    known = _fields_at(model, location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.6)
    hint = f"Did you mean {close[0]}? " if close else ""
    return f"{hint}Known here: {', '.join(known)}" if known else "Remove it"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The fields of the record that a fault's location ends in."""
    schema: Any = model.model_json_schema()
    node, definitions = schema, schema.get("$defs", {})
    for step in location:
        node = _resolve(node, definitions)
        if isinstance(step, int):
            node = node.get("items", {})
        elif "discriminator" in node:
            node = {"$ref": node["discriminator"]["mapping"].get(step, "")}
        else:
            node = node.get("properties", {}).get(step, node.get("additionalProperties", {}))
    return list(_resolve(node, definitions).get("properties", {}))


def _resolve(node: Any, definitions: dict[str, Any]) -> Any:
    """Follow a reference, and the one record behind an optional field."""
    while True:
        options = [o for o in node.get("anyOf", []) if o.get("type") != "null"]
        if len(options) == 1:
            node = options[0]
        elif "$ref" in node:
            node = definitions.get(node["$ref"].rpartition("/")[2], {})
        else:
            return node
