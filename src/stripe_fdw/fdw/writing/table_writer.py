"""Writes rows of one table: from values to changes, from Stripe's answers to rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, Literal

from stripe_fdw import sqlstates
from stripe_fdw.api.client import Client
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import ColumnError, StripeFdwError
from stripe_fdw.fdw.backend import hosting
from stripe_fdw.fdw.cache.invalidation import account_name
from stripe_fdw.fdw.planning.restrictions import Value
from stripe_fdw.fdw.reading.extraction import value_of
from stripe_fdw.fdw.reading.page import ObjectPage
from stripe_fdw.fdw.reading.rows import RowMaker, row_maker
from stripe_fdw.fdw.schema.columns import RAW, WRITE_ONLY
from stripe_fdw.fdw.schema.options import ServerOptions
from stripe_fdw.fdw.writing.plan import planner
from stripe_fdw.fdw.writing.plan.planner import RowPlan
from stripe_fdw.fdw.writing.row_write import RowWrite
from stripe_fdw.fdw.writing.statement import StatementWrite
from stripe_fdw.fdw.writing.transaction import TransactionWrites
from stripe_fdw.fdw.writing.values import column_parameters

_ANSWERS_KEPT: Final = 200  # of a statement under Multicorn: a join may have several rows for one object

Row = dict[str, Any]
Definitions = Mapping[str, hosting.ColumnDefinition]


class TableWriter:
    """Inserts, updates and deletes objects of one resource."""

    def __init__(
        self,
        resource: Resource,
        definitions: Definitions,
        server: ServerOptions,
        client: Callable[[], Client],
        writes: TransactionWrites,
        *,
        materialize_scans: Callable[[], object],
        record_write: Callable[[str, str, str | None], object],
    ) -> None:
        self._resource = resource
        self._server = server
        self._client = client
        self._writes = writes
        self._materialize_scans = materialize_scans
        self._record_write = record_write
        self._account = account_name(server.api_base, server.stripe_account)
        self._shown = [item for name, item in definitions.items() if name not in WRITE_ONLY]
        self._hidden = [name for name in definitions if name in WRITE_ONLY]
        self._above: dict[str, Mapping[str, Value]] = {}  # of rows under Multicorn: what they lie in
        self._identity = [
            name
            for name in ("id", *(parent.column for parent in resource.parents), RAW)
            if name in definitions
        ]

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns of a row as it was read by which it can be changed. Raises ColumnError without any."""
        if "id" not in self._identity and RAW not in self._identity:
            raise ColumnError(
                f"rows of {self._resource.name} cannot be updated or deleted without a column id",
                hint="ALTER FOREIGN TABLE … ADD COLUMN id text;",
                sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
            )
        return tuple(dict.fromkeys(self._identity))

    def insert(self, values: Row, *, answered: bool) -> Row | None:
        """Create an object; its row, if that is wanted.

        Raises what Stripe answered, and ColumnError for values that cannot be sent.
        """
        flight = self._do(lambda: planner.plan_insert(self._resource, values), answered=answered)
        return self._answer(flight, values) if answered else None

    def update(self, old: Row, values: Row, *, answered: bool) -> Row | Literal[False] | None:
        """Change an object; its row as Stripe has it now, if that is wanted. False: it was changed before."""
        if self._is_done(old):
            return False
        flight = self._do(
            lambda: self._updating(old, values),
            answered=answered,
            look=lambda flight: self._look_again(old, values, flight),
        )
        return self._answer(flight, old | values) if answered else None

    def delete(self, old: Row, *, answered: bool) -> Literal[False] | None:
        """Delete an object, or do what Stripe has in place of that. False: it was deleted before."""
        if self._is_done(old):
            return False
        self._do(lambda: self._deleting(old), answered=answered)
        return None

    def _is_done(self, old: Row) -> bool:
        """Whether the statement has changed the row before: a join may have several rows for it."""
        identifier = old.get("id") or (column_parameters.parsed(RAW, old.get(RAW)) or {}).get("id")
        return identifier is not None and self._writing.changes_again(str(identifier))

    @property
    def _writing(self) -> StatementWrite:
        return self._writes.statement(self, self._account, self._server.write_concurrency)

    def end(self) -> None:
        """The statement writes no more rows. Raises what one of them failed with."""
        self._above.clear()
        self._writes.end_statement(self)

    def _do(
        self,
        plan: Callable[[], RowPlan],
        *,
        answered: bool,
        look: Callable[[RowWrite], object] | None = None,
    ) -> RowWrite:
        if self._writing.rows == 0:
            self._materialize_scans()
        return self._writing.do(plan, self._client, self._wrote, answered=answered, look=look)

    def _wrote(self, identifier: str | None) -> None:
        self._record_write(self._account, self._resource.name, identifier)

    def _updating(self, old: Row, values: Row) -> RowPlan:
        if old.get(RAW) is None and planner.needs_current_object(self._resource, values):
            old = {**old, RAW: self._retrieve(old)}
        return planner.plan_update(self._resource, old, values)

    def _deleting(self, old: Row) -> RowPlan:
        if old.get(RAW) is None and self._resource.deleted_when:
            old = {**old, RAW: self._retrieve(old)}
        return planner.plan_delete(self._resource, old)

    def _look_again(self, old: Row, values: Row, flight: RowWrite) -> None:
        """Take the object as it is now where an earlier run with the key has changed it, and not this one."""
        then, last = flight.replayed, flight.response
        if then is None or last is None or self._resource.retrieve is None:
            return
        now = self._retrieve(old)
        operating = {item.column for item in self._resource.transitions} if then is not last else set()
        named = [self._resource.column[name] for name in values if name in self._resource.column]
        flight.response = replace(last, body=now)
        if then.body.get("id") == now.get("id") and any(
            value_of(column, then.body) != value_of(column, now)
            for column in named
            if column.path and column.name not in operating
        ):
            hosting.warn(
                f"{flight.identifier} was not changed: an earlier run with the same idempotency key"
                " has changed it, and it has changed since",
                None,
                "To change it again, use another key.",
            )

    def _retrieve(self, old: Row) -> dict[str, Any]:
        """The object as it is now."""
        request = planner.retrieve_request(self._resource, old)
        if request is None:
            raise StripeFdwError(
                f"an object of {self._resource.name} cannot be retrieved to compare it with the new values",
                hint="Give the foreign table its column _raw: import the schema again.",
            )
        body: dict[str, Any] = self._client().fetch(request, check=hosting.check_interrupts).body
        return body

    def update_as_multicorn_says(self, old: object, new: Row) -> Row | None:
        """Change an object of which ``old`` is all of it as text, or its id, and ``new`` has all columns."""
        row, answers = self._old_row(old, new), self._writing.answers
        identifier = str(row["id"])
        if self._is_done(row):  # Multicorn counts it all the same
            return answers.get(identifier) or (self._row(row[RAW]) if RAW in row else row)
        values: Row = {}

        def plan() -> RowPlan:
            body = row[RAW] = row.get(RAW) or self._retrieve(row)
            format_time = hosting.host.format_time  # type: ignore[attr-defined]
            values.update(column_parameters.of_multicorn(self._resource, self._row(body), new, format_time))
            return planner.plan_update(self._resource, row, values, named=False)

        flight = self._do(plan, answered=True, look=lambda flight: self._look_again(row, values, flight))
        answer = answers[identifier] = self._answer(flight, row | new)
        if len(answers) > _ANSWERS_KEPT:
            del answers[next(iter(answers))]
        return answer

    def delete_as_multicorn_says(self, old: object) -> None:
        """Delete the object of which ``old`` is all of it as text, or its id."""
        self.delete(self._old_row(old, {}), answered=True)

    def _old_row(self, old: object, new: Row) -> Row:
        if RAW not in self._identity:
            return {"id": old} | {name: new.get(name) for name in self._identity if name != "id"}
        body = column_parameters.parsed(RAW, old)
        return self._row(body) | dict(self._above.get(body["id"], ())) | {"id": body["id"], RAW: body}

    def watch(self, pages: Iterator[ObjectPage]) -> Iterator[ObjectPage]:
        """The pages of rows that will be changed. What they lie in is kept, where they don't tell it.

        Multicorn gives of a row that is changed only one column.
        """
        told = [self._resource.column.get(parent.column) for parent in self._resource.parents]
        if not hosting.renders_text() or all(column is not None and column.path for column in told):
            return pages
        return map(self._remember, pages)

    def _remember(self, page: ObjectPage) -> ObjectPage:
        self._above |= {item["id"]: page.constant_columns for item in page.objects}
        return page

    def _answer(self, flight: RowWrite, given: Row) -> Row:
        """The row: what Stripe answered, and what its answers do not say as it was given."""
        change, body = flight.change, flight.body
        if isinstance(change, RowPlan) and not change.steps:
            body = change.old
        elif change.id is not None and (body is None or body.get("id") != change.id):
            body = self._retrieve(given)
        row: Row = dict.fromkeys(self._hidden)
        if isinstance(body, dict):
            for name, value in self._row(body).items():
                column = self._resource.column.get(name)
                if value is not None or column is None or column.path:
                    row[name] = value  # of the others a host that is told nothing keeps what was given
        if hosting.renders_text():
            return {name: value for name, value in given.items() if name not in row} | row
        return row

    def _row(self, body: dict[str, Any]) -> Row:
        """All columns of an object, as the host takes them."""
        names = (item.column_name for item in self._shown)
        return dict(zip(names, self._maker.rows([body])[0], strict=True))

    @cached_property
    def _maker(self) -> RowMaker:
        return row_maker(self._resource, self._shown, as_text=hosting.renders_text())
