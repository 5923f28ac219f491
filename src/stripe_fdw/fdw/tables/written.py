"""The tables behind the triggers that write copies.

``_written`` gives the answers to what the statement wrote, ``_view_write`` takes a row that a view is written
with, and ``_account`` says whose key is used.
"""

# ruff: noqa: ARG002 - the protocol ``tables.base.Table``; these tables do not use every argument

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.encodings import has_all_of, lacking_codec
from stripe_fdw.errors import ColumnError, StripeFdwError, TableError
from stripe_fdw.fdw.backend.hosting import Row
from stripe_fdw.fdw.cache.invalidation import account_name
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.expansions import WHOLE_ROW
from stripe_fdw.fdw.planning.quals import EQUAL, Qual
from stripe_fdw.fdw.schema.import_schema import ACCOUNT_TABLE, VIEW_WRITE_TABLE, WRITTEN_TABLE
from stripe_fdw.fdw.schema.options import copies_schema, read_api_key
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.fdw.tables.function_table import InsertedTable, ReadTable
from stripe_fdw.fdw.writing.kept_answers import KeptAnswer
from stripe_fdw.fdw.writing.plan import planner
from stripe_fdw.fdw.writing.plan.expanded_plan import expanded_plan
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.values.column_parameters import parse_json


class WrittenTable(ReadTable):
    """The answers to what the statement wrote to tables with the same ``copied``: each is read once."""

    name = WRITTEN_TABLE

    def rows(self, quals: Sequence[Qual], named: Sequence[str], cost: RequestCost) -> Iterator[Row]:
        """Wait for the requests of the statement, and yield a row for each object."""
        for answer in self._session.writes.take_answers(copies_schema(self._options)):
            # What another API says, such as a program on this machine, is not what this server's says.
            if answer.options.api_base == self._server.api_base:
                yield self._row(answer)

    def _row(self, answer: KeptAnswer) -> dict[str, Any]:
        as_text = self._session.host.renders_text
        codec = lacking_codec(self._session.host.database_encoding)
        # What the database cannot hold is read again, by what knows how to copy it.
        is_lacking = (
            codec is not None and answer.body is not None and not has_all_of(codec, answer.body.decode())
        )
        return {
            "resource": answer.resource,
            "id": answer.object_id,
            "parent": answer.parent,
            "object": None if is_lacking else self._text(answer.body),
            "known_at": answer.known_at.isoformat(sep=" ") if as_text else answer.known_at,
            "key": answer.options.fingerprint(),
        }


class AccountTable(ReadTable):
    """The account of the current role's key, or of the key with the fingerprint that a qual names."""

    name = ACCOUNT_TABLE

    def rows(self, quals: Sequence[Qual], named: Sequence[str], cost: RequestCost) -> Iterator[Row]:
        """Yield the row. Its ``account_id`` is asked of Stripe only where the query names it."""
        fingerprints = [qual.value for qual in quals if qual.column == "key" and qual.operator == EQUAL]
        is_asked = "account_id" in named or WHOLE_ROW in named
        client = self._client(fingerprints)
        if client is None:
            return
        key, clients = client.options.key, self._session.clients
        check = self._session.host.check_interrupts
        yield {
            "key": client.options.fingerprint(),
            "livemode": self._text("_test_" not in key.reveal()),
            "account_id": clients.account_id(client, check) if is_asked else None,
        }

    def _client(self, fingerprints: Sequence[object]) -> Client | None:
        if fingerprints:
            return self._session.clients.client_of_key(self._server, str(fingerprints[0]))
        return self._session.client(self._server, read_api_key(self._options))


class ViewWriteTable(InsertedTable):
    """Takes the rows that views of copies are written with: each is planned from the object as it was copied.

    No request is needed to read the object, so a row is one request. ``old`` and ``changes`` are JSON objects
    of columns; ``old`` has the object itself as ``_raw``.
    """

    name = VIEW_WRITE_TABLE

    def insert_row(self, values: Row, answered: Sequence[str] | None, cost: RequestCost) -> Row | None:
        """Send the requests of the row; return it with the id of the object that Stripe answered with.

        Raises:
            ApiError: Stripe refuses the request.
            ColumnError: a column cannot be written, or not with this value.
            TableError: Stripe has no such resource.
        """
        resource = load().resource.get(str(values.get("resource")))
        if resource is None:
            raise TableError(f'Stripe has no object "{values.get("resource")}"')
        statement = self._session.writes.statement(
            self,
            account_name(self._server.api_base, self._server.stripe_account),
            1,
            names=self._names,
            copies=copies_schema(self._options),
        )
        with statement.planning_row(), _hint_of_a_view(resource):
            plan = _plan(resource, values, self._names)
        client = self._session.client(self._server, read_api_key(self._options))
        response = statement.execute(plan, client, answered=True, cost=cost)
        answered_id = None if response is None else response.body.get("id")
        return {**values, "id": plan.object_id or answered_id}

    def end_modify(self) -> None:
        """Wait for what is under way: the statement writes no more rows."""
        self._session.writes.end_statement(self)


@contextmanager
def _hint_of_a_view(resource: Resource) -> Iterator[None]:
    """Add to a hint at _params where that column is."""
    try:
        yield
    except StripeFdwError as error:
        if error.hint is not None and "_params" in error.hint:
            error.hint += f" Only the foreign table of {resource.name} has _params."
        raise


def _plan(resource: Resource, values: Mapping[str, Any], names: TableNames) -> RowPlan:
    old, changes = (parse_json(name, values.get(name) or "{}") for name in ("old", "changes"))
    if "_params" in changes:
        raise ColumnError(f'"_params" can only be written to the foreign table of {resource.name}')
    match values.get("operation"):
        case "INSERT":
            return expanded_plan(resource, planner.plan_insert(resource, changes, names), changes)
        case "UPDATE":
            return expanded_plan(resource, planner.plan_update(resource, old, changes, names), changes)
        case "DELETE":
            return planner.plan_delete(resource, old, names)
        case operation:
            raise ColumnError(f'"operation" takes INSERT, UPDATE or DELETE, not "{operation}"')
