"""What the tables behind functions have in common: at most one row, no sort order, no UPDATE or DELETE."""

# ruff: noqa: ARG002 - the protocol ``tables.base.Table``; these tables do not use every argument

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from stripe_fdw import sqlstates
from stripe_fdw.errors import StripeFdwError, TableError
from stripe_fdw.fdw.backend.hosting import Definitions, Row
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.durations import LEAST_SECONDS, ScanSeconds, TableSize
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.reading.scan import Scan
from stripe_fdw.fdw.schema.options import server_options
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.fdw.session import Session
from stripe_fdw.fdw.tables.base import Lines

if TYPE_CHECKING:
    from stripe_fdw.fdw.writing.plan.explain import PlannedChange


class FunctionTable:
    """A table behind a function: one row, no sort order, no UPDATE or DELETE."""

    name = ""
    alternative: str | None = None
    """The hint at what to do instead of an UPDATE or DELETE, as hints of the catalog are."""

    def __init__(self, session: Session, options: Mapping[str, str], definitions: Definitions) -> None:
        """Check the options. Raises OptionError for a value that cannot be used."""
        self._session = session
        self._options = options
        self._definitions = definitions
        self._server = server_options(options)
        self._names = TableNames.of(options)

    def _json(self, value: Any) -> Any:
        text = orjson.dumps(value)
        return text.decode() if self._session.host.renders_text else text

    def size(self, quals: Sequence[Qual]) -> TableSize:
        """Estimate one row and one request."""
        return TableSize(1.0, 1.0, ScanSeconds(LEAST_SECONDS, LEAST_SECONDS))

    def width(self, columns: Sequence[str]) -> int:
        """Return a rough width of the row, in bytes."""
        return 200

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """Return none: a nested loop gains nothing."""
        return []

    def rows_per_value(self) -> list[tuple[str, float]]:
        """Return none: there is one row."""
        return []

    def rows_ahead(self) -> int:
        """Return 0: a function is called when its row is needed."""
        return 0

    def requests_ahead(self, fresh: bool) -> None:
        """Return None: see ``rows_ahead``."""

    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]:
        """Return none: one row needs no order."""
        return []

    def describe(
        self,
        quals: Sequence[Qual],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
        named: Sequence[str] = (),
    ) -> Lines:
        """Return no lines: reading makes no request that is known before."""
        return []

    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        fresh: bool,
        named: Sequence[str] = (),
    ) -> Scan:
        """Prepare to give the rows, each when it is asked for."""
        cost = RequestCost()
        rows = self.rows(quals, named, cost)
        return Scan(([tuple(row[name] for name in columns)] for row in rows), cost)

    def rows(self, quals: Sequence[Qual], named: Sequence[str], cost: RequestCost) -> Iterator[Row]:
        """Return the rows, each with every column; none here.

        Args:
            quals: conditions on the rows, which Postgres checks as well.
            named: the columns that the query names, with ``expansions.WHOLE_ROW`` for all of them.
            cost: counts the requests.
        """
        return iter(())

    def describe_write(self, change: PlannedChange) -> Lines:
        """Return no lines: the row itself holds the request."""
        return []

    def require_condition(self, quals: Sequence[Qual]) -> None:
        """Do nothing: UPDATE and DELETE are refused in any case."""

    def refuse_write(self, command: str) -> None:
        """Refuse."""
        raise self._read_only()

    def row_identity(self) -> tuple[str, ...]:
        """Refuse the UPDATE or DELETE that asks."""
        raise self._read_only()

    def update_row(
        self, old: object, values: Mapping[str, Any], answered: Sequence[str] | None, cost: RequestCost
    ) -> dict[str, Any] | None:
        """Refuse."""
        raise self._read_only()

    def delete_row(self, old: object, answered: bool, cost: RequestCost) -> None:
        """Refuse."""
        raise self._read_only()

    def end_modify(self) -> None:
        """Do nothing: no request is under way."""

    def _read_only(self) -> StripeFdwError:
        """Return the error for an UPDATE or DELETE."""
        return StripeFdwError(
            f'rows of "{self.name}" cannot be updated or deleted',
            hint=self.alternative and self._names.in_hint(self.alternative),
            sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
        )


class ReadTable(FunctionTable):
    """A table that is only read."""

    def insert_row(self, values: Row, answered: Sequence[str] | None, cost: RequestCost) -> Row | None:
        """Refuse."""
        raise TableError(
            f'foreign table "{self.name}" is only read', sqlstate=sqlstates.FEATURE_NOT_SUPPORTED
        )

    def _text(self, value: bytes | bool | None) -> Any:
        """Return a value as the host takes it."""
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, bool) and self._session.host.renders_text:
            return "true" if value else "false"
        return value


class InsertedTable(FunctionTable):
    """A table that takes rows and has none."""

    def describe(
        self,
        quals: Sequence[Qual],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
        named: Sequence[str] = (),
    ) -> Lines:
        """Return EXPLAIN's line: there is no request."""
        return [("Stripe Request", "none: this table has no rows")]
