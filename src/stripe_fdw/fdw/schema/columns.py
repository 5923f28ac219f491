"""The columns and types that a foreign table may have, and the columns whose quals can be pushed down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from stripe_fdw import sqlstates
from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.backend.hosting import ColumnDefinition
from stripe_fdw.sql_quoting import quote_identifier
from stripe_fdw.suggestions import closest_names

RAW: Final = "_raw"
WRITE_ONLY: Final = {"_params": "jsonb", "_idempotency_key": "text"}

TEXT_TYPES: Final = frozenset({"text", "character varying", "character", "name", "citext"})
INTEGER_TYPES: Final = frozenset({"bigint", "integer", "smallint"})
NUMERIC_TYPES: Final = frozenset({"numeric"})
FLOAT_TYPES: Final = frozenset({"double precision", "real"})
_TIME_TYPES: Final = frozenset({"timestamp with time zone", "timestamp without time zone", "date"})
_JSON_TYPES: Final = frozenset({"jsonb", "json"})
_ACCEPTED: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.TEXT: TEXT_TYPES,
    Kind.REFERENCE: TEXT_TYPES,
    Kind.INTEGER: INTEGER_TYPES | NUMERIC_TYPES | FLOAT_TYPES | TEXT_TYPES,
    Kind.BOOLEAN: frozenset({"boolean"}) | TEXT_TYPES,
    Kind.DECIMAL: NUMERIC_TYPES | FLOAT_TYPES | TEXT_TYPES,
    Kind.FLOAT: FLOAT_TYPES | NUMERIC_TYPES | TEXT_TYPES,
    Kind.TIME: _TIME_TYPES | TEXT_TYPES | {"bigint"},
    Kind.TIMESTAMP: _TIME_TYPES | TEXT_TYPES,
    Kind.JSON: _JSON_TYPES | TEXT_TYPES,
}
_COMPARABLE: Final[Mapping[Kind, frozenset[str]]] = {
    kind: frozenset({kind.postgres_type}) for kind in Kind
} | {
    Kind.TEXT: frozenset({"text", "character varying"}),
    Kind.REFERENCE: frozenset({"text", "character varying"}),
    Kind.INTEGER: INTEGER_TYPES,
}
_BUILT_IN_TYPES: Final = (
    TEXT_TYPES
    | INTEGER_TYPES
    | NUMERIC_TYPES
    | FLOAT_TYPES
    | _TIME_TYPES
    | _JSON_TYPES
    | {"boolean", "uuid", "bytea"}
)


def base_type(type_name: str) -> str:
    """Return a type without length and schema, as in ``varchar`` for ``varchar(20)``."""
    before, _, after = type_name.partition("(")
    suffix = after.partition(")")[2]
    return (before + suffix).rpartition(".")[2].strip().lower()


def check_columns(resource: Resource, definitions: Sequence[ColumnDefinition]) -> None:
    """Raise ColumnError for a column that the resource does not have, or has with another type."""
    for definition in definitions:
        name, type_name = definition.column_name, base_type(definition.type_name)
        if name in WRITE_ONLY or name == RAW:
            expected = WRITE_ONLY.get(name, "jsonb")
            if type_name not in (TEXT_TYPES if expected == "text" else _JSON_TYPES | TEXT_TYPES):
                raise _wrong_type(resource, definition, expected)
            continue
        column = resource.column.get(name)
        if column is None:
            raise _no_column(resource, name, is_renamed="column_name" in definition.options)
        # A type that is not Postgres's own (an enum, a domain) has an input function that decides.
        if type_name not in _ACCEPTED[column.kind] and (
            type_name in _BUILT_IN_TYPES or type_name.endswith("[]")
        ):
            raise _wrong_type(resource, definition, column.kind.postgres_type)


def _no_column(resource: Resource, name: str, *, is_renamed: bool) -> ColumnError:
    closest = closest_names(name, resource.column, cutoff=0.6)
    if is_renamed:
        return ColumnError(
            f'the option column_name of a column is "{name}": Stripe\'s {resource.object} has no such field',
            detail=f"Closest: {', '.join(closest)}." if closest else None,
            hint=f"stripe-fdw catalog {resource.name} lists the columns. "
            "ALTER FOREIGN TABLE ... ALTER COLUMN ... OPTIONS (SET column_name '...');",
        )
    return ColumnError(
        f'column "{name}" is not there: Stripe\'s {resource.object} has no such field',
        detail=f"Closest: {', '.join(closest)}." if closest else None,
        hint=f"stripe-fdw catalog {resource.name} lists the columns. "
        "Give the column the option column_name, drop it, or import the schema again.",
    )


def _wrong_type(resource: Resource, definition: ColumnDefinition, expected: str) -> ColumnError:
    name = definition.column_name
    column = "..." if "column_name" in definition.options else quote_identifier(name)
    return ColumnError(
        f'column "{name}" of {resource.name} has type {definition.type_name}, but must be {expected}',
        hint=f"ALTER FOREIGN TABLE ... ALTER COLUMN {column} TYPE {expected};",
        sqlstate=sqlstates.FDW_INVALID_DATA_TYPE,
    )


def comparable_columns(resource: Resource, definitions: Sequence[ColumnDefinition]) -> dict[str, Column]:
    """Return the columns whose type compares as Stripe's values do, so that quals on them can be pushed."""
    columns = {}
    for definition in definitions:
        column = resource.column.get(definition.column_name)
        if column is not None and definition.type_name in _COMPARABLE[column.kind]:
            columns[column.name] = column
    return columns
