"""The tables behind functions: ``_call`` for ``stripe_live.call``, ``_invalidation`` for ``invalidate``."""

# ruff: noqa: ARG002 - the protocol ``tables.base.Table``; these tables do not use every argument

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stripe_fdw import sqlstates
from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.errors import ColumnError, TableError
from stripe_fdw.fdw.backend.hosting import Row
from stripe_fdw.fdw.cache.invalidation import account_name
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.schema.import_schema import CALL_TABLE, INVALIDATION_TABLE
from stripe_fdw.fdw.schema.options import copies_schema, read_api_key
from stripe_fdw.fdw.tables.base import Lines
from stripe_fdw.fdw.tables.call import ReadCall, plan_read_call, plan_write_call
from stripe_fdw.fdw.tables.function_table import FunctionTable, InsertedTable
from stripe_fdw.suggestions import closest_names


class CallTable(FunctionTable):
    """Runs any operation: SELECT one that reads, INSERT one that writes (``tables.call``)."""

    name = CALL_TABLE
    alternative = (
        "SELECT stripe_live.call('POST', ...) or stripe_live.call('DELETE', ...) changes what Stripe has."
    )

    def describe(
        self,
        quals: Sequence[Qual],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
        named: Sequence[str] = (),
    ) -> Lines:
        """Return EXPLAIN's line with the request."""
        call = plan_read_call(quals, self._names)
        return [("Stripe Request", "none: NULL was given" if call is None else str(call.request))]

    def rows(self, quals: Sequence[Qual], named: Sequence[str], cost: RequestCost) -> Iterator[Row]:
        """Return the row, which holds the call's arguments and the response; plan its request at once."""
        call = plan_read_call(quals, self._names)
        client = self._session.client(self._server, read_api_key(self._options))
        return iter(()) if call is None else self._answer(call, client, cost)

    def _answer(self, call: ReadCall, client: Client, cost: RequestCost) -> Iterator[Row]:
        """Yield the row with the response to a request."""
        response = client.fetch(call.request, check=self._session.host.check_interrupts)
        cost.add_response(response)
        yield {
            "params": "{}",
            **call.arguments,
            "idempotency_key": None,
            "response": self._json(response.body),
            "status": response.status,
            "request_id": response.request_id,
        }

    def insert_row(self, values: Row, answered: Sequence[str] | None, cost: RequestCost) -> Row | None:
        """Run an operation that writes; return the call's arguments and the response.

        Raises:
            ApiError: Stripe refuses the request.
            CallError: Stripe has no such operation, or it only reads.
        """
        account = account_name(self._server.api_base, self._server.stripe_account)
        statement = self._session.writes.statement(
            self, account, 1, names=self._names, copies=copies_schema(self._options)
        )
        with statement.planning_row():
            call = plan_write_call(values, self._names)
        client = self._session.client(self._server, read_api_key(self._options))
        response = statement.execute(call.plan, client, answered=True, cost=cost)
        body = {"id": call.plan.target, "deleted": True} if response is None else response.body
        if statement.is_dry_run:
            body = None
        return {
            **call.arguments,
            "idempotency_key": None,
            "response": None if body is None else self._json(body),
            "status": None if response is None else response.status,
            "request_id": None if response is None else response.request_id,
        }

    def end_modify(self) -> None:
        """Wait for what is under way: the statement calls no more operations."""
        self._session.writes.end_statement(self)


class InvalidationTable(InsertedTable):
    """Takes the objects whose cached answers are stale as inserted rows; SELECT finds no rows."""

    name = INVALIDATION_TABLE
    alternative = "SELECT stripe_sync.invalidate(...) invalidates cached answers."

    def insert_row(self, values: Row, answered: Sequence[str] | None, cost: RequestCost) -> Row | None:
        """Make the cached answers of all backends about an object, or about a whole resource, stale.

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
