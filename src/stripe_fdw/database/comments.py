"""Comments on the foreign tables of a database, set where there is none of the user's own."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from stripe_fdw.catalog import load
from stripe_fdw.catalog.comments import BEGINNING, comments
from stripe_fdw.counts import counted
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.sql_quoting import quote_identifier, quote_literal

# By the names of the catalog, whatever the columns are called in the database.
_PRESENT = """
    select c.relname, o.value, a.attname, coalesce(d.description, '')
      from pg_class c
      join pg_foreign_table f on f.ftrelid = c.oid
      join lateral (select option_value as value from pg_options_to_table(f.ftoptions)
                     where option_name = 'object') o on true
      left join lateral (
          select attnum, attname from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
          union all select 0, null) a on true
      left join pg_description d
             on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = a.attnum
     where c.relnamespace = %s::regnamespace
"""


def install_comments(connection: psycopg.Connection, schemas: Schemas) -> Iterator[str]:
    """Set the comments of the foreign tables and their columns, but for those that are the user's own.

    Yields:
        A line if any were set.
    """
    wanted = {
        (resource.name, name): text for resource in load().resources for name, text in comments(resource)
    }
    statements = [
        comment_statement(schemas.live, table, column, wanted[resource, column])
        for table, resource, column, present in connection.execute(
            _PRESENT, (quote_identifier(schemas.live),)
        ).fetchall()
        if (resource, column) in wanted and is_outdated(present, wanted[resource, column])
    ]
    if statements:
        connection.execute("".join(statements).encode())  # one message: there are thousands
        yield f"set {counted(len(statements), 'comment')} in schema {schemas.live}"


def is_outdated(present: str, wanted: str) -> bool:
    """Return True if a comment, '' if there is none, is to be replaced: one of the user's own never is."""
    return present != wanted and (not present or present.startswith(BEGINNING))


def comment_statement(
    schema: str, table: str, column: str | None, text: str, relation_kind: str = "foreign table"
) -> str:
    """Return the COMMENT statement for a relation of this kind, or for one of its columns."""
    name = f"{quote_identifier(schema)}.{quote_identifier(table)}"
    kind = relation_kind if column is None else "column"
    of_column = "" if column is None else f".{quote_identifier(column)}"
    return f"comment on {kind} {name}{of_column} is {quote_literal(text)};\n"
