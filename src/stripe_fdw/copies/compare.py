"""Comparison of objects with the rows of their copies, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.apply import as_jsonb
from stripe_fdw.copies.copied_columns import (
    copied_columns,
    copy_key_expression,
    expanded_columns,
    record_definition,
    secret_fields,
    with_kept_fields,
)
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.encodings import lacking_codec, representable
from stripe_fdw.sql_quoting import quote_identifier, quote_literal

Kind = Literal["missing", "deleted", "gone", "differs", "damaged"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not what the object says.

    It is missing; is marked as deleted though the object is there, or is not though it is gone; differs from
    the object; or is damaged: it has the object in ``_raw``, and other values in its columns. ``columns`` are
    those that differ.
    """

    id: str
    kind: Kind
    columns: tuple[str, ...] = ()


def compare(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    objects: Sequence[dict[str, Any]],
    account: str = "",
    parent: str | None = None,
) -> list[Difference]:
    """Return the differences between objects and their rows, in the order of their ids.

    Columns that Stripe makes anew for each response do not count. An object with a field that its column
    cannot hold is compared by ``_raw`` alone.
    """
    codec = lacking_codec(connection.info.parameter_status("server_encoding") or "UTF8")
    if codec is None:
        return _compare_fitting(connection, schemas, resource, objects, account, parent)
    differences, fitting = [], []
    for item in objects:
        shown, lost = representable(item, codec)
        if lost:
            differences += _compare(connection, schemas, resource, [shown], account, parent, whole=False)
        else:
            fitting.append(item)
    differences += _compare_fitting(connection, schemas, resource, fitting, account, parent)
    return sorted(differences, key=lambda difference: difference.id)


def _compare_fitting(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    objects: Sequence[dict[str, Any]],
    account: str,
    parent: str | None,
) -> list[Difference]:
    if not objects:
        return []
    try:
        with connection.transaction():
            return _compare(connection, schemas, resource, objects, account, parent, whole=True)
    except psycopg.DataError:
        if len(objects) == 1:
            return _compare(connection, schemas, resource, objects, account, parent, whole=False)
    half = len(objects) // 2
    halves = (objects[:half], objects[half:])
    return [
        item
        for part in halves
        for item in _compare_fitting(connection, schemas, resource, part, account, parent)
    ]


def _compare(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    objects: Sequence[dict[str, Any]],
    account: str,
    parent: str | None,
    *,
    whole: bool,
) -> list[Difference]:
    every = copied_columns(resource) if whole else ()
    columns = [column for column in every if column.name not in resource.volatile]
    names = [quote_identifier(column.name) for column in columns]
    expressions = "".join(
        f", {column.expression} as {name}"
        for column, name in zip(columns, names, strict=True)
        if name != '"id"'
    )
    expanded = expanded_columns(resource)
    values = {name: f"i.{name}" for name in names} | {
        quote_identifier(column.name): f"nullif(n._raw -> {quote_literal(column.name)}, 'null')"
        for column in expanded
    }
    differing = ", ".join(
        f"case when t.{name} is distinct from {values[name]} then {quote_literal(column.name)} end"
        for column, name in zip(columns, names, strict=True)
    )
    left_out = ", ".join(map(quote_literal, (*secret_fields(resource), *resource.volatile)))
    record = record_definition(columns) or "id text"
    raw = f"_raw - array[{left_out}]::text[]"
    rows = connection.execute(
        f"""
        with incoming as materialized (
            select distinct on (key.id) key.id{expressions}, o - array[{left_out}]::text[] as _raw
              from jsonb_array_elements(%b) as e(raw)
             cross join lateral (select raw) as f(o)
             cross join (select %b::text as given_parent) p
             cross join lateral (select {copy_key_expression(resource, "o")} as id) as key
             cross join lateral jsonb_to_record(o) as r({record})
             order by key.id
        )
        select i.id, t.id is null, t._deleted, t.{raw} is distinct from n._raw,
               array_remove(array[{differing}]::text[], null)
          from incoming i
          left join {schemas.table(resource)} t on t.id = i.id and t._account = %b
         cross join lateral (select {with_kept_fields("i._raw", expanded)}) as n(_raw)
         order by i.id""".encode(),
        (as_jsonb(objects), parent, account),
    )
    differences = []
    for identifier, is_missing, is_deleted, differs, names_differing in rows:
        if is_missing:
            differences.append(Difference(identifier, "missing"))
        elif is_deleted:
            differences.append(Difference(identifier, "deleted"))
        elif differs or names_differing:
            kind: Kind = "differs" if differs else "damaged"
            differences.append(Difference(identifier, kind, tuple(names_differing)))
    return differences


def forget(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    ids: Sequence[str],
    account: str = "",
) -> None:
    """Have the next object that is applied to each of these rows replace it, whatever it holds."""
    connection.execute(
        f"update {schemas.table(resource)} set _raw = '{{}}', _as_of = null"
        " where id = any (%s) and _account = %s".encode(),
        (list(ids), account),
    )
