"""The foreign tables of a database, created or brought up to date with the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql

from stripe_fdw.catalog import load
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.fdw.schema.import_schema import (
    FUNCTION_TABLES,
    column_definitions,
    not_null_columns,
)

PSEUDO_COLUMNS = frozenset({"_raw", "_params", "_idempotency_key"})


@dataclass(frozen=True, slots=True)
class OutdatedTable:
    """How a foreign table differs from the catalog's."""

    name: str
    missing: tuple[tuple[str, str], ...]  # columns with their types
    dropped: tuple[str, ...]  # columns, by their names in the database, that Stripe has no more
    nullable: tuple[str, ...]  # columns that are to be NOT NULL


@dataclass(frozen=True, slots=True)
class TableDifferences:
    """How the foreign tables of a schema differ from the catalog: those that are there, missing, outdated."""

    present: tuple[str, ...]
    missing: tuple[str, ...]
    outdated: tuple[OutdatedTable, ...]


def table_differences(connection: psycopg.Connection, schemas: Schemas) -> TableDifferences:
    """Compare the foreign tables of a server with the catalog. Changes nothing.

    Raises:
        InstallError: the schema has foreign tables of another server.
    """
    present = _present_tables(connection, schemas)
    columns = _columns(connection, schemas)
    catalog = load()
    wanted = {
        **{resource.name: column_definitions(resource) for resource in catalog.resources},
        **FUNCTION_TABLES,
    }
    outdated = []
    for name, definitions in wanted.items():
        if name not in present:
            continue
        found = columns.get(name, {})
        known = {column for column, _ in definitions}
        resource = catalog.resource.get(name)
        required = frozenset() if resource is None else not_null_columns(resource)
        difference = OutdatedTable(
            name,
            tuple(item for item in definitions if item[0] not in found),
            tuple(found[item].name for item in sorted(found.keys() - known - PSEUDO_COLUMNS)),
            tuple(
                found[item].name if item in found else item
                for item in sorted(required)
                if item not in found or not found[item].is_not_null
            ),
        )
        if difference.missing or difference.dropped or difference.nullable:
            outdated.append(difference)
    return TableDifferences(
        tuple(present), tuple(name for name in wanted if name not in present), tuple(outdated)
    )


def install_tables(connection: psycopg.Connection, schemas: Schemas) -> Iterator[str]:
    """Import missing foreign tables, add missing columns and drop those that Stripe no longer has.

    Yields:
        One line for each change.

    Raises:
        InstallError: the schema has foreign tables of another server.

    """
    differences = table_differences(connection, schemas)
    if differences.missing:
        connection.execute(
            sql.SQL("import foreign schema stripe limit to ({}) from server {} into {}").format(
                sql.SQL(", ").join(map(sql.Identifier, differences.missing)),
                sql.Identifier(schemas.server),
                sql.Identifier(schemas.live),
            )
        )
        tables = [name for name in differences.missing if name in load().resource]
        names = f": {', '.join(tables)}" if differences.present else ""
        if tables:  # what functions read by is not named
            yield f"imported {counted(len(tables), 'table')} into schema {schemas.live}{names}"
    for table in differences.outdated:
        yield from _update(connection, schemas, table)


def _present_tables(connection: psycopg.Connection, schemas: Schemas) -> list[str]:
    rows = connection.execute(
        "select relname, srvname from pg_foreign_table join pg_class c on c.oid = ftrelid"
        " join pg_foreign_server s on s.oid = ftserver where relnamespace = to_regnamespace(quote_ident(%s))",
        (schemas.live,),
    ).fetchall()
    other_servers = {server for _, server in rows} - {schemas.server}
    if other_servers:
        other = min(other_servers)
        raise InstallError(
            f"the foreign tables in schema {schemas.live} belong to server {other}, not {schemas.server}",
            hint=f"To bring that server up to date: --server {other} --schema {schemas.views}. Or give server"
            f" {schemas.server} schemas of its own: --schema NAME.",
        )
    return [name for name, _ in rows]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str  # in the database
    is_not_null: bool


def _columns(connection: psycopg.Connection, schemas: Schemas) -> dict[str, dict[str, _Column]]:
    """Return the columns of the foreign tables, by table and by the name that Stripe has for them."""
    rows = connection.execute(
        "select relname, coalesce((select option_value from pg_options_to_table(attfdwoptions)"
        " where option_name = 'column_name'), attname), attname, attnotnull"
        " from pg_attribute join pg_class c on c.oid = attrelid"
        " where relnamespace = to_regnamespace(quote_ident(%s)) and relkind = 'f'"
        " and attnum > 0 and not attisdropped order by attnum",
        (schemas.live,),
    )
    columns: dict[str, dict[str, _Column]] = {}
    for table, known, name, is_not_null in rows:
        columns.setdefault(table, {})[known] = _Column(name, is_not_null)
    return columns


def _update(connection: psycopg.Connection, schemas: Schemas, outdated: OutdatedTable) -> Iterator[str]:
    table = sql.Identifier(schemas.live, outdated.name)
    for column, type_name in outdated.missing:
        connection.execute(
            sql.SQL("alter foreign table {} add column {} {}").format(
                table, sql.Identifier(column), sql.SQL(type_name)
            )
        )
        yield f"added column {outdated.name}.{column}"
    for column in outdated.dropped:
        # If a view still uses the column, Postgres names the view and the whole installation is rolled back.
        connection.execute(
            sql.SQL("alter foreign table {} drop column {}").format(table, sql.Identifier(column))
        )
        yield f"dropped column {outdated.name}.{column}"
    for column in outdated.nullable:
        connection.execute(
            sql.SQL("alter foreign table {} alter column {} set not null").format(
                table, sql.Identifier(column)
            )
        )
        yield f"set {outdated.name}.{column} NOT NULL"
