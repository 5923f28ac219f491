"""The kinds of foreign tables: Stripe's objects, and those behind functions (``fdw.machinery``)."""

# ruff: noqa: D102 - one protocol, documented in StripeForeignDataWrapper; not every kind needs all of it

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import ColumnError, MissingQualError, OptionError, TableError
from stripe_fdw.fdw.backend import hosting
from stripe_fdw.fdw.cache.response_cache import session_cache
from stripe_fdw.fdw.planning import estimates
from stripe_fdw.fdw.planning.explain import describe_read, describe_write
from stripe_fdw.fdw.planning.plan import ReadPlan
from stripe_fdw.fdw.planning.planner import plan_read, sortable
from stripe_fdw.fdw.planning.quals import Qual, SortKey, normalise
from stripe_fdw.fdw.planning.statistics import TableStatistics, statistics_account
from stripe_fdw.fdw.reading.reader import PlanReader
from stripe_fdw.fdw.reading.rows import row_maker
from stripe_fdw.fdw.reading.scan import Scan
from stripe_fdw.fdw.reading.spool import SpooledPages, unaffected_by_inserts
from stripe_fdw.fdw.schema.clients import client_for
from stripe_fdw.fdw.schema.columns import RAW, check_columns, comparable_columns
from stripe_fdw.fdw.schema.import_schema import CALL_TABLE, FUNCTION_TABLES
from stripe_fdw.fdw.schema.options import check_merged_options, read_api_key, server_options
from stripe_fdw.fdw.tables import functions
from stripe_fdw.fdw.writing.table_writer import TableWriter
from stripe_fdw.fdw.writing.transaction import transaction_writes
from stripe_fdw.suggestions import closest_names

Lines = list[tuple[str, str]]
Row = dict[str, Any]
Definitions = Mapping[str, hosting.ColumnDefinition]


class Table(Protocol):
    """What the wrapper asks of each kind."""

    @property
    def rowid(self) -> str: ...
    def size(self, quals: Sequence[Qual]) -> estimates.ScanEstimate: ...
    def width(self, columns: Sequence[str]) -> int: ...
    def path_keys(self) -> list[tuple[tuple[str, ...], float]]: ...
    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]: ...
    def describe(
        self, quals: Sequence[Qual], sortkeys: Sequence[SortKey], limit: int | None, verbose: bool
    ) -> Lines: ...
    def describe_write(self, command: str, columns: Sequence[str]) -> Lines: ...
    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        fresh: bool,
    ) -> Scan: ...
    @property
    def identity(self) -> tuple[str, ...]: ...
    def insert_row(self, values: Row, answered: bool) -> Row | None: ...
    def update_row(self, old: Row, values: Row, answered: bool) -> Row | Literal[False] | None: ...
    def delete_row(self, old: Row, answered: bool) -> Literal[False] | None: ...
    def update_as_multicorn_says(self, old: object, new: Row) -> Row | None: ...
    def delete_as_multicorn_says(self, old: object) -> None: ...
    def end_modify(self) -> None: ...


def table(options: Mapping[str, str], definitions: Definitions) -> Table:
    """The table that the options name.

    Raises:
        OptionError: an option's value cannot be used, or the table does not name its object.
        TableError: Stripe has no such object.
        ColumnError: the object has no such column, or has it with another type.
    """
    check_merged_options(options)
    name = options.get("object")
    if name is None:
        raise OptionError("the foreign table does not name its object", hint="OPTIONS (object 'customer')")
    if name in FUNCTION_TABLES:
        for column in definitions:
            if column not in dict(FUNCTION_TABLES[name]):
                raise ColumnError(
                    f'column "{column}" is not there: {name} has {", ".join(dict(FUNCTION_TABLES[name]))}'
                )
        return (
            functions.CallTable(options, definitions)
            if name == CALL_TABLE
            else functions.InvalidationTable(options, definitions)
        )
    resource = load().resource.get(name)
    if resource is None:
        near = closest_names(name, load().resource)
        raise TableError(
            f'Stripe has no object "{name}"',
            detail=f"Closest: {', '.join(near)}." if near else None,
            hint="stripe-fdw catalog lists them all.",
        )
    return ObjectTable(resource, options, definitions)


class ObjectTable:
    """Stripe's objects of one kind."""

    def __init__(self, resource: Resource, options: Mapping[str, str], definitions: Definitions) -> None:
        check_columns(resource, list(definitions.values()))
        self._resource = resource
        self._options = options
        self._definitions = definitions
        self._server = server_options(options)
        self._comparable = comparable_columns(resource, list(definitions.values()))
        self._known = TableStatistics(statistics_account(options), resource)
        self._writer = TableWriter(resource, definitions, self._server, self._client, transaction_writes)
        self.rowid = RAW if RAW in definitions else "id"

    def size(self, quals: Sequence[Qual]) -> estimates.ScanEstimate:
        """How many rows the planner should expect, and what they cost."""
        try:
            found = self._plan(quals, (), None)
        except MissingQualError:
            found = None
        normal = normalise(quals, self._comparable)
        return estimates.estimate_scan(found, normal, self._known, load().resource)

    def width(self, columns: Sequence[str]) -> int:
        """How many bytes a row has."""
        return estimates.estimate_row_width(self._resource, columns)

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """The columns for which a nested loop may ask value by value."""
        keys = estimates.path_keys(self._resource, self._known)
        return [key for key in keys if set(key[0]) <= set(self._comparable)]

    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]:
        """The part of the order that scans deliver."""
        return sortable(self._resource, sortkeys) if "created" in self._comparable else []

    def describe(
        self, quals: Sequence[Qual], sortkeys: Sequence[SortKey], limit: int | None, verbose: bool
    ) -> Lines:
        """EXPLAIN's lines."""
        return describe_read(self._plan(quals, sortkeys, limit), verbose=verbose)

    def describe_write(self, command: str, columns: Sequence[str]) -> Lines:
        """EXPLAIN's lines of INSERT, UPDATE and DELETE."""
        return describe_write(self._resource, command, columns)

    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        fresh: bool = False,
    ) -> Scan:
        """Prepare a scan; the first request leaves with the first batch.

        ``fresh``: its rows are to be changed, so no remembered answer serves, and all are read first.
        """
        found = self._plan(quals, sortkeys, limit)
        ttl = 0.0 if fresh else self._server.cache_ttl
        reader = PlanReader(self._client(), hosting.check_interrupts, load().resource, session_cache, ttl)
        maker = row_maker(
            self._resource,
            [self._definitions[name] for name in columns],
            as_text=hosting.renders_text(),
        )
        read = self._known.watch(found, reader.pages(found))
        if fresh:
            read = self._writer.watch(read)
        pages = SpooledPages(
            read,
            resource=self._resource.name,
            held=fresh and limit is None,
            lasting=fresh or unaffected_by_inserts(found),
        )
        if not pages.lasting:
            session_cache.running().scans.add(pages)
        batches = (maker.rows(page.objects, page.fills) for page in pages if page.objects)
        return Scan(batches, reader.counters)

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns of a row as it was read by which it can be changed."""
        return self._writer.identity

    def insert_row(self, values: Row, answered: bool) -> Row | None:
        """Create an object."""
        return self._writer.insert(values, answered=answered)

    def update_row(self, old: Row, values: Row, answered: bool) -> Row | Literal[False] | None:
        """Change an object."""
        return self._writer.update(old, values, answered=answered)

    def delete_row(self, old: Row, answered: bool) -> Literal[False] | None:
        """Delete an object."""
        return self._writer.delete(old, answered=answered)

    def update_as_multicorn_says(self, old: object, new: Row) -> Row | None:
        """Change an object of which ``old`` is all of it, or its id."""
        return self._writer.update_as_multicorn_says(old, new)

    def delete_as_multicorn_says(self, old: object) -> None:
        """Delete an object of which ``old`` is all of it, or its id."""
        self._writer.delete_as_multicorn_says(old)

    def end_modify(self) -> None:
        """A statement writes no more rows."""
        self._writer.end()

    def _client(self) -> Client:
        return client_for(self._server, read_api_key(self._options))

    def _plan(self, quals: Sequence[Qual], sortkeys: Sequence[SortKey], limit: int | None) -> ReadPlan:
        return plan_read(
            self._resource,
            normalise(quals, self._comparable),
            sortkeys=sortkeys,
            limit=limit,
            use_search=self._server.use_search,
            resources=load().resource,
        )
