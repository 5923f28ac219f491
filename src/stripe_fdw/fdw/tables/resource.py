"""The foreign table of one kind of Stripe object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import MissingQualError
from stripe_fdw.fdw.backend.hosting import Definitions, Row
from stripe_fdw.fdw.cache.requester import RequestCost, Requester
from stripe_fdw.fdw.planning import estimates
from stripe_fdw.fdw.planning.choice import choose_read
from stripe_fdw.fdw.planning.expansions import columns_named
from stripe_fdw.fdw.planning.explain import describe_read
from stripe_fdw.fdw.planning.plan import ReadPlan
from stripe_fdw.fdw.planning.quals import Qual, SortKey, normalise
from stripe_fdw.fdw.planning.sort_order import sortable
from stripe_fdw.fdw.planning.statistics import TableStatistics, statistics_account
from stripe_fdw.fdw.reading.observation import observe
from stripe_fdw.fdw.reading.page import ObjectPage
from stripe_fdw.fdw.reading.reader import PlanReader
from stripe_fdw.fdw.reading.rows import row_maker
from stripe_fdw.fdw.reading.scan import Scan
from stripe_fdw.fdw.reading.spool import SpooledPages, unaffected_by_inserts
from stripe_fdw.fdw.schema.columns import check_columns, comparable_columns
from stripe_fdw.fdw.schema.options import read_api_key, server_options
from stripe_fdw.fdw.session import Session
from stripe_fdw.fdw.tables.base import Lines
from stripe_fdw.fdw.writing.plan.explain import PlannedChange, describe_write
from stripe_fdw.fdw.writing.table_writer import TableWriter


class ResourceTable:
    """Stripe's objects of one kind."""

    def __init__(
        self, session: Session, resource: Resource, options: Mapping[str, str], definitions: Definitions
    ) -> None:
        """Check the options and columns.

        Raises:
            OptionError: an option's value cannot be used.
            ColumnError: the object has no such column, or has it with another type.
        """
        check_columns(resource, list(definitions.values()))
        self._session = session
        self._resource = resource
        self._options = options
        self._definitions = definitions
        self._server = server_options(options)
        self._comparable = comparable_columns(resource, list(definitions.values()))
        self._statistics = TableStatistics(statistics_account(options), resource)
        self._writer = self._make_writer()

    def _make_writer(self) -> TableWriter:
        session = self._session
        return TableWriter(
            session.host, session.clients, session.writes, self._resource, self._options, self._definitions
        )

    def size(self, quals: Sequence[Qual]) -> estimates.ScanEstimate:
        """Estimate how many rows a scan returns and how many requests it takes."""
        plan: ReadPlan | None
        try:
            plan = self._plan(quals, (), None)
        except MissingQualError:
            plan = None
        normalised = normalise(quals, self._comparable)
        return estimates.estimate_scan(plan, normalised, self._statistics, load().resource)

    def width(self, columns: Sequence[str]) -> int:
        """Estimate how many bytes a row of these columns has."""
        return estimates.estimate_row_width(self._resource, columns)

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """Return the columns that a nested loop may ask value by value, and the rows per value."""
        keys = estimates.path_keys(self._resource, self._statistics)
        return [key for key in keys if set(key[0]) <= set(self._comparable)]

    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]:
        """Return the leading part of the sort order that scans deliver."""
        return sortable(self._resource, sortkeys) if "created" in self._comparable else []

    def describe(
        self,
        quals: Sequence[Qual],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
        named: Sequence[str] = (),
    ) -> Lines:
        """Return EXPLAIN's lines of a read."""
        return describe_read(self._plan(quals, sortkeys, limit, named), verbose=verbose)

    def describe_write(self, change: PlannedChange) -> Lines:
        """Return EXPLAIN's lines of a write."""
        answered = columns_named(self._resource, change.answered, self._definitions)
        return describe_write(self._resource, replace(change, answered=answered))

    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        fresh: bool = False,
        named: Sequence[str] = (),
    ) -> Scan:
        """Prepare a scan; the first request leaves with the first batch.

        The rows of a ``fresh`` scan are to be changed: no cached answer serves, and all are read first.
        """
        plan = self._plan(quals, sortkeys, limit, named)
        ttl = 0.0 if fresh else self._server.cache_ttl
        requester = Requester(self._session.host.check_interrupts)
        reader = PlanReader(
            self._client(),
            requester,
            load().resource,
            self._session.response_cache,
            self._session.generations,
            ttl,
        )
        maker = row_maker(
            self._resource,
            [self._definitions[name] for name in columns],
            as_text=self._session.host.renders_text,
        )
        observed = observe(reader.pages(plan), plan, self._statistics)
        if fresh:
            observed = self._watch_rows(observed)
        pages = SpooledPages(
            observed,
            resource=self._resource.name,
            materialized=fresh and limit is None,
            unaffected=fresh or unaffected_by_inserts(plan),
        )
        if not pages.unaffected:
            self._session.affected_scans.add(self._session.response_cache.executor_run(), pages)
        batches = (maker.rows(page.objects, page.constant_columns) for page in pages if page.objects)
        return Scan(batches, requester.cost)

    def row_identity(self) -> tuple[str, ...]:
        """Return the columns of a row as it was read that identify it."""
        return self._writer.identity

    def insert_row(self, values: Row, answered: Sequence[str] | None, cost: RequestCost) -> Row | None:
        """Create an object; return its row if it is to be ``answered``."""
        return self._writer.insert(values, answered=answered, cost=cost)

    def update_row(
        self, old: Row, values: Row, answered: Sequence[str] | None, cost: RequestCost
    ) -> Row | Literal[False] | None:
        """Change an object; return its row if it is to be ``answered``, False if it was changed before."""
        return self._writer.update(old, values, answered=answered, cost=cost)

    def delete_row(self, old: Row, answered: bool, cost: RequestCost) -> Literal[False] | None:
        """Delete an object. False: the statement has deleted it before."""
        return self._writer.delete(old, answered=answered, cost=cost)

    def end_modify(self) -> None:
        """Wait for what is under way: the statement writes no more rows."""
        self._writer.end()

    def _watch_rows(self, pages: Iterator[ObjectPage]) -> Iterator[ObjectPage]:
        """Return the pages of rows that will be changed. To be overridden where a host loses columns."""
        return pages

    def _client(self) -> Client:
        return self._session.client(self._server, read_api_key(self._options))

    def _plan(
        self,
        quals: Sequence[Qual],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        named: Sequence[str] = (),
    ) -> ReadPlan:
        return choose_read(
            self._resource,
            normalise(quals, self._comparable),
            self._statistics,
            sortkeys=sortkeys,
            limit=limit,
            use_search=self._server.use_search,
            named=columns_named(self._resource, named, self._definitions),
            resources=load().resource,
        )
