"""Copies that were altered by hand so that their rows cannot be written: what, and how to fix it."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.copied_columns import copied_columns
from stripe_fdw.copies.tables import STATE_COLUMNS
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.schemas import Schemas


def refuse_altered(
    connection: psycopg.Connection, resource: Resource, schemas: Schemas, present: Mapping[str, str]
) -> None:
    """Raise InstallError if the copy lacks what ``init`` does not bring back, or a column has another type.

    ``present`` has the types of the table's columns.
    """
    table, label = schemas.table(resource), f"{schemas.copies}.{resource.name}"
    anew = f"drop the table and run stripe-fdw refresh{schemas.option} {resource.name}, which fills it anew."
    for column in copied_columns(resource):
        if column.name in present and present[column.name] != column.type_name:
            raise InstallError(
                f"column {label}.{column.name} has type {present[column.name]}, not {column.type_name}",
                hint=f"ALTER TABLE {table} ALTER COLUMN {column.name}"
                f" TYPE {column.type_name} USING ..., or {anew}",
            )
    missing = [name for name in STATE_COLUMNS if name not in present]
    if missing:
        raise InstallError(
            f"table {label} has no column {', '.join(missing)}",
            hint=f"To fix it, {anew}",
        )
    if not _has_key(connection, table):
        raise InstallError(
            f"table {label} has no primary key (id, _account)",
            hint=f"ALTER TABLE {table} ADD PRIMARY KEY (id, _account), or {anew}",
        )


def _has_key(connection: psycopg.Connection, table: str) -> bool:
    row = connection.execute(
        "select exists (select from pg_index where indrelid = %s::regclass and indisunique and indisvalid"
        " and indimmediate and indpred is null and indexprs is null and indnkeyatts = 2"
        " and (select array_agg(attname::text order by attname) from pg_attribute"
        " where attrelid = indrelid and attnum = any (indkey[0:1])) = array['_account', 'id'])",
        (table,),
    ).fetchone()
    return row is not None and bool(row[0])
