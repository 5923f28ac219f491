"""The foreign tables of a database, created or brought up to date with the catalog."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg import sql

from stripe_fdw.catalog import load
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.fdw.schema.import_schema import (
    FUNCTION_TABLES,
    column_definitions,
)

PSEUDO_COLUMNS = frozenset({"_raw", "_params", "_idempotency_key"})


def install_tables(connection: psycopg.Connection, schemas: Schemas) -> Iterator[str]:
    """Import missing foreign tables, add missing columns and drop those that Stripe no longer has.

    Yields:
        One line for each change.

    Raises:
        InstallError: the schema has foreign tables of another server.

    """
    server_of_table: dict[str, str] = dict(
        connection.execute(
            "select relname, srvname from pg_foreign_table join pg_class c on c.oid = ftrelid"
            " join pg_foreign_server s on s.oid = ftserver where relnamespace = %s::regnamespace",
            (schemas.live,),
        ).fetchall()
    )
    other_servers = set(server_of_table.values()) - {schemas.server}
    if other_servers:
        other = min(other_servers)
        raise InstallError(
            f"the foreign tables in schema {schemas.live} belong to server {other}, not {schemas.server}",
            hint=f"Name that server, give another --schema, or drop it with its tables first:"
            f" DROP SERVER {other} CASCADE.",
        )
    catalog = load()
    wanted = [*(resource.name for resource in catalog.resources), *FUNCTION_TABLES]
    missing = [name for name in wanted if name not in server_of_table]
    if missing:
        connection.execute(
            sql.SQL("import foreign schema stripe limit to ({}) from server {} into {}").format(
                sql.SQL(", ").join(map(sql.Identifier, missing)),
                sql.Identifier(schemas.server),
                sql.Identifier(schemas.live),
            )
        )
        names = f": {', '.join(missing)}" if server_of_table else ""
        tables = len([name for name in missing if name in catalog.resource])
        yield f"imported {counted(tables, 'table')} into schema {schemas.live}{names}"
    for resource in catalog.resources:
        if resource.name in server_of_table:
            yield from _update_columns(connection, schemas, resource.name, column_definitions(resource))
    for name, columns in FUNCTION_TABLES.items():
        if name in server_of_table:
            yield from _update_columns(connection, schemas, name, columns)


def _update_columns(
    connection: psycopg.Connection, schemas: Schemas, name: str, wanted: tuple[tuple[str, str], ...]
) -> Iterator[str]:
    table = sql.Identifier(schemas.live, name)
    present = {
        str(known): str(column)
        for known, column in connection.execute(
            "select coalesce((select option_value from pg_options_to_table(attfdwoptions)"
            " where option_name = 'column_name'), attname), attname"
            " from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            (table.as_string(connection),),
        )
    }
    for column, type_name in wanted:
        if column not in present:
            connection.execute(
                sql.SQL("alter foreign table {} add column {} {}").format(
                    table, sql.Identifier(column), sql.SQL(type_name)
                )
            )
            yield f"added column {name}.{column}"
    for known in sorted(present.keys() - {column for column, _ in wanted} - PSEUDO_COLUMNS):
        column = present[known]
        # If a view still uses the column, Postgres names the view and the whole installation is rolled back.
        connection.execute(
            sql.SQL("alter foreign table {} drop column {}").format(table, sql.Identifier(column))
        )
        yield f"dropped column {name}.{column}"
