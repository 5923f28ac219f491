"""Helpers for the statements of an installation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql


def single_value(connection: psycopg.Connection, query: str, *parameters: object) -> object:
    """Return the first column of the query's first row, or None if there is no row."""
    row = connection.execute(query.encode(), parameters or None).fetchone()
    return row[0] if row else None


@contextmanager
def catalog_names(connection: psycopg.Connection) -> Iterator[None]:
    """Have names be those of pg_catalog in the block, a part of a transaction, whatever the search path.

    Without it, a function or operator of the database's owner could match better than Postgres's own, and be
    called with the rights of the current role.
    """
    previous = connection.execute("show search_path").fetchone()
    connection.execute("set local search_path = pg_catalog, pg_temp")
    yield
    connection.execute("select set_config('search_path', %s, true)", previous)


def options_clause(options: Mapping[str, str], present: set[str] | None = None) -> sql.Composable:
    """Return the OPTIONS clause of a CREATE, or of an ALTER of an object whose options ``present`` names."""
    if not options:
        return sql.SQL("")
    items = [
        sql.SQL("{} {} {}").format(
            sql.SQL("" if present is None else "set" if name in present else "add"),
            sql.Identifier(name),
            sql.Literal(value),
        )
        for name, value in options.items()
    ]
    return sql.SQL("options ({})").format(sql.SQL(", ").join(items))
