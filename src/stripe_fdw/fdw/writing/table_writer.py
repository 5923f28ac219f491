"""The rows of one table that are written: from column values to plans, and from responses to rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, Literal

from stripe_fdw import sqlstates
from stripe_fdw.api.client import Client
from stripe_fdw.api.expand import with_expansions
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import ColumnError, StripeFdwError
from stripe_fdw.fdw.backend.hosting import Definitions, Host, Row
from stripe_fdw.fdw.cache.invalidation import account_name
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.expansions import columns_named, expansions
from stripe_fdw.fdw.reading.rows import RowMaker, row_maker
from stripe_fdw.fdw.schema.clients import ClientPool
from stripe_fdw.fdw.schema.columns import RAW, WRITE_ONLY
from stripe_fdw.fdw.schema.options import copies_schema, read_api_key, server_options
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.fdw.writing.plan import planner
from stripe_fdw.fdw.writing.plan.expanded_plan import expanded_plan
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.statement import StatementWrite
from stripe_fdw.fdw.writing.transaction import TransactionWrites
from stripe_fdw.fdw.writing.values import column_parameters


class TableWriter:
    """Inserts, updates and deletes objects of one resource."""

    def __init__(
        self,
        host: Host,
        clients: ClientPool,
        writes: TransactionWrites,
        resource: Resource,
        options: Mapping[str, str],
        definitions: Definitions,
    ) -> None:
        """Prepare to write, without a request.

        Args:
            host: the program that serves the table.
            clients: the clients of the session.
            writes: the writes of the transaction.
            resource: whose objects the rows are.
            options: of the foreign table, its server and the user mapping.
            definitions: the table's columns by name.
        """
        server = server_options(options)
        self._host = host
        self._clients = clients
        self._options = options
        self._resource = resource
        self._server = server
        self._writes = writes
        self._names = TableNames.of(options)
        self._account = account_name(server.api_base, server.stripe_account)
        self._shown = [item for name, item in definitions.items() if name not in WRITE_ONLY]
        self._hidden = [name for name in definitions if name in WRITE_ONLY]
        self._identity = [name for name in ("id", *_owners(resource), RAW) if name in definitions]

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns of a row as it was read that identify it. Raises ColumnError where there are none."""
        if "id" not in self._identity and RAW not in self._identity:
            has_id = "id" in self._resource.column
            raise ColumnError(
                f"rows of {self._resource.name} cannot be updated or deleted without a column"
                f" {'id' if has_id else RAW}",
                hint=f"ALTER FOREIGN TABLE ... ADD COLUMN {'id text' if has_id else f'{RAW} jsonb'};",
                sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
            )
        return tuple(dict.fromkeys(self._identity))

    def insert(self, values: Row, *, answered: Collection[str] | None, cost: RequestCost) -> Row | None:
        """Create an object. Return its row, or None where ``answered`` is None.

        ``answered`` are the columns whose values will be used, or WHOLE_ROW for all. ``cost`` counts the
        requests.

        Raises:
            ApiError: Stripe refuses it.
            ColumnError: a value cannot be sent.
        """
        statement = self._statement()
        with statement.planning_row():
            plan = self._expanded(planner.plan_insert(self._resource, values, self._names), answered, values)
        response = statement.execute(plan, self._client(), answered=answered is not None, cost=cost)
        return None if answered is None else self._row_after(plan, response, cost)

    def update(
        self, old: Row, values: Row, *, answered: Collection[str] | None, cost: RequestCost
    ) -> Row | Literal[False] | None:
        """Change an object. Return its row as Stripe has it now, or None where ``answered`` is None.

        Return False where the statement has changed the object before.
        """
        if self._is_repeated(old):
            return False
        statement = self._statement()
        with statement.planning_row():
            if old.get(RAW) is None and planner.needs_current_object(self._resource, values):
                old = {**old, RAW: self._read(old, cost, values)}
            plan = planner.plan_update(self._resource, old, values, self._names)
            plan = self._expanded(plan, answered, values)
        response = statement.execute(plan, self._client(), answered=answered is not None, cost=cost)
        return None if answered is None else self._row_after(plan, response, cost)

    def delete(self, old: Row, *, answered: bool, cost: RequestCost) -> Literal[False] | None:
        """Delete an object, or perform the operation that Stripe has instead.

        Return False where the statement has deleted the object before.
        """
        if self._is_repeated(old):
            return False
        statement = self._statement()
        with statement.planning_row():
            if old.get(RAW) is None and self._resource.deleted_when:
                old = {**old, RAW: self._read(old, cost)}
            plan = planner.plan_delete(self._resource, old, self._names)
        statement.execute(plan, self._client(), answered=answered, cost=cost)
        return None

    def end(self) -> None:
        """Wait for the requests of the statement that ends. Raises the error of a row that failed."""
        self._writes.end_statement(self)

    def _client(self) -> Client:
        return self._clients.client_for(self._server, read_api_key(self._options))

    def _statement(self) -> StatementWrite:
        return self._writes.statement(
            self,
            self._account,
            self._server.write_concurrency,
            self._resource.name,
            names=self._names,
            copies=copies_schema(self._options),
        )

    def _is_repeated(self, old: Row) -> bool:
        """Return True if the statement has changed the row before: a join may bring a row several times."""
        identifier = self._row_key(old)
        return identifier is not None and self._statement().is_repeated(identifier)

    def _row_key(self, old: Row) -> str | None:
        """Return what identifies the row: its id, or the parent of which the object is the only one."""
        body = column_parameters.parse_json(RAW, old.get(RAW)) or {}
        if self._resource.single:
            owners = (old.get(name) or body.get(name) for name in _owners(self._resource))
            return "/".join((self._resource.name, *map(str, owners)))
        identifier = old.get("id") or body.get("id")
        return None if identifier is None else str(identifier)

    def _expanded(self, plan: RowPlan, answered: Collection[str] | None, values: Row) -> RowPlan:
        """Return the plan with requests that bring the values of the columns that will be used.

        A copy uses those that are written.
        """
        named = self._named(answered or ())
        if copies_schema(self._options) is not None:
            named |= {name for name, value in values.items() if value is not None}
        return expanded_plan(self._resource, plan, named)

    def _named(self, named: Collection[str]) -> frozenset[str]:
        return columns_named(self._resource, named, (item.column_name for item in self._shown))

    def _read(self, old: Row, cost: RequestCost, named: Collection[str] = ()) -> dict[str, Any]:
        """Return the object as it is now, with the values of the named columns."""
        expanded = expansions(self._resource, self._named(named)).of_objects
        return self._fetch(planner.retrieve_request(self._resource, old), expanded, cost)

    def _fetch(
        self, retrieve: Request | None, expanded: Collection[str], cost: RequestCost
    ) -> dict[str, Any]:
        if retrieve is None:
            raise StripeFdwError(
                f"an object of {self._resource.name} cannot be retrieved to compare it with the new values",
                hint="Give the foreign table its column _raw: import the schema again.",
            )
        request = with_expansions(retrieve, expanded)
        response = self._client().fetch(request, check=self._host.check_interrupts)
        cost.add_response(response)
        body: dict[str, Any] = response.body
        return body

    def _row_after(self, plan: RowPlan, response: Response | None, cost: RequestCost) -> Row:
        """Return the row of the object after its requests.

        Args:
            plan: of the row.
            response: the last response; None where there was no request, or it was not sent.
            cost: counts a request that brings what the response lacks.
        """
        row: Row = dict.fromkeys(self._hidden)
        if plan.requests and response is None:  # a dry run: the host keeps the written values
            return row
        body = plan.current if response is None else response.body
        is_other = plan.requests and plan.object_id is not None and (body or {}).get("id") != plan.object_id
        if is_other or (plan.reads_answer and body is not None):
            retrieve = plan.retrieve or planner.retrieve_request(self._resource, {RAW: body})
            body = self._fetch(retrieve, plan.expanded, cost)
        if isinstance(body, dict):
            for name, value in self._row(body).items():
                column = self._resource.column.get(name)
                if value is not None or column is None or column.path:
                    row[name] = value  # a host keeps the written value of any other column
        return row

    def _row(self, body: dict[str, Any]) -> Row:
        """Return the columns of an object, as the host takes them."""
        names = (item.column_name for item in self._shown)
        return dict(zip(names, self._maker.rows([body])[0], strict=True))

    @cached_property
    def _maker(self) -> RowMaker:
        return row_maker(self._resource, self._shown, as_text=self._host.renders_text)


def _owners(resource: Resource) -> list[str]:
    """Return the columns with the ids of the objects to which a row may belong."""
    parents = [parent.column for parent in resource.parents]
    return [*dict.fromkeys((*parents, *(holder.column for holder in resource.holders)))]
