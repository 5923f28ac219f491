"""The tables of copies, and the views that applications read: their definitions as SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.copied_columns import CopiedColumn, copied_columns, has_word_ids
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.sql_quoting import quote_identifier, quote_literal

_STATE_COLUMNS: Final = (
    ("_raw", "jsonb", "The object as Stripe sent it, without its secrets"),
    ("_event", "text", "The event that the row comes from; NULL where it was read"),
    ("_account", "text", "'' for the account of the key, else the id of the connected account"),
    ("_as_of", "timestamptz", "When its last change was known, by the clock of Stripe"),
    ("_deleted", "boolean", "Whether the object is deleted in Stripe; the row keeps its values"),
)
STATE_COLUMNS: Final = tuple(name for name, _, _ in _STATE_COLUMNS)


def create_table(resource: Resource, schemas: Schemas, compression: str | None = None) -> Iterator[str]:
    """Yield the statements that create the resource's copy with its indexes and comments.

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
    yield f"comment on table {table} is {quote_literal(_table_comment(resource))}"
    for column in columns:
        yield comment_on_column(table, column.name, column.comment)
    for name, _, comment in _STATE_COLUMNS:
        yield comment_on_column(table, name, comment)


def add_column(
    resource: Resource, schemas: Schemas, column: CopiedColumn, compression: str | None = None
) -> Iterator[str]:
    """Yield the statements that add a column to a copy that is there, without rewriting its rows.

    Its index is made outside of the transaction (``new_indexes``).
    """
    table = schemas.table(resource)
    stored = _stored(column.type_name, compression)
    yield f"alter table {table} add column {quote_identifier(column.name)} {stored}"
    yield comment_on_column(table, column.name, column.comment)


def create_view(
    resource: Resource, schemas: Schemas, present: tuple[str, ...] = (), *, is_writable: bool = False
) -> Iterator[str]:
    """Yield the statements that create or extend the resource's view.

    It has the columns of the copy, and ``<reference>_id`` beside each reference, without deleted objects.
    ``present`` are the columns that the view has: new ones follow them, since other views may use it. What
    is written to a view that ``is_writable`` goes to Stripe. It is refused otherwise: Postgres would let it
    through to the table.
    """
    columns = {name: expression for name, expression, _ in _view_columns(resource)}
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
    yield f"comment on view {view} is {quote_literal(_view_comment(resource))}"
    references = [column.name for column in copied_columns(resource) if f"{column.name}_id" in columns]
    arguments = ", ".join(map(quote_literal, (schemas.copies, resource.name, *references)))
    function = f"write_view({arguments})" if is_writable else "refuse_write()"
    yield f"drop trigger if exists refuse_write on {view}"
    yield (
        f"create or replace trigger write_view instead of insert or update or delete on {view}"
        f" for each row execute function stripe_sync.{function}"
    )


def comment_on_view_columns(resource: Resource, schemas: Schemas, names: Collection[str]) -> str:
    """Return the COMMENT statements of these columns of the resource's view, to be sent as one."""
    view = schemas.view(resource)
    return "; ".join(
        comment_on_column(view, name, comment)
        for name, _, comment in _view_columns(resource)
        if name in names
    )


def comment_on_column(relation: str, name: str, comment: str) -> str:
    """Return the COMMENT statement of a column."""
    return f"comment on column {relation}.{quote_identifier(name)} is {quote_literal(comment)}"


def _stored(type_name: str, compression: str | None) -> str:
    """Return a column's type, with its compression where it is JSON."""
    return f"{type_name} compression {compression}" if compression and type_name == "jsonb" else type_name


def _view_columns(resource: Resource) -> Iterator[tuple[str, str, str]]:
    """Yield the name, expression and comment of each column of the resource's view."""
    columns = copied_columns(resource)
    names = {column.name for column in columns}
    for column in columns:
        is_key = column.name == "id" and has_word_ids(resource)
        expression = "substr(id, strpos(id, '/') + 1)" if is_key else quote_identifier(column.name)
        yield column.name, expression, column.comment
    for name, _, comment in _STATE_COLUMNS:
        if name != "_deleted":
            yield name, name, comment
    for column in columns:
        if column.is_reference and f"{column.name}_id" not in names:
            comment = f"{column.comment}. The same as {column.name}"
            yield f"{column.name}_id", quote_identifier(column.name), comment
    if resource.create or resource.update:
        yield (
            "_idempotency_key",
            "null::text",
            "The idempotency key to write a row with; NULL where it is read",
        )


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


def _view_comment(resource: Resource) -> str:
    return f"The Stripe object {resource.object}, from its copies, without deleted objects"


def _table_comment(resource: Resource) -> str:
    return f"Copies of the Stripe object {resource.object}. Written by stripe-fdw alone"
