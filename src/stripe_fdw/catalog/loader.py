"""The built file: the catalog as JSON, one line an entry, so that a change of the SDK reads as a diff.

Fields that hold their default are left out. Operations are named by verb and path. Longer lists of literals
(all payment method types, all countries) stand once, under ``literals``, named by a digest of their content,
so that a new one changes no other line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from stripe_fdw.catalog.model import (
    Catalog,
    Column,
    Filter,
    Freshness,
    Kind,
    Operation,
    Parent,
    Resource,
    Transition,
    WritePath,
)
from stripe_fdw.catalog.parameter_shapes import parameter

PATH = Path(__file__).with_name("stripe.json")

Json = dict[str, Any]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


class _Reader:
    """Turns entries of the file into values."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._literals: dict[str, list[str]] = document["literals"]
        self._operations: dict[str, Operation] = {}

    def _entry(self, entry: Json) -> Json:
        made: Json = {name: _tuples(value) for name, value in entry.items()}
        values = made.get("values")
        if isinstance(values, str):
            made["values"] = tuple(self._literals[values])
        if "kind" in made:
            made["kind"] = Kind(made["kind"])
        return made

    def _column(self, entry: Json) -> Column:
        made = self._entry(entry)
        made.setdefault("path", (entry["name"],))
        return Column(**made)

    def _transition(self, entry: Json) -> Transition:
        return Transition(**{**self._entry(entry), "operation": self.operation(entry["operation"])})

    def operation(self, key: str) -> Operation:
        """One operation by its verb and path."""
        if key not in self._operations:
            name, *parameters = self._document["operations"][key]
            method, path = key.split(" ")
            made = tuple(parameter(item, self._literals) for item in parameters)
            self._operations[key] = Operation(
                name, method, path, made, _tuples(self._document["one_of"].get(key, []))
            )
        return self._operations[key]

    def operations(self) -> tuple[Operation, ...]:
        """All operations in the file's order."""
        return tuple(self.operation(key) for key in self._document["operations"])

    def resource(self, name: str) -> Resource:
        """One resource by its name. Raises KeyError for a name that is none."""
        entry: Json = self._document["resources"][name]
        made: Json = {field: _tuples(value) for field, value in entry.items()}
        made["columns"] = tuple(self._column(item) for item in entry["columns"])
        made["filters"] = tuple(Filter(**self._entry(item)) for item in entry.get("filters", ()))
        made["parents"] = tuple(Parent(**item) for item in entry.get("parents", ()))
        made["operations"] = tuple(self.operation(key) for key in entry.get("operations", ()))
        made["transitions"] = tuple(self._transition(item) for item in entry.get("transitions", ()))
        made["write_paths"] = tuple(WritePath(**self._entry(item)) for item in entry.get("write_paths", ()))
        for role in ("retrieve", "create", "update", "delete"):
            if role in made:
                made[role] = self.operation(made[role])
        if "freshness" in made:
            made["freshness"] = Freshness(made["freshness"])
        return Resource(name=name, **made)


class _Resources(Mapping[str, Resource]):
    """Resources by name, each made when first asked for."""

    def __init__(self, names: Mapping[str, Any], reader: _Reader) -> None:
        self._names = names
        self._reader = reader
        self._made: dict[str, Resource] = {}

    def __getitem__(self, name: str) -> Resource:
        if name not in self._made:
            self._made[name] = self._reader.resource(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class StoredCatalog(Catalog):
    """A catalog whose entries are made from the file when first asked for: a backend needs few of them."""

    def __init__(self, document: Json) -> None:
        """Take the parsed file."""
        reader = _Reader(document)
        object.__setattr__(self, "api_version", document["api_version"])
        object.__setattr__(self, "sdk_version", document["sdk_version"])
        object.__setattr__(self, "event_types", tuple(document["event_types"]))
        object.__setattr__(self, "_document", document)
        object.__setattr__(self, "_reader", reader)

    _document: Json
    _reader: _Reader

    @cached_property
    def resource(self) -> Mapping[str, Resource]:
        """Resources by table name."""
        return _Resources(self._document["resources"], self._reader)

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """All resources, by name."""
        return tuple(self.resource.values())

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """All operations, by path and verb."""
        return self._reader.operations()


def read(path: Path = PATH) -> Catalog:
    """Read a built file. Raises OSError or orjson.JSONDecodeError."""
    return StoredCatalog(orjson.loads(path.read_bytes()))
