"""The catalog read from its built file, ``stripe.json``, which has one entry a line so that it diffs well.

Fields that hold their default are left out. Operations are named by verb and path. Longer lists of literals
(all payment method types, all countries) are stored once, under ``literals``, named by a digest of their
content, so that a new one changes no other line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from stripe_fdw.catalog.model import (
    VERSION_2,
    Catalog,
    Column,
    Filter,
    Freshness,
    Holder,
    Kind,
    Operation,
    Parent,
    Resource,
    ThinEvent,
    Transition,
    WritePath,
)
from stripe_fdw.catalog.parameter_shapes import parameter
from stripe_fdw.exact_json import Json

PATH = Path(__file__).with_name("stripe.json")


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value


class _Decoder:
    """Makes the catalog's values from entries of the file."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._literals: dict[str, list[str]] = document["literals"]
        self._operations: dict[str, Operation] = {}

    def _fields(self, entry: Json) -> Json:
        fields: Json = {name: _as_tuples(value) for name, value in entry.items()}
        values = fields.get("values")
        if isinstance(values, str):
            fields["values"] = tuple(self._literals[values])
        if "kind" in fields:
            fields["kind"] = Kind(fields["kind"])
        return fields

    def _column(self, entry: Json) -> Column:
        fields = self._fields(entry)
        fields.setdefault("path", (entry["name"],))
        return Column(**fields)

    def _transition(self, entry: Json) -> Transition:
        return Transition(**{**self._fields(entry), "operation": self.operation(entry["operation"])})

    def operation(self, key: str) -> Operation:
        """Return an operation by its verb and path. Raises KeyError for an unknown one."""
        if key not in self._operations:
            name, *entries = self._document["operations"][key]
            method, path = key.split(" ")
            parameters = tuple(parameter(entry, self._literals) for entry in entries)
            if path.startswith(VERSION_2):
                parameters = tuple(replace(item, null_unsets=True) for item in parameters)
            self._operations[key] = Operation(
                name, method, path, parameters, _as_tuples(self._document["one_of"].get(key, []))
            )
        return self._operations[key]

    def operations(self) -> tuple[Operation, ...]:
        """Return all operations in the file's order."""
        return tuple(self.operation(key) for key in self._document["operations"])

    def resource(self, name: str) -> Resource:
        """Return a resource by its name. Raises KeyError for an unknown one."""
        entry: Json = self._document["resources"][name]
        fields: Json = {field: _as_tuples(value) for field, value in entry.items()}
        fields["columns"] = tuple(self._column(item) for item in entry["columns"])
        fields["filters"] = tuple(Filter(**self._fields(item)) for item in entry.get("filters", ()))
        fields["parents"] = tuple(Parent(**item) for item in entry.get("parents", ()))
        fields["holders"] = tuple(Holder(**self._fields(item)) for item in entry.get("holders", ()))
        fields["operations"] = tuple(self.operation(key) for key in entry.get("operations", ()))
        fields["transitions"] = tuple(self._transition(item) for item in entry.get("transitions", ()))
        fields["write_paths"] = tuple(
            WritePath(**self._fields(item)) for item in entry.get("write_paths", ())
        )
        for role in ("retrieve", "create", "update", "delete"):
            if role in fields:
                fields[role] = self.operation(fields[role])
        if "freshness" in fields:
            fields["freshness"] = Freshness(fields["freshness"])
        return Resource(name=name, **fields)


class _LazyResources(Mapping[str, Resource]):
    """Resources by name, each decoded on first use."""

    def __init__(self, names: Mapping[str, Any], decoder: _Decoder) -> None:
        self._names = names
        self._decoder = decoder
        self._decoded: dict[str, Resource] = {}

    def __getitem__(self, name: str) -> Resource:
        if name not in self._decoded:
            self._decoded[name] = self._decoder.resource(name)
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class StoredCatalog(Catalog):
    """A catalog whose entries are decoded on first use, since a backend needs few of them."""

    def __init__(self, document: Json) -> None:
        """Wrap the parsed file."""
        # The base class is frozen, which forbids plain assignments.
        object.__setattr__(self, "api_version", document["api_version"])
        object.__setattr__(self, "sdk_version", document["sdk_version"])
        object.__setattr__(self, "event_types", tuple(document["event_types"]))
        thin_events = tuple(ThinEvent(*item) for item in document["thin_events"].items())
        object.__setattr__(self, "thin_events", thin_events)
        object.__setattr__(self, "_document", document)
        object.__setattr__(self, "_decoder", _Decoder(document))

    _document: Json
    _decoder: _Decoder

    @cached_property
    def resource(self) -> Mapping[str, Resource]:
        """Map names of tables to resources."""
        return _LazyResources(self._document["resources"], self._decoder)

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """All resources in alphabetical order."""
        return tuple(self.resource.values())

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """All operations, ordered by path and verb."""
        return self._decoder.operations()


def read(path: Path = PATH) -> Catalog:
    """Read a built file. Raises OSError or orjson.JSONDecodeError."""
    return StoredCatalog(orjson.loads(path.read_bytes()))
