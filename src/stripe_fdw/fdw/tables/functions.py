"""The two tables behind functions: ``_call`` runs operations, ``_invalidation`` takes what to forget."""

# ruff: noqa: ARG002 - one protocol (``tables.Table``); not every table needs all of it

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from stripe_fdw import sqlstates
from stripe_fdw.catalog import load
from stripe_fdw.errors import ColumnError, StripeFdwError, TableError
from stripe_fdw.fdw.cache.invalidation import account_name
from stripe_fdw.fdw.cache.requester import ScanCost
from stripe_fdw.fdw.planning import estimates
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.reading.scan import Scan
from stripe_fdw.fdw.schema.import_schema import CALL_TABLE, INVALIDATION_TABLE
from stripe_fdw.fdw.schema.options import read_api_key, server_options
from stripe_fdw.fdw.session import Session
from stripe_fdw.fdw.tables.base import Definitions, Lines
from stripe_fdw.fdw.tables.call import plan_read_call, plan_write_call
from stripe_fdw.suggestions import closest_names


def read_only(name: str) -> StripeFdwError:
    """The error for a change that cannot be made."""
    hint = (
        "SELECT stripe_live.call('POST', …) or stripe_live.call('DELETE', …) changes what Stripe has."
        if name == CALL_TABLE
        else "SELECT stripe_sync.invalidate(…) says what to forget."
    )
    return StripeFdwError(
        f'rows of "{name}" cannot be updated or deleted',
        hint=hint,
        sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
    )


class _FunctionTable:
    """What the tables behind functions have in common: one row, no order."""

    name = ""

    def __init__(self, session: Session, options: Mapping[str, str], definitions: Definitions) -> None:
        """Check the options. Raises OptionError for a value that cannot be used."""
        self._session = session
        self._options = options
        self._definitions = definitions
        self._server = server_options(options)

    def _json(self, value: Any) -> Any:
        text = orjson.dumps(value)
        return text.decode() if self._session.host.renders_text else text

    def size(self, quals: Sequence[Qual]) -> estimates.ScanEstimate:
        """One row."""
        return estimates.ScanEstimate(1.0, 1.0, 1.0)

    def width(self, columns: Sequence[str]) -> int:
        """Roughly."""
        return 200

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """None."""
        return []

    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]:
        """Nothing."""
        return []

    def describe_write(self, command: str, columns: Sequence[str]) -> Lines:
        """Nothing: what is sent is in the row."""
        return []

    def row_identity(self) -> tuple[str, ...]:
        """Asked for by what would change a row: refuse."""
        raise read_only(self.name)

    def update_row(self, old: object, values: Mapping[str, Any], answered: bool) -> dict[str, Any] | None:
        """Refuse."""
        raise read_only(self.name)

    def delete_row(self, old: object, answered: bool) -> None:
        """Refuse."""
        raise read_only(self.name)

    def end_modify(self) -> None:
        """Nothing is under way."""


class CallTable(_FunctionTable):
    """Runs operations: see ``fdw.call``."""

    name = CALL_TABLE

    def describe(
        self,
        quals: Sequence[Qual],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
    ) -> Lines:
        """The request."""
        call = plan_read_call(quals)
        return [("Stripe Request", "none: NULL was given" if call is None else str(call.request))]

    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        fresh: bool,
    ) -> Scan:
        """One row: the words of the call and its answer."""
        call, cost = plan_read_call(quals), ScanCost()
        client = self._session.client(self._server, read_api_key(self._options))

        def batches() -> Iterator[list[tuple[Any, ...]]]:
            if call is None:
                return
            answer = client.fetch(call.request, check=self._session.host.check_interrupts)
            cost.add_response(answer)
            row = {
                "params": "{}",
                **call.arguments,
                "idempotency_key": None,
                "response": self._json(answer.body),
                "status": answer.status,
                "request_id": answer.request_id,
            }
            yield [tuple(row[name] for name in columns)]

        return Scan(batches(), cost)

    def insert_row(self, values: Mapping[str, Any], answered: bool) -> dict[str, Any] | None:
        """Run an operation that writes: its words and its answer.

        Raises what Stripe answered, and CallError for what is no operation that writes.
        """
        account = account_name(self._server.api_base, self._server.stripe_account)
        statement = self._session.writes.statement(self, account, 1)
        with statement.planning_row():
            call = plan_write_call(values)
        client = self._session.client(self._server, read_api_key(self._options))
        response = statement.execute(call.plan, client, answered=True)
        body = {"id": call.plan.target, "deleted": True} if response is None else response.body
        return {
            **call.arguments,
            "idempotency_key": None,
            "response": self._json(body),
            "status": None if response is None else response.status,
            "request_id": None if response is None else response.request_id,
        }

    def end_modify(self) -> None:
        """The statement calls no more operations."""
        self._session.writes.end_statement(self)


class InvalidationTable(_FunctionTable):
    """Takes what is to be forgotten; has no rows itself."""

    name = INVALIDATION_TABLE

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
        fresh: bool,
    ) -> Scan:
        """No rows."""
        return Scan(iter(()), ScanCost())

    def insert_row(self, values: Mapping[str, Any], answered: bool) -> dict[str, Any] | None:
        """Make all backends forget.

        Raises:
            ColumnError: no resource is named.
            TableError: Stripe has no such object.
        """
        resource, identifier = values.get("resource"), values.get("id")
        if resource is None:
            raise ColumnError(
                'column "resource" must name what changed, like customer',
                sqlstate=sqlstates.NOT_NULL_VIOLATION,
            )
        if resource not in load().resource:
            near = closest_names(str(resource), load().resource)
            raise TableError(
                f'Stripe has no object "{resource}"', detail=f"Closest: {', '.join(near)}." if near else None
            )
        account = account_name(self._server.api_base, self._server.stripe_account)
        self._session.generations.invalidate(
            account, str(resource), None if identifier is None else str(identifier)
        )
        self._session.response_cache.clear()
        return dict(values)
