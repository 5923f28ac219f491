"""The columns of a copy: name, type, and the SQL expression that takes the value from an object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Catalog, Column, Kind, Resource
from stripe_fdw.sql_quoting import quote_identifier, quote_literal

OBJECT: Final = "o"  # names the object's jsonb in expressions
RECORD: Final = "r"  # names the record of its fields
# What an object may carry beside Stripe's fields: the id of the object in whose list it is, and evidence of
# its own: when it was so, the event that reported it, and the state before that event.
PARENT_KEY: Final = "_parent"
AT_KEY: Final = "_at"
EVENT_KEY: Final = "_event"
BEFORE_KEY: Final = "_before"
CARRIED: Final = (PARENT_KEY, AT_KEY, EVENT_KEY, BEFORE_KEY)
PARENT: Final = f"coalesce({OBJECT} ->> '{PARENT_KEY}', given_parent)"
AT: Final = f"coalesce(({OBJECT} ->> '{AT_KEY}')::timestamptz, given_at)"
EVENT: Final = f"coalesce({OBJECT} ->> '{EVENT_KEY}', given_event)"

# Fields that are secrets beside those of the catalog: they are in no copy, neither as a column nor in _raw.
_SECRETS: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"client_secret", "confirmation_secret"}),
    "webhook_endpoint": frozenset({"secret"}),
}
# A record takes a reference as jsonb, since it may be expanded, and a time, a number or in version 2 a text.
_RECORD_TYPES: Final[Mapping[Kind, str]] = {
    kind: "jsonb" if kind in (Kind.REFERENCE, Kind.TIME) else kind.postgres_type for kind in Kind
}


_AS_JSON: Final = frozenset({Kind.REFERENCE, Kind.TIME, Kind.JSON})


def has_word_ids(resource: Resource) -> bool:
    """Return True if ids are words that repeat in each parent, such as a capability's ``card_payments``.

    Their copies have ``<id of the parent>/<id>`` in its place.
    """
    return resource.is_listed and bool(resource.parents) and not resource.id_prefix


def copy_key(resource: Resource, item: Mapping[str, Any], parent: str | None) -> str:
    """Return the id under which the object's copy is kept; ``parent`` is the one in whose list it was."""
    identifier = str(item["id"])
    if not has_word_ids(resource) or "/" in identifier:
        return identifier
    holder = item.get(resource.parents[0].column)
    if isinstance(holder, Mapping):
        holder = holder.get("id")
    holder = holder or parent
    return f"{holder}/{identifier}" if holder else identifier


def copy_key_expression(resource: Resource, item: str) -> str:
    """Return the expression for the id under which the copy of a jsonb object is kept.

    It refers to the parent in whose list the object was as ``given_parent``.
    """
    if not has_word_ids(resource):
        return f"{item} ->> 'id'"
    column = quote_literal(resource.parents[0].column)
    holder = f"coalesce({item} -> {column} ->> 'id', {item} ->> {column}, given_parent)"
    return f"stripe_sync.copy_key({item} ->> 'id', {holder})"


@dataclass(frozen=True, slots=True)
class CopiedColumn:
    """A column of a copy. ``expression`` refers to the object as ``o`` and to its fields as ``r.field``."""

    name: str
    type_name: str
    expression: str
    is_reference: bool = False
    record_type: str = ""  # of the field in the record; "" where the value lies deeper in the object


def secret_fields(resource: Resource) -> tuple[str, ...]:
    """Return the names of the object's fields that must not be copied."""
    known = {column.name for column in resource.columns if column.is_secret}
    return tuple(sorted(known | _SECRETS[""] | _SECRETS.get(resource.name, frozenset())))


def expanded_columns(resource: Resource) -> tuple[Column, ...]:
    """Return the columns of the copy whose values Stripe sends only to requests that expand them."""
    return tuple(column for column in resource.columns if column.expand and _is_copied(resource, column))


def with_kept_fields(raw: str, columns: Sequence[Column]) -> str:
    """Return the expression for an object with what Stripe sends only on request, and its row ``t`` has.

    An object that came without these fields says nothing about them.
    """
    if not columns:
        return raw
    paths = ", ".join(quote_literal(column.expand) for column in columns)
    return f"stripe_sync.with_kept_fields({raw}, t._raw, array[{paths}])"


def _is_copied(resource: Resource, column: Column) -> bool:
    """Return True if the copy has the column.

    A filter that no field answers has none, but the parent of a list inside an object has one: it is the
    parent that was read. A list that Stripe sends only on request, and then the first entries of it, has none
    either where the entries have a copy of their own.
    """
    if column.name in secret_fields(resource):
        return False
    if column.expand and column.full_list_table:
        return load().resource[column.full_list_table].events_of == resource.name
    return bool(column.path) or column.name in {parent.column for parent in resource.parents}


def is_copied(resource: Resource) -> bool:
    """Return True if the resource can have a copy."""
    return resource.has_copy


def copied_resources(catalog: Catalog) -> tuple[Resource, ...]:
    """Return the resources that have a copy, in the catalog's order."""
    return tuple(resource for resource in catalog.resources if is_copied(resource))


def copied_columns(resource: Resource) -> tuple[CopiedColumn, ...]:
    """Return the columns of the resource's copy, ``id`` first."""
    parents = {parent.column for parent in resource.parents}
    columns = [
        _copied_column(column, is_parent=column.name in parents)
        for column in resource.columns
        if _is_copied(resource, column)
    ]
    return tuple(sorted(columns, key=lambda column: column.name != "id"))


def record_definition(columns: Iterable[CopiedColumn]) -> str:
    """Return the column list of ``jsonb_to_record`` for the fields that columns take from it."""
    return ", ".join(
        f"{quote_identifier(column.name)} {column.record_type}" for column in columns if column.record_type
    )


def _copied_column(column: Column, *, is_parent: bool) -> CopiedColumn:
    is_field = column.path == (column.name,)
    if not column.path:
        expression = "null::text"
    elif is_field:
        expression = _converted(column, f"{RECORD}.{quote_identifier(column.name)}")
    else:
        expression = _nested(column)
    if is_parent:
        expression = f"coalesce({expression}, {PARENT})"
    return CopiedColumn(
        column.name,
        column.kind.postgres_type,
        expression,
        is_reference=column.kind is Kind.REFERENCE,
        record_type=_RECORD_TYPES[column.kind] if is_field else "",
    )


def _converted(column: Column, value: str) -> str:
    """Return the expression that turns a record's field into the column's value."""
    if column.kind is Kind.REFERENCE:
        return f"case jsonb_typeof({value}) when 'object' then {value} ->> 'id' else {value} #>> '{{}}' end"
    if column.kind is Kind.TIME:
        return time_from_json(value, column.units_per_second)
    return value


def time_from_json(value: str, units_per_second: int = 1) -> str:
    """Return the expression for the time in a jsonb value: a number since the epoch, or a text."""
    number = f"{value}::double precision" + (f" / {units_per_second}" if units_per_second != 1 else "")
    return (
        f"case jsonb_typeof({value}) when 'number' then to_timestamp({number})"
        f" when 'string' then ({value} #>> '{{}}')::timestamptz end"
    )


def _nested(column: Column) -> str:
    """Return the expression for a value deeper in the object; a list on the way gives all of its values."""
    path = quote_literal("$" + "".join(f'."{key}"' for key in column.path) + " ? (@ != null)")
    if column.aggregate:
        item = "v" if column.kind in _AS_JSON else _from_text(column, "v")
        values = f"jsonb_path_query({OBJECT}, {path}) v"
        return f"(select {column.aggregate}({_converted(column, item)}) from {values})"
    value = f"jsonb_path_query_first({OBJECT}, {path})"
    return _converted(column, value if column.kind in _AS_JSON else _from_text(column, value))


def _from_text(column: Column, value: str) -> str:
    text = f"({value} #>> '{{}}')"
    return text if column.kind is Kind.TEXT else f"{text}::{column.kind.postgres_type}"
