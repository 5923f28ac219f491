"""The foreign data wrapper: what a host calls for each foreign table, and nothing that decides anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import OptionError, TableError
from stripe_fdw.fdw import estimate, hosting
from stripe_fdw.fdw.clients import client_for
from stripe_fdw.fdw.explain import describe
from stripe_fdw.fdw.options import secret, server_options
from stripe_fdw.fdw.plan import Plan, plan, sortable
from stripe_fdw.fdw.quals import Qual, SortKey, normalise
from stripe_fdw.fdw.rows import check_columns, comparable, row_maker
from stripe_fdw.fdw.scan import Scan
from stripe_fdw.fdw.streams import Reader


class StripeForeignDataWrapper(hosting.ForeignDataWrapper):
    """One foreign table. Holds no state of a scan, since one instance serves several at a time."""

    def __init__(self, options: dict[str, str], columns: Mapping[str, hosting.ColumnDefinition]) -> None:
        """Check options and columns. Makes no request.

        Raises:
            OptionError: an option's value cannot be used, or the table does not name its object.
            TableError: Stripe has no such object.
            ColumnError: the object has no such column, or has it with another type.
        """
        super().__init__(dict(options), dict(columns))
        self._options = dict(options)
        self._definitions = dict(columns)
        self._server = server_options(options)
        self._resource = _resource(options)
        check_columns(self._resource, list(columns.values()))
        self._comparable = comparable(self._resource, list(columns.values()))

    def rel_size(self, quals: Sequence[Qual], columns: Sequence[str]) -> tuple[float, int]:
        """How many rows the planner should expect, and how wide."""
        known = normalise(quals, self._comparable)
        return estimate.rows(self._resource, known), estimate.width(self._resource, columns)

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """The columns for which a nested loop may ask value by value."""
        return [key for key in estimate.path_keys(self._resource) if set(key[0]) <= set(self._comparable)]

    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]:
        """The part of the order that scans deliver."""
        return sortable(self._resource, sortkeys) if "created" in self._comparable else []

    def describe(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],  # noqa: ARG002 - which columns are read changes no request
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
    ) -> list[tuple[str, str]]:
        """EXPLAIN's lines: the requests, what they say of the WHERE, what Postgres checks."""
        return describe(self._plan(quals, sortkeys, limit), verbose=verbose)

    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey] = (),
        limit: int | None = None,
    ) -> Scan:
        """Prepare a scan with these columns in this order; the first request leaves with the first batch.

        Raises:
            MissingQualError: the table needs a qual that is not there.
            AuthenticationError: the current role has no user mapping.
        """
        found = self._plan(quals, sortkeys, limit)
        client = client_for(self._server, secret(self._options))
        reader = Reader(client, hosting.check_interrupts, load().resource)
        maker = row_maker(
            self._resource,
            [self._definitions[name] for name in columns],
            dict(found.wanted),
            as_text=hosting.renders_text(),
        )
        return Scan(reader.pages(found), maker, reader.counters)

    def _plan(self, quals: Sequence[Qual], sortkeys: Sequence[SortKey], limit: int | None) -> Plan:
        return plan(
            self._resource,
            normalise(quals, self._comparable),
            sortkeys=sortkeys,
            limit=limit,
            use_search=self._server.use_search,
            resources=load().resource,
        )


def _resource(options: Mapping[str, str]) -> Resource:
    name = options.get("object")
    if name is None:
        raise OptionError(
            "the foreign table does not name its object", hint="OPTIONS (object 'customer'), for example."
        )
    found = load().resource.get(name)
    if found is None:
        raise TableError(f'Stripe has no object "{name}"', hint="stripe-fdw catalog lists them all.")
    return found


def _iterate(scan: Scan) -> Iterator[tuple[Any, ...]]:
    while batch := scan.next_batch():
        yield from batch
