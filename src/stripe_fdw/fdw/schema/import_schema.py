"""IMPORT FOREIGN SCHEMA: the foreign tables of all of Stripe, or of one of its product areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from stripe_fdw import sqlstates
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.errors import OptionError, TableError
from stripe_fdw.fdw.schema.columns import RAW, WRITE_ONLY
from stripe_fdw.sql_quoting import quote_identifier, quote_literal
from stripe_fdw.suggestions import closest_names
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

EVERYTHING: Final = "stripe"
CALL_TABLE: Final = "_call"
INVALIDATION_TABLE: Final = "_invalidation"
WRITTEN_TABLE: Final = "_written"
VIEW_WRITE_TABLE: Final = "_view_write"
ACCOUNT_TABLE: Final = "_account"
LOST_WRITE_TABLE: Final = "_lost_write"
CHECK_TABLE: Final = "_check"
Restriction = Literal["limit to", "except"] | None

FUNCTION_TABLES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    CALL_TABLE: (
        ("method", "text"),
        ("path", "text"),
        ("params", "text"),
        ("idempotency_key", "text"),
        ("response", "jsonb"),
        ("status", "bigint"),
        ("request_id", "text"),
    ),
    INVALIDATION_TABLE: (("resource", "text"), ("id", "text")),
    WRITTEN_TABLE: (
        ("resource", "text"),
        ("id", "text"),
        ("parent", "text"),
        ("object", "text"),
        ("known_at", "timestamp with time zone"),
        ("key", "text"),
    ),
    VIEW_WRITE_TABLE: (
        ("resource", "text"),
        ("operation", "text"),
        ("old", "text"),
        ("changes", "text"),
        ("id", "text"),
    ),
    ACCOUNT_TABLE: (("key", "text"), ("livemode", "boolean"), ("account_id", "text")),
    LOST_WRITE_TABLE: (
        ("file", "text"),
        ("resource", "text"),
        ("id", "text"),
        ("parent", "text"),
        ("key", "text"),
        ("sent_at", "timestamp with time zone"),
    ),
    CHECK_TABLE: (
        ("version", "text"),
        ("python", "text"),
        ("shared_directory", "text"),
        ("shared_error", "text"),
        ("livemode", "boolean"),
        ("account_id", "text"),
        ("answered_at", "timestamp with time zone"),
    ),
}
"""The columns of the tables behind functions, those of users, of triggers and of commands."""


class ImportedTable(Struct, frozen=True):
    """A foreign table that an import creates: its name, and its columns with their types."""

    name: str
    columns: tuple[tuple[str, str], ...]
    not_null: frozenset[str] = frozenset()  # columns without NULL in the rows that are read

    @property
    def options(self) -> dict[str, str]:
        """The options of the foreign table."""
        return {"object": self.name}


def imported_tables(
    schema: str, options: Mapping[str, str], restriction: Restriction, names: Sequence[str]
) -> list[ImportedTable]:
    """Return the tables of a remote schema.

    Raises:
        OptionError: the import has an option; there are none.
        TableError: Stripe has no such area, or LIMIT TO or EXCEPT name a table that is not in it.
    """
    if options:
        name = excerpt(next(iter(options)), MAX_NAME_CHARACTERS)
        raise OptionError(f'IMPORT FOREIGN SCHEMA has no option "{name}"')
    catalog = load()
    tables = {table.name: table for table in _tables_of_schema(catalog, schema)}
    for name in names:
        if name not in tables:
            raise _no_table(name, schema, list(tables))
    if restriction == "limit to":
        return [tables[name] for name in dict.fromkeys(names)]
    excluded = set(names) if restriction == "except" else set()
    return [table for table in tables.values() if table.name not in excluded]


def _tables_of_schema(catalog: Catalog, schema: str) -> list[ImportedTable]:
    if schema != EVERYTHING and schema not in catalog.areas:
        raise TableError(
            f'there is no remote schema "{excerpt(schema, MAX_NAME_CHARACTERS)}"',
            detail=f"{EVERYTHING} has every table; a product area has its own: {', '.join(catalog.areas)}.",
            sqlstate=sqlstates.FDW_SCHEMA_NOT_FOUND,
        )
    tables = [
        ImportedTable(resource.name, column_definitions(resource), not_null_columns(resource))
        for resource in catalog.resources
        if schema in (EVERYTHING, resource.area)
    ]
    if schema == EVERYTHING:
        tables.extend(ImportedTable(name, definition) for name, definition in FUNCTION_TABLES.items())
    return tables


def _no_table(name: str, schema: str, names: list[str]) -> TableError:
    shown = excerpt(name, MAX_NAME_CHARACTERS)
    closest = closest_names(shown, names)
    return TableError(
        f'remote schema "{schema}" has no table "{shown}"',
        detail=f"Closest: {', '.join(closest)}." if closest else None,
        hint="stripe-fdw catalog lists all tables.",
    )


def column_definitions(resource: Resource) -> tuple[tuple[str, str], ...]:
    """Return the columns of a resource's foreign table and their types, pseudo-columns last."""
    columns = [(column.name, column.kind.postgres_type) for column in resource.columns]
    columns.append((RAW, "jsonb"))
    if resource.create or resource.update:
        columns.extend(WRITE_ONLY.items())
    return tuple(columns)


def not_null_columns(resource: Resource) -> frozenset[str]:
    """Return the columns that are declared NOT NULL: the id, which tools take for the key of the table.

    Postgres checks no constraint of a foreign table, so an INSERT may leave it to Stripe.
    """
    column = resource.column.get("id")
    return frozenset() if column is None or column.nullable or resource.preview else frozenset({"id"})


def import_statements(
    schema: str, server: str, options: Mapping[str, str], restriction: Restriction, names: Sequence[str]
) -> list[str]:
    """Return the CREATE FOREIGN TABLE commands of a remote schema. Raises as ``imported_tables`` does."""
    tables = imported_tables(schema, options, restriction, names)
    return [create_statement(table, server) for table in tables]


def create_statement(table: ImportedTable, server: str) -> str:
    """Return the CREATE FOREIGN TABLE command, without a schema: IMPORT FOREIGN SCHEMA sets it."""
    definitions = ",\n  ".join(
        f"{quote_identifier(name)} {type_name}{' NOT NULL' if name in table.not_null else ''}"
        for name, type_name in table.columns
    )
    options = ", ".join(
        f"{quote_identifier(name)} {quote_literal(value)}" for name, value in table.options.items()
    )
    return (
        f"CREATE FOREIGN TABLE {quote_identifier(table.name)} (\n  {definitions}\n)"
        f" SERVER {quote_identifier(server)} OPTIONS ({options})"
    )
