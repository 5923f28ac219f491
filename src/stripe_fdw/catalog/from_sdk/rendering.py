"""The text of the built files, in the form that ``catalog.loader`` describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from hashlib import blake2s
from typing import Any

import msgspec.structs
import orjson

from stripe_fdw.catalog.model import (
    Catalog,
    Column,
    Operation,
    Parameter,
    ParameterFields,
    Resource,
    Transition,
)
from stripe_fdw.exact_json import Json

_SHARED_FROM = 4  # literals: shorter lists are written where they are used

_LISTS = ("columns", "filters", "parents", "holders", "transitions", "write_paths")  # one line an entry


class _Literals:
    """Lists of literals that entries refer to by a digest."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, ...]] = {}

    def reference(self, values: tuple[str, ...]) -> list[str] | str:
        if len(values) < _SHARED_FROM:
            return list(values)
        name = blake2s(orjson.dumps(values), digest_size=5).hexdigest()
        self.names[name] = values
        return name

    def block(self) -> str:
        """Return the lists that were referred to, by name."""
        entries = (f"{_line(name)}: {_line(values)}" for name, values in sorted(self.names.items()))
        return _block(entries, "{", "}")


def _key(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def _entry(item: Any, literals: _Literals) -> Json:
    """Return the fields of an entry that differ from their default."""
    entry: Json = {}
    fields = dataclasses.fields(item) if isinstance(item, Parameter) else msgspec.structs.fields(item)
    for field in fields:
        value = getattr(item, field.name)
        if value == field.default:
            continue
        if field.name == "values":
            value = literals.reference(value)
        entry[field.name] = value
    if isinstance(item, Transition):
        entry["operation"] = _key(item.operation)
    if isinstance(item, Column) and item.path == (item.name,):
        del entry["path"]
    return entry


def _line(value: object) -> str:
    return orjson.dumps(value).decode()


def _block(lines: Iterator[str], opening: str, closing: str) -> str:
    return opening + "\n" + ",\n".join(lines) + "\n" + closing


def render_catalog(catalog: Catalog) -> str:
    """Return the text of the catalog's file, ``stripe.json``."""
    literals = _Literals()
    operations = [_render_operation(item, literals) for item in catalog.operations]
    resources = [_render_resource(item, literals) for item in catalog.resources]
    one_of = [f"{_line(_key(item))}: {_line(item.one_of)}" for item in catalog.operations if item.one_of]
    blocks = {
        "resources": _block(iter(resources), "{", "}"),
        "operations": _block(iter(operations), "{", "}"),
        "one_of": _block(iter(one_of), "{", "}"),
        "event_types": _block((_line(item) for item in catalog.event_types), "[", "]"),
        "thin_events": _block(
            (f"{_line(item.type)}: {_line(item.object)}" for item in catalog.thin_events), "{", "}"
        ),
        "literals": literals.block(),
    }
    head = [f'"{name}": {_line(getattr(catalog, name))}' for name in ("api_version", "sdk_version")]
    return _block(iter([*head, *(f'"{name}": {text}' for name, text in blocks.items())]), "{", "}") + "\n"


def render_shapes(shapes: Mapping[str, ParameterFields]) -> str:
    """Return the text of the shapes' file, ``parameter_shapes.json``."""
    literals = _Literals()
    entries = [
        f"{_line(name)}: {_block((f'  {_line(_entry(item, literals))}' for item in fields), '[', ']')}"
        for name, fields in sorted(shapes.items())
    ]
    blocks = {"shapes": _block(iter(entries), "{", "}"), "literals": literals.block()}
    return _block((f'"{name}": {text}' for name, text in blocks.items()), "{", "}") + "\n"


def _render_operation(item: Operation, literals: _Literals) -> str:
    lines = [_line(item.name), *(_line(_entry(parameter, literals)) for parameter in item.parameters)]
    return f"{_line(_key(item))}: {_block((f'  {line}' for line in lines), '[', ']')}"


def _render_resource(item: Resource, literals: _Literals) -> str:
    head = _entry(item, literals)
    lists = {name: head.pop(name, ()) for name in _LISTS}
    for name in ("retrieve", "create", "update", "delete"):
        with_role: Operation | None = head.get(name)
        if with_role is not None:
            head[name] = _key(with_role)
    if item.operations:
        head["operations"] = [_key(operation) for operation in item.operations]
    parts = [f'"{name}": {_line(value)}' for name, value in head.items() if name != "name"]
    for name, entries in lists.items():
        if entries:
            lines = (f"  {_line(_entry(entry, literals))}" for entry in entries)
            parts.append(f'"{name}": {_block(lines, "[", "]")}')
    return f'"{item.name}": {_block(iter(parts), "{", "}")}'
