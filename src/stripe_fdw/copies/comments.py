"""Comments on the tables of copies, on their views and on the columns of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import psycopg

from stripe_fdw.catalog.comments import (
    BEGINNING,
    LOCAL_COPIES,
    PSEUDO_COLUMNS,
    object_sentence,
    value_phrases,
    write_phrase,
    write_sentence,
)
from stripe_fdw.catalog.describe import describe_column
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.copied_columns import copied_columns
from stripe_fdw.copies.tables import IDEMPOTENCY_KEY, STATE_COLUMNS, shown_columns
from stripe_fdw.database.comments import comment_statement, is_outdated
from stripe_fdw.database.schemas import Schemas

_STATE_COMMENTS = {
    "_raw": "the object as Stripe sent it, without its secrets.",
    "_event": "the id of the event that the row comes from; NULL if it was read or written through the API.",
    "_account": "'' for the account of the key, else the id of the connected account.",
    "_as_of": "when its last change became known, by the clock of Stripe.",
    "_deleted": "true if the object is deleted in Stripe; the row keeps its values.",
}
_PRESENT = """
    select n.nspname, c.relname, a.attname, coalesce(d.description, '')
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      left join lateral (
          select attnum, attname from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
          union all select 0, null) a on true
      left join pg_description d
             on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = a.attnum
     where n.nspname in (%(copies)s, %(views)s) and c.relname = any (%(names)s)
       and c.relkind in ('r', 'p', 'v')
"""


def table_comments(resource: Resource) -> Iterator[tuple[str | None, str]]:
    """Yield the comments on the table of a resource's copies: of itself (None), and of each column."""
    yield None, f"{BEGINNING}{object_sentence(resource)} {LOCAL_COPIES}"
    for name, phrases in _values(resource).items():
        yield name, _comment(phrases)
    for name in STATE_COLUMNS:
        yield name, BEGINNING + _STATE_COMMENTS[name]


def view_comments(resource: Resource, *, is_writable: bool) -> Iterator[tuple[str | None, str]]:
    """Yield the comments on the view of a resource's copies: of itself (None), and of its columns by name."""
    writes = write_sentence(resource) if is_writable else "Only read."
    yield None, f"{BEGINNING}{object_sentence(resource)} Local copies, without deleted objects. {writes}"
    values = _values(resource)
    for column in resource.columns:
        if column.name in values:
            written = write_phrase(describe_column(resource, column)) if is_writable else "not written"
            values[column.name].append(written)
    for name, of_column in shown_columns(resource):
        if name == IDEMPOTENCY_KEY:
            yield name, BEGINNING + PSEUDO_COLUMNS[name]
        elif of_column is None:
            yield name, BEGINNING + _STATE_COMMENTS[name]
        elif name == of_column:
            yield name, _comment(values[name])
        else:
            yield name, _comment([*values[of_column], f"the same as {of_column}"])


def install_comments(
    connection: psycopg.Connection, schemas: Schemas, resources: Iterable[Resource], *, is_writable: bool
) -> None:
    """Set the comments of the copies that are there, but for those that are the user's own.

    It takes two messages, since there are thousands of comments.
    """
    wanted: dict[tuple[str, str, str | None], tuple[str, str]] = {}
    for resource in resources:
        for column, text in table_comments(resource):
            wanted[schemas.copies, resource.name, column] = "table", text
        for column, text in view_comments(resource, is_writable=is_writable):
            wanted[schemas.views, resource.name, column] = "view", text
    names = sorted({name for _, name, _ in wanted})
    present = connection.execute(
        _PRESENT, {"copies": schemas.copies, "views": schemas.views, "names": names}
    ).fetchall()
    statements = [
        comment_statement(schema, relation, column, comment, kind)
        for schema, relation, column, text in present
        for kind, comment in [wanted.get((schema, relation, column), ("", ""))]
        if kind and is_outdated(text, comment)
    ]
    if statements:
        connection.execute("".join(statements).encode())


def _values(resource: Resource) -> dict[str, list[str]]:
    """Return what values the columns have that an object's fields fill."""
    copied = {column.name for column in copied_columns(resource)}
    values = {}
    for column in resource.columns:
        if column.name in copied:
            described = describe_column(resource, column)
            source = described["source"]
            at = [f"from {source}"] if source not in ("", "qual") else []
            values[column.name] = [*value_phrases(described), *at]
    return values


def _comment(phrases: Iterable[str]) -> str:
    return f"{BEGINNING}{'; '.join(phrases)}."
