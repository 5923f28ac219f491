"""The tables of copies, and the views that applications read: their definitions as SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.copied_columns import CopiedColumn, copied_columns, has_word_ids
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.sql_quoting import quote_identifier, quote_literal

STATE_COLUMNS: Final = ("_raw", "_event", "_account", "_as_of", "_deleted")
IDEMPOTENCY_KEY: Final = "_idempotency_key"


def create_table(resource: Resource, schemas: Schemas, compression: str | None = None) -> Iterator[str]:
    """Yield the statements that create the resource's copy with its indexes.

    Nothing in it depends on the order in which objects arrive: no foreign keys, and no NOT NULL on a field.
    The key is ``(id, _account)`` and there is no sequence, so that the table can be distributed by ``id``.
    ``compression`` is that of JSON; None for the server's default.
    """
    table = schemas.table(resource)
    columns = copied_columns(resource)
    definitions = [
        f"{quote_identifier(column.name)} {_stored(column.type_name, compression)}"
        f"{' not null' if column.name == 'id' else ''}"
        for column in columns
    ]
    definitions += [
        f"_raw {_stored('jsonb', compression)} not null",
        "_event text",
        "_account text not null default ''",
        "_as_of timestamptz",
        "_deleted boolean not null default false",
        "primary key (id, _account)",
    ]
    yield f"create table {table} ({', '.join(definitions)})"
    for column in columns:
        if is_indexed(column):
            yield create_index(resource, schemas, column.name)


def add_column(
    resource: Resource, schemas: Schemas, column: CopiedColumn, compression: str | None = None
) -> Iterator[str]:
    """Yield the statements that add a column to a copy that is there, without rewriting its rows.

    Its index is made outside of the transaction (``new_indexes``).
    """
    table = schemas.table(resource)
    stored = _stored(column.type_name, compression)
    yield f"alter table {table} add column {quote_identifier(column.name)} {stored}"


def create_view(
    resource: Resource, schemas: Schemas, present: tuple[str, ...] = (), *, is_writable: bool = False
) -> Iterator[str]:
    """Yield the statements that create or extend the resource's view.

    It has the columns of the copy, and ``<reference>_id`` beside each reference, without deleted objects.
    ``present`` are the columns that the view has: new ones follow them, since other views may use it. What
    is written to a view that ``is_writable`` goes to Stripe. It is refused otherwise: Postgres would let it
    through to the table.
    """
    columns = {name: _view_expression(resource, name, column) for name, column in shown_columns(resource)}
    ordered = [*(name for name in present if name in columns), *(n for n in columns if n not in present)]
    selected = ", ".join(
        columns[name]
        if columns[name] == quote_identifier(name)
        else f"{columns[name]} as {quote_identifier(name)}"
        for name in ordered
    )
    source = f"{schemas.table(resource)} where not _deleted"
    view = schemas.view(resource)
    yield f"create or replace view {view} as select {selected} from {source}"
    references = [column.name for column in copied_columns(resource) if f"{column.name}_id" in columns]
    arguments = ", ".join(map(quote_literal, (schemas.copies, resource.name, *references)))
    function = f"write_view({arguments})" if is_writable else "refuse_write()"
    yield f"drop trigger if exists refuse_write on {view}"
    yield (
        f"create or replace trigger write_view instead of insert or update or delete on {view}"
        f" for each row execute function stripe_sync.{function}"
    )


def _stored(type_name: str, compression: str | None) -> str:
    """Return a column's type, with its compression where it is JSON."""
    return f"{type_name} compression {compression}" if compression and type_name == "jsonb" else type_name


def shown_columns(resource: Resource) -> Iterator[tuple[str, str | None]]:
    """Yield the name of each column of the resource's view, and the column of the copy that it shows.

    That is None for the columns that no field of an object fills: those of the state, and the write-only one.
    """
    columns = copied_columns(resource)
    names = {column.name for column in columns}
    yield from ((column.name, column.name) for column in columns)
    yield from ((name, None) for name in STATE_COLUMNS if name != "_deleted")
    for column in columns:
        if column.is_reference and f"{column.name}_id" not in names:
            yield f"{column.name}_id", column.name
    if resource.create or resource.update:
        yield IDEMPOTENCY_KEY, None


def _view_expression(resource: Resource, name: str, column: str | None) -> str:
    """Return the expression of a column of the view, which shows a column of the copy."""
    if name == IDEMPOTENCY_KEY:
        return "null::text"
    if name == "id" and has_word_ids(resource):
        return "substr(id, strpos(id, '/') + 1)"
    return quote_identifier(column or name)


def is_indexed(column: CopiedColumn) -> bool:
    """Return True if the copy has an index on the column."""
    return column.is_reference or column.name == "created"


def index_name(resource: Resource, column: str) -> str:
    """Return the name of the index on a column of the resource's copy."""
    return f"{resource.name}_{column}_idx"[:63]


def create_index(resource: Resource, schemas: Schemas, column: str, *, concurrently: bool = False) -> str:
    """Return the statement that creates the index on a column of the resource's copy."""
    how = " concurrently" if concurrently else ""
    name = quote_identifier(index_name(resource, column))
    indexed = quote_identifier(column)
    # Many references are NULL in most rows, and no join or condition with = looks for those.
    rows = "" if column == "created" else f" where {indexed} is not null"
    return f"create index{how} {name} on {schemas.table(resource)} ({indexed}){rows}"
