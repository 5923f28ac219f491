"""From the options of a foreign table to the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import ColumnError, OptionError, TableError
from stripe_fdw.fdw.backend.hosting import Definitions
from stripe_fdw.fdw.schema.import_schema import (
    ACCOUNT_TABLE,
    CALL_TABLE,
    CHECK_TABLE,
    FUNCTION_TABLES,
    INVALIDATION_TABLE,
    LOST_WRITE_TABLE,
    VIEW_WRITE_TABLE,
    WRITTEN_TABLE,
)
from stripe_fdw.fdw.schema.options import check_merged_options
from stripe_fdw.fdw.session import Session
from stripe_fdw.fdw.tables.base import Table
from stripe_fdw.fdw.tables.column_names import ColumnNames
from stripe_fdw.fdw.tables.renamed import RenamedTable
from stripe_fdw.fdw.tables.resource import ResourceTable
from stripe_fdw.suggestions import closest_names


def open_table(
    session: Session,
    options: Mapping[str, str],
    definitions: Definitions,
    resource_table: Callable[[Session, Resource, Mapping[str, str], Definitions], Table] = ResourceTable,
) -> Table:
    """Return the table that the option ``object`` names. Makes no request.

    Args:
        session: the state of this backend.
        options: those of the foreign data wrapper, server, user mapping and table, merged.
        definitions: the foreign table's columns.
        resource_table: makes the table of a kind of object, where a host needs another than the usual.

    Raises:
        OptionError: an option's value cannot be used, or the table does not name its object.
        TableError: Stripe has no such object.
        ColumnError: the object has no such column, or has it with another type; or two columns are the same.
    """
    names = ColumnNames.of(definitions)
    table = _open_table(session, options, names.definitions(definitions), resource_table)
    return table if names.are_the_catalogs else RenamedTable(table, names)


def _open_table(
    session: Session,
    options: Mapping[str, str],
    definitions: Definitions,
    resource_table: Callable[[Session, Resource, Mapping[str, str], Definitions], Table],
) -> Table:
    """Open the table, whose columns have the catalog's names."""
    check_merged_options(options)
    name = options.get("object")
    if name is None:
        raise OptionError("the foreign table does not name its object", hint="OPTIONS (object 'customer')")
    if name in FUNCTION_TABLES:
        _check_function_columns(name, definitions)
        return _function_table(name)(session, options, definitions)
    resource = load().resource.get(name)
    if resource is None:
        near = closest_names(name, load().resource)
        raise TableError(
            f'Stripe has no object "{name}"',
            detail=f"Closest: {', '.join(near)}." if near else None,
            hint="stripe-fdw catalog lists them all.",
        )
    return resource_table(session, resource, options, definitions)


def _function_table(name: str) -> Callable[[Session, Mapping[str, str], Definitions], Table]:
    """Return the class of a table behind a function. Tables of objects are read without their modules."""
    from stripe_fdw.fdw.tables.check import CheckTable
    from stripe_fdw.fdw.tables.functions import CallTable, InvalidationTable
    from stripe_fdw.fdw.tables.lost_writes import LostWriteTable
    from stripe_fdw.fdw.tables.written import AccountTable, ViewWriteTable, WrittenTable

    tables: Mapping[str, Callable[[Session, Mapping[str, str], Definitions], Table]] = {
        ACCOUNT_TABLE: AccountTable,
        CALL_TABLE: CallTable,
        CHECK_TABLE: CheckTable,
        INVALIDATION_TABLE: InvalidationTable,
        LOST_WRITE_TABLE: LostWriteTable,
        VIEW_WRITE_TABLE: ViewWriteTable,
        WRITTEN_TABLE: WrittenTable,
    }
    return tables[name]


def _check_function_columns(name: str, definitions: Definitions) -> None:
    columns = dict(FUNCTION_TABLES[name])
    for column in definitions:
        if column not in columns:
            raise ColumnError(f'column "{column}" is not there: {name} has {", ".join(columns)}')
