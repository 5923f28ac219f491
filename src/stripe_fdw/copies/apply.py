"""Applying objects to copies: the statement is generated; this sends objects to it in binary form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

import orjson
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.copied_columns import AT_KEY, BEFORE_KEY, EVENT_KEY, copied_columns, copy_key
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.encodings import lacking_codec, representable

# Postgres has no text for NUL. An escaped backslash before it makes it the letters "u0000".
_NUL: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class Evidence:
    """When and from what objects are known: ``at`` by Stripe's clock, ``event`` is None for a response."""

    at: datetime
    account: str = ""
    event: str | None = None
    parent: str | None = None  # the id of the object whose list was read


@dataclass(frozen=True, slots=True)
class Applied:
    """How many objects were inserted, updated, marked as deleted, unchanged, and older than their row."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    stale: int = 0

    def __add__(self, other: Applied) -> Applied:
        return Applied(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def apply(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    objects: Sequence[dict[str, Any]],
    evidence: Evidence,
) -> Applied:
    """Apply objects of a resource to its copy, in the connection's transaction.

    Of an object with characters that the database's encoding lacks, the columns are NULL that would have
    them.
    """
    fitting, applied = _apply_misfits(connection, schemas, resource, objects, evidence)
    counts = "outcome, count(*)", "group by 1"
    return applied + Applied(**_apply(connection, schemas, resource, fitting, evidence, counts))


def apply_each(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    objects: Sequence[dict[str, Any]],
    evidence: Evidence,
) -> dict[str, str]:
    """Do what ``apply`` does. Return what became of each object, by the id of its copy.

    That is ``inserted``, ``updated``, ``deleted``, ``unchanged`` or ``stale``.
    """
    fitting, applied = _apply_misfits(connection, schemas, resource, objects, evidence)
    outcomes = _apply(connection, schemas, resource, fitting, evidence, ("id, outcome", ""))
    if applied != Applied():
        kept = {id(item) for item in fitting}
        lost = [copy_key(resource, item, evidence.parent) for item in objects if id(item) not in kept]
        outcomes.update(dict.fromkeys(lost, "updated"))
    return outcomes


def _apply_misfits(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    objects: Sequence[dict[str, Any]],
    evidence: Evidence,
) -> tuple[Sequence[dict[str, Any]], Applied]:
    """Apply objects with characters that the database's encoding lacks. Return the other ones."""
    codec = lacking_codec(connection.info.parameter_status("server_encoding") or "UTF8")
    if codec is None:
        return objects, Applied()
    fitting, applied = [], Applied()
    for item in objects:
        shown, lost = representable(item, codec)
        if lost:
            applied += _apply_without(connection, schemas, resource, shown, lost, evidence)
        else:
            fitting.append(item)
    return fitting, applied


def _apply(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    objects: Sequence[dict[str, Any]],
    evidence: Evidence,
    selected: tuple[LiteralString, LiteralString],
) -> dict[str, Any]:
    function = sql.Identifier(schemas.copies, f"_apply_{resource.name}")
    columns, group = selected
    query = sql.SQL(
        f"select {columns} from {{}}(array(select jsonb_array_elements(%b)), %b, %b, %b, %b) {group}"
    ).format(function)
    parameters = (
        as_jsonb(objects),
        evidence.account,
        evidence.at,
        evidence.event,
        evidence.parent,
    )
    return dict(connection.execute(query, parameters).fetchall())


def _apply_without(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    item: dict[str, Any],
    lost: Sequence[str],
    evidence: Evidence,
) -> Applied:
    """Apply an object without some of its fields, and note that its columns lack them."""
    kept = {name: value for name, value in item.items() if name not in lost}
    columns = [column.name for column in copied_columns(resource) if column.name in lost]
    query = sql.SQL(
        "with cleaned as materialized (select * from stripe_sync.without_misfits(%b, %b)),"
        " noted as (insert into stripe_sync.misfit as m (schema, resource, id, account, columns, at)"
        " select %b, %b, %b, %b, c.lost || %b::text[], %b from cleaned c"
        " on conflict (schema, resource, id, account) do update set columns = excluded.columns,"
        " at = excluded.at)"
        " select outcome, count(*) from cleaned c,"
        " lateral {}(array[%b]::jsonb[], %b, %b, %b, %b, array[c.cleaned]) group by 1"
    ).format(sql.Identifier(schemas.copies, f"_write_{resource.name}"))
    fields = [
        f"{column.name} {column.type_name}"
        for column in copied_columns(resource)
        if column.record_type and column.name != "id"
    ]
    parameters = (
        *(as_jsonb(kept), fields),
        *(schemas.copies, resource.name, copy_key(resource, item, evidence.parent), evidence.account),
        *([*columns, "_raw"], evidence.at),
        *(as_jsonb(item), evidence.account, evidence.at, evidence.event, evidence.parent),
    )
    return Applied(**dict(connection.execute(query, parameters).fetchall()))


def carrying(
    item: Mapping[str, Any], at: datetime, event: str, before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return an object with evidence of its own, so that objects of several events are applied together.

    Args:
        item: the object as the event has it.
        at: when the event was created.
        event: the id of the event.
        before: the object as it was before, where the event has it. What differs in it is carried.
    """
    carried = {**item, AT_KEY: at.isoformat(), EVENT_KEY: event}
    if before is not None:
        carried[BEFORE_KEY] = {
            name: value
            for name, value in before.items()
            if name not in item or (value is not item[name] and value != item[name])
        }
    return carried


def as_jsonb(value: dict[str, Any] | Sequence[dict[str, Any]]) -> Jsonb:
    """Return an object, or objects as one array, as a parameter of a statement, in binary form."""
    return Jsonb(value, dumps=_dumps)


def _dumps(value: Any) -> bytes:
    try:
        text = orjson.dumps(value)
    except TypeError:  # a whole number of more than 64 bits
        text = json.dumps(value).encode()
    # The search for the bytes alone is much faster, and nearly no object has them.
    return _NUL.sub(rb"\1\\ufffd", text) if b"\\u0000" in text else text
