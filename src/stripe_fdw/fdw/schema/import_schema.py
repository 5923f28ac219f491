"""Answers IMPORT FOREIGN SCHEMA: all of Stripe, or one of its product areas, as foreign tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from stripe_fdw import sqlstates
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.errors import OptionError, TableError
from stripe_fdw.fdw.schema.columns import RAW, WRITE_ONLY
from stripe_fdw.suggestions import closest_names

EVERYTHING: Final = "stripe"
CALL_TABLE: Final = "_call"
INVALIDATION_TABLE: Final = "_invalidation"
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
}
"""Tables behind functions: ``stripe_live.call`` and ``stripe_sync.invalidate``."""


@dataclass(frozen=True, slots=True)
class ImportedTable:
    """A foreign table to be: its name and its columns with their types."""

    name: str
    columns: tuple[tuple[str, str], ...]

    @property
    def options(self) -> dict[str, str]:
        """The table's options."""
        return {"object": self.name}


def imported_tables(
    schema: str, options: Mapping[str, str], restriction: Restriction, names: Sequence[str]
) -> list[ImportedTable]:
    """The tables of a remote schema.

    Raises:
        OptionError: the import has an option; there are none.
        TableError: Stripe has no such area, or LIMIT TO or EXCEPT name a table that is not in it.
    """
    if options:
        raise OptionError(f'IMPORT FOREIGN SCHEMA has no option "{next(iter(options))}"')
    catalog = load()
    found = {table.name: table for table in _all(catalog, schema)}
    for name in names:
        if name not in found:
            raise _no_table(name, schema, list(found))
    if restriction == "limit to":
        return [found[name] for name in dict.fromkeys(names)]
    left_out = set(names) if restriction == "except" else set()
    return [table for table in found.values() if table.name not in left_out]


def _all(catalog: Catalog, schema: str) -> list[ImportedTable]:
    if schema != EVERYTHING and schema not in catalog.areas:
        raise TableError(
            f'there is no remote schema "{schema}"',
            detail=f"{EVERYTHING} has every table; a product area has its own: {', '.join(catalog.areas)}.",
            sqlstate=sqlstates.FDW_SCHEMA_NOT_FOUND,
        )
    found = [
        ImportedTable(resource.name, column_definitions(resource))
        for resource in catalog.resources
        if schema in (EVERYTHING, resource.area)
    ]
    if schema == EVERYTHING:
        found.extend(ImportedTable(name, definition) for name, definition in FUNCTION_TABLES.items())
    return found


def _no_table(name: str, schema: str, names: list[str]) -> TableError:
    near = closest_names(name, names)
    return TableError(
        f'remote schema "{schema}" has no table "{name}"',
        detail=f"Closest: {', '.join(near)}." if near else None,
        hint="stripe-fdw catalog lists all tables.",
    )


def column_definitions(resource: Resource) -> tuple[tuple[str, str], ...]:
    """The columns of a resource's foreign table and their types, pseudo-columns last."""
    found = [(column.name, column.kind.postgres_type) for column in resource.columns]
    found.append((RAW, "jsonb"))
    if resource.create or resource.update:
        found.extend(WRITE_ONLY.items())
    return tuple(found)


def import_statements(
    schema: str, server: str, options: Mapping[str, str], restriction: Restriction, names: Sequence[str]
) -> list[str]:
    """Return the CREATE FOREIGN TABLE commands of a remote schema. Raises as ``imported_tables`` does."""
    tables = imported_tables(schema, options, restriction, names)
    return [create_statement(table, server) for table in tables]


def create_statement(table: ImportedTable, server: str) -> str:
    """The CREATE FOREIGN TABLE command; the schema is the importing command's business."""
    definitions = ",\n  ".join(f"{_identifier(name)} {type_name}" for name, type_name in table.columns)
    options = ", ".join(f"{_identifier(name)} {_literal(value)}" for name, value in table.options.items())
    return (
        f"CREATE FOREIGN TABLE {_identifier(table.name)} (\n  {definitions}\n)"
        f" SERVER {_identifier(server)} OPTIONS ({options})"
    )


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
