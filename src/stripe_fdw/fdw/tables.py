"""The kinds of foreign tables: Stripe's objects, and the two tables behind functions."""

# ruff: noqa: ARG002, D102 - one protocol, documented in StripeForeignDataWrapper; not every kind needs all of it

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import ColumnError, MissingQualError, OptionError, StripeFdwError, TableError
from stripe_fdw.fdw import estimate, hosting
from stripe_fdw.fdw.call import call_of
from stripe_fdw.fdw.clients import client_for
from stripe_fdw.fdw.closest import closest
from stripe_fdw.fdw.columns import check_columns, comparable
from stripe_fdw.fdw.experience import Experience, account_of
from stripe_fdw.fdw.explain import describe
from stripe_fdw.fdw.import_schema import CALL, MACHINERY
from stripe_fdw.fdw.invalidation import account_name, invalidate
from stripe_fdw.fdw.memory import memory
from stripe_fdw.fdw.options import check_merged, secret, server_options
from stripe_fdw.fdw.plan import Plan
from stripe_fdw.fdw.planner import plan, sortable
from stripe_fdw.fdw.quals import Qual, SortKey, normalise
from stripe_fdw.fdw.rows import row_maker
from stripe_fdw.fdw.scan import Scan
from stripe_fdw.fdw.streams import Counters, Reader

Lines = list[tuple[str, str]]
Definitions = Mapping[str, hosting.ColumnDefinition]


class Table(Protocol):
    """What the wrapper asks of each kind."""

    rowid: str

    def size(self, quals: Sequence[Qual]) -> estimate.Size: ...
    def width(self, columns: Sequence[str]) -> int: ...
    def path_keys(self) -> list[tuple[tuple[str, ...], float]]: ...
    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]: ...
    def describe(
        self, quals: Sequence[Qual], sortkeys: Sequence[SortKey], limit: int | None, verbose: bool
    ) -> Lines: ...
    def open_scan(
        self, quals: Sequence[Qual], columns: Sequence[str], sortkeys: Sequence[SortKey], limit: int | None
    ) -> Scan: ...
    def insert(self, values: Mapping[str, Any]) -> dict[str, Any]: ...


def table(options: Mapping[str, str], definitions: Definitions) -> Table:
    """The table that the options name.

    Raises:
        OptionError: an option's value cannot be used, or the table does not name its object.
        TableError: Stripe has no such object.
        ColumnError: the object has no such column, or has it with another type.
    """
    check_merged(options)
    name = options.get("object")
    if name is None:
        raise OptionError("the foreign table does not name its object", hint="OPTIONS (object 'customer')")
    if name in MACHINERY:
        for column in definitions:
            if column not in dict(MACHINERY[name]):
                raise ColumnError(
                    f'column "{column}" is not there: {name} has {", ".join(dict(MACHINERY[name]))}'
                )
        return CallTable(options, definitions) if name == CALL else InvalidationTable(options, definitions)
    resource = load().resource.get(name)
    if resource is None:
        near = closest(name, load().resource)
        raise TableError(
            f'Stripe has no object "{name}"',
            detail=f"Closest: {', '.join(near)}." if near else None,
            hint="stripe-fdw catalog lists them all.",
        )
    return ObjectTable(resource, options, definitions)


def read_only(name: str, what: str) -> StripeFdwError:
    """The error for a change that cannot be made."""
    return StripeFdwError(f'cannot {what} foreign table "{name}"', sqlstate="0A000")  # feature_not_supported


class ObjectTable:
    """Stripe's objects of one kind."""

    rowid = "id"

    def __init__(self, resource: Resource, options: Mapping[str, str], definitions: Definitions) -> None:
        check_columns(resource, list(definitions.values()))
        self._resource = resource
        self._options = options
        self._definitions = definitions
        self._server = server_options(options)
        self._comparable = comparable(resource, list(definitions.values()))
        self._known = Experience(account_of(options), resource)

    def size(self, quals: Sequence[Qual]) -> estimate.Size:
        """How many rows the planner should expect, and what they cost."""
        try:
            found = self._plan(quals, (), None)
        except MissingQualError:
            found = None
        normal = normalise(quals, self._comparable)
        return estimate.size(found, normal, self._known, load().resource)

    def width(self, columns: Sequence[str]) -> int:
        """How many bytes a row has."""
        return estimate.width(self._resource, columns)

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """The columns for which a nested loop may ask value by value."""
        keys = estimate.path_keys(self._resource, self._known)
        return [key for key in keys if set(key[0]) <= set(self._comparable)]

    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]:
        """The part of the order that scans deliver."""
        return sortable(self._resource, sortkeys) if "created" in self._comparable else []

    def describe(
        self, quals: Sequence[Qual], sortkeys: Sequence[SortKey], limit: int | None, verbose: bool
    ) -> Lines:
        """EXPLAIN's lines."""
        return describe(self._plan(quals, sortkeys, limit), verbose=verbose)

    def open_scan(
        self, quals: Sequence[Qual], columns: Sequence[str], sortkeys: Sequence[SortKey], limit: int | None
    ) -> Scan:
        """Prepare a scan; the first request leaves with the first batch."""
        found = self._plan(quals, sortkeys, limit)
        client = client_for(self._server, secret(self._options))
        reader = Reader(client, hosting.check_interrupts, load().resource, memory, self._server.cache_ttl)
        maker = row_maker(
            self._resource,
            [self._definitions[name] for name in columns],
            as_text=hosting.renders_text(),
        )
        pages = self._known.watch(found, reader.pages(found))
        batches = (maker.rows(page.objects, page.fills) for page in pages if page.objects)
        return Scan(batches, reader.counters)

    def insert(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Refuse: nothing is written yet."""
        raise read_only(self._resource.name, "insert into")

    def _plan(self, quals: Sequence[Qual], sortkeys: Sequence[SortKey], limit: int | None) -> Plan:
        return plan(
            self._resource,
            normalise(quals, self._comparable),
            sortkeys=sortkeys,
            limit=limit,
            use_search=self._server.use_search,
            resources=load().resource,
        )


class _Machinery:
    """What the tables behind functions have in common: one row, no order."""

    rowid = ""

    def __init__(self, options: Mapping[str, str], definitions: Definitions) -> None:
        self._options = options
        self._definitions = definitions
        self._server = server_options(options)

    def size(self, quals: Sequence[Qual]) -> estimate.Size:
        """One row."""
        return estimate.Size(1.0, 1.0, 1.0)

    def width(self, columns: Sequence[str]) -> int:
        """Roughly."""
        return 200

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """None."""
        return []

    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]:
        """Nothing."""
        return []


class CallTable(_Machinery):
    """Runs operations: see ``fdw.call``."""

    rowid = "path"

    def describe(
        self,
        quals: Sequence[Qual],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
    ) -> Lines:
        """The request."""
        call = call_of(quals)
        return [("Stripe Request", "none: NULL was given" if call is None else str(call.request))]

    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey],
        limit: int | None,
    ) -> Scan:
        """One row: the words of the call and its answer."""
        call, counters = call_of(quals), Counters()
        client = client_for(self._server, secret(self._options))

        def batches() -> Iterator[list[tuple[Any, ...]]]:
            if call is None:
                return
            answer = client.fetch(call.request, check=hosting.check_interrupts)
            counters.count(answer)
            row = {
                "params": "{}",
                **call.words,
                "response": orjson.dumps(answer.body),
                "status": answer.status,
                "request_id": answer.request_id,
            }
            yield [tuple(row[name] for name in columns)]

        return Scan(batches(), counters)

    def insert(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Refuse."""
        raise read_only(CALL, "insert into")


class InvalidationTable(_Machinery):
    """Takes what is to be forgotten; has no rows itself."""

    rowid = "resource"

    def describe(
        self,
        quals: Sequence[Qual],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
    ) -> Lines:
        """No request."""
        return [("Stripe Request", "none: this table has no rows")]

    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey],
        limit: int | None,
    ) -> Scan:
        """No rows."""
        return Scan(iter(()), Counters())

    def insert(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Make all backends forget.

        Raises:
            ColumnError: no resource is named.
            TableError: Stripe has no such object.
        """
        resource, identifier = values.get("resource"), values.get("id")
        if resource is None:
            raise ColumnError(
                'column "resource" must name what changed, like customer',
                sqlstate="23502",  # not_null_violation
            )
        if resource not in load().resource:
            near = closest(str(resource), load().resource)
            raise TableError(
                f'Stripe has no object "{resource}"', detail=f"Closest: {', '.join(near)}." if near else None
            )
        account = account_name(self._server.api_base, self._server.stripe_account)
        invalidate(account, str(resource), None if identifier is None else str(identifier))
        memory.forget()
        return dict(values)
