"""The foreign table of one kind of Stripe object."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import AuthenticationError, MissingQualError
from stripe_fdw.fdw.backend.hosting import Definitions, Row
from stripe_fdw.fdw.cache.requester import RequestCost, Requester
from stripe_fdw.fdw.planning import estimates
from stripe_fdw.fdw.planning.choice import choose_read
from stripe_fdw.fdw.planning.durations import LEAST_SECONDS, AnswerTimes, TableSize, estimate_seconds
from stripe_fdw.fdw.planning.expansions import columns_named
from stripe_fdw.fdw.planning.explain import describe_read
from stripe_fdw.fdw.planning.missing_quals import missing_condition_error
from stripe_fdw.fdw.planning.plan import EmptyResult, ReadPlan, Retrieve, first_endpoint
from stripe_fdw.fdw.planning.quals import Qual, SortKey, normalise
from stripe_fdw.fdw.planning.restrictions import unknown_values
from stripe_fdw.fdw.planning.sort_order import sortable
from stripe_fdw.fdw.planning.statistics import TableStatistics, statistics_account
from stripe_fdw.fdw.reading.ahead import ROWS_AHEAD, RequestsAhead
from stripe_fdw.fdw.reading.observation import observe, time_answers
from stripe_fdw.fdw.reading.page import ObjectPage
from stripe_fdw.fdw.reading.reader import PlanReader
from stripe_fdw.fdw.reading.rows import row_maker
from stripe_fdw.fdw.reading.scan import Scan
from stripe_fdw.fdw.reading.spool import SpooledPages, unaffected_by_inserts
from stripe_fdw.fdw.schema.columns import check_columns, comparable_columns
from stripe_fdw.fdw.schema.options import read_api_key, server_options
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.fdw.session import Session
from stripe_fdw.fdw.tables.base import Lines

if TYPE_CHECKING:
    from stripe_fdw.fdw.writing.plan.explain import PlannedChange
    from stripe_fdw.fdw.writing.table_writer import TableWriter


PlanAhead = tuple[Sequence[Qual], Sequence[SortKey], int | None, Sequence[str], ReadPlan]
"""A plan that was made before its scan opens, and the arguments of the scan."""


class ResourceTable:
    """Stripe's objects of one kind."""

    takes_quals_inside_json = True
    """True if the host passes quals on what is inside a column's JSON."""

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
        self._names = TableNames.of(options)
        self._comparable = comparable_columns(resource, list(definitions.values()))
        self._statistics = TableStatistics(statistics_account(options), resource)
        self._plans_ahead: deque[PlanAhead] = deque(maxlen=2 * ROWS_AHEAD)

    @cached_property
    def _writer(self) -> TableWriter:
        from stripe_fdw.fdw.writing.table_writer import TableWriter  # slow: only where a statement writes

        session = self._session
        return TableWriter(
            session.host, session.clients, session.writes, self._resource, self._options, self._definitions
        )

    def size(self, quals: Sequence[Qual]) -> TableSize:
        """Estimate how many rows a scan returns and how long it takes."""
        plan: ReadPlan | None
        try:
            plan = self._plan(quals, (), None)
        except MissingQualError:
            plan = None
        normalised = normalise(quals, self._comparable)
        size = estimates.estimate_scan(plan, normalised, self._statistics, load().resource)
        seconds = estimate_seconds(plan, size, self._answer_times(plan))
        if not self._server.ask_ahead:
            seconds = replace(seconds, ahead=seconds.alone)
        return TableSize(size.rows, size.fetched, seconds)

    def _answer_times(self, plan: ReadPlan | None) -> AnswerTimes:
        """Return how long requests take, as far as it is known: without a key, the limits are not."""
        try:
            rate = self._client().rate(first_endpoint(plan)) if plan else 0.0
        except AuthenticationError:
            rate = 0.0
        page, single = (self._statistics.answer_seconds(single=single) or 0.0 for single in (False, True))
        interval = 1 / rate if rate else 0.0
        return AnswerTimes(max(LEAST_SECONDS, page), max(LEAST_SECONDS, single), interval)

    def width(self, columns: Sequence[str]) -> int:
        """Estimate how many bytes a row of these columns has."""
        return estimates.estimate_row_width(self._resource, columns)

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """Return the columns that a nested loop may ask value by value, and the rows per value."""
        keys = estimates.path_keys(self._resource, self._statistics)
        if self._server.use_search and self.takes_quals_inside_json:
            keys += estimates.search_path_keys(self._resource)
        return [key for key in keys if set(key[0]) <= set(self._comparable)]

    def rows_per_value(self) -> list[tuple[str, float]]:
        """Return columns, each with the number of rows that share a value of it."""
        keys = estimates.path_keys(self._resource, self._statistics)
        asked = [(key[0], rows) for key, rows in keys if len(key) == 1 and key[0] in self._comparable]
        return [*asked, ("id", 1.0)] if "id" in self._comparable else asked

    def rows_ahead(self) -> int:
        """Return for how many outer rows a nested loop may send requests ahead."""
        return ROWS_AHEAD if self._server.ask_ahead else 0

    def requests_ahead(self, fresh: bool) -> RequestsAhead:
        """Return what sends a nested loop's requests ahead."""
        return RequestsAhead(self._reader(fresh=fresh), self._plan_ahead)

    def _plan_ahead(
        self, quals: Sequence[Qual], sortkeys: Sequence[SortKey], limit: int | None, named: Sequence[str]
    ) -> ReadPlan:
        """Plan a scan that will be opened with these arguments, or never, and keep the plan for it."""
        plan = self._plan(quals, sortkeys, limit, named)
        self._plans_ahead.append((quals, sortkeys, limit, named, plan))
        return plan

    def _planned(
        self, quals: Sequence[Qual], sortkeys: Sequence[SortKey], limit: int | None, named: Sequence[str]
    ) -> ReadPlan:
        """Return the plan of a scan that opens: the one that was made ahead, if there is one.

        A plan depends on these arguments and on statistics alone.
        """
        for kept in self._plans_ahead:
            if kept[:-1] == (quals, sortkeys, limit, named):
                self._plans_ahead.remove(kept)
                return kept[-1]
        return self._plan(quals, sortkeys, limit, named)

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
        from stripe_fdw.fdw.writing.plan.explain import describe_write

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
        plan = self._planned(quals, sortkeys, limit, named)
        self._show_unknown_values(plan)
        reader = self._reader(fresh=fresh)
        maker = row_maker(
            self._resource,
            [self._definitions[name] for name in columns],
            as_text=self._session.host.renders_text,
        )
        observed = observe(reader.pages(plan), plan, self._statistics)
        observed = time_answers(observed, plan, self._statistics, reader.requester.cost)
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
        return Scan(batches, reader.requester.cost)

    def require_condition(self, quals: Sequence[Qual]) -> None:
        """Check that a scan of rows that are then changed has a condition that Stripe filters on."""
        plan = self._plan(quals, (), None)
        if not plan.pushed and not isinstance(plan.access, EmptyResult | Retrieve):
            raise missing_condition_error(self._resource, self._comparable)

    def refuse_write(self, command: str) -> None:
        """Raise the error for an INSERT, UPDATE or DELETE for which Stripe has no operation."""
        from stripe_fdw.fdw.writing.plan.refusals import not_writable_at_all

        raise not_writable_at_all(self._resource, self._names, command)

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

    def _show_unknown_values(self, plan: ReadPlan) -> None:
        """Show a NOTICE about values that no object is known to have, once for a column and a statement."""
        found = unknown_values(self._resource, (*plan.pushed, *plan.checked))
        if not found:
            return
        from stripe_fdw.fdw.planning.unknown_values import show_unknown_values  # only where it is needed

        noted = self._session.response_cache.executor_run().noted_columns
        for column, values in found.items():
            if (self._resource.name, column) not in noted:
                noted.add((self._resource.name, column))
                show_unknown_values(self._session.host, self._resource, column, values)

    def _watch_rows(self, pages: Iterator[ObjectPage]) -> Iterator[ObjectPage]:
        """Return the pages of rows that will be changed. To be overridden where a host loses columns."""
        return pages

    def _reader(self, *, fresh: bool) -> PlanReader:
        return PlanReader(
            self._client(),
            Requester(self._session.host.check_interrupts),
            load().resource,
            self._session.response_cache,
            self._session.generations,
            0.0 if fresh else self._server.cache_ttl,
            self._names,
        )

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
