"""A foreign table of which some columns have other names than in the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from stripe_fdw.fdw.backend.hosting import Row
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.durations import TableSize
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.reading.ahead import RequestsAhead
from stripe_fdw.fdw.reading.scan import Scan
from stripe_fdw.fdw.tables.base import Lines, Table
from stripe_fdw.fdw.tables.column_names import ColumnNames

if TYPE_CHECKING:
    from stripe_fdw.fdw.writing.plan.explain import PlannedChange


class RenamedTable:
    """Translates names between a host and a table that knows the catalog's names only."""

    def __init__(self, table: Table, names: ColumnNames) -> None:
        """Stand before ``table``."""
        self._table = table
        self._names = names

    def size(self, quals: Sequence[Qual]) -> TableSize:
        """Estimate how many rows a scan returns and how long it takes."""
        return self._table.size(self._names.quals(quals))

    def width(self, columns: Sequence[str]) -> int:
        """Estimate how many bytes a row of these columns has."""
        return self._table.width(self._names.columns(columns))

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """Return the columns that a nested loop may ask value by value, and the rows per value."""
        return [(self._names.table_columns(columns), rows) for columns, rows in self._table.path_keys()]

    def rows_per_value(self) -> list[tuple[str, float]]:
        """Return columns, each with the number of rows that share a value of it."""
        found = self._table.rows_per_value()
        return [(self._names.table_columns([name])[0], rows) for name, rows in found]

    def rows_ahead(self) -> int:
        """Return for how many outer rows a nested loop may send requests ahead."""
        return self._table.rows_ahead()

    def requests_ahead(self, fresh: bool) -> RequestsAhead | None:
        """Return what sends a nested loop's requests ahead, by the host's names."""
        ahead, names = self._table.requests_ahead(fresh), self._names
        if ahead is None:
            return None
        plan = ahead.plan
        return replace(
            ahead,
            plan=lambda quals, sortkeys, limit, named: plan(
                names.quals(quals), names.sort_keys(sortkeys), limit, names.columns(named)
            ),
        )

    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]:
        """Return the leading part of the sort order that scans deliver."""
        return list(sortkeys[: len(self._table.sortable(self._names.sort_keys(sortkeys)))])

    def describe(
        self,
        quals: Sequence[Qual],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
        named: Sequence[str] = (),
    ) -> Lines:
        """Return EXPLAIN's lines of a read, with the catalog's names."""
        return self._table.describe(
            self._names.quals(quals),
            self._names.sort_keys(sortkeys),
            limit,
            verbose,
            self._names.columns(named),
        )

    def describe_write(self, change: PlannedChange) -> Lines:
        """Return EXPLAIN's lines of a write, with the catalog's names."""
        columns, known = self._names.columns(change.columns), self._names.catalog_row(change.known)
        answered = self._names.columns(change.answered)
        return self._table.describe_write(replace(change, columns=columns, known=known, answered=answered))

    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        fresh: bool = False,
        named: Sequence[str] = (),
    ) -> Scan:
        """Prepare a scan; its rows have the columns in their order, whatever they are called."""
        return self._table.open_scan(
            self._names.quals(quals),
            self._names.columns(columns),
            self._names.sort_keys(sortkeys),
            limit,
            fresh,
            self._names.columns(named),
        )

    def require_condition(self, quals: Sequence[Qual]) -> None:
        """Check that a scan of rows that are then changed has a condition that Stripe filters on."""
        self._table.require_condition(self._names.quals(quals))

    def refuse_write(self, command: str) -> None:
        """Raise the error for an INSERT, UPDATE or DELETE for which Stripe has no operation."""
        self._table.refuse_write(command)

    def row_identity(self) -> tuple[str, ...]:
        """Return the columns of a row as it was read that identify it."""
        return self._names.table_columns(self._table.row_identity())

    def insert_row(self, values: Row, answered: Sequence[str] | None, cost: RequestCost) -> Row | None:
        """Create an object; return its row if it is to be ``answered``."""
        row = self._table.insert_row(self._names.catalog_row(values), self._answered(answered), cost)
        return None if row is None else self._names.table_row(row)

    def update_row(
        self, old: Row, values: Row, answered: Sequence[str] | None, cost: RequestCost
    ) -> Row | Literal[False] | None:
        """Change an object; return its row if it is to be ``answered``, False if it was changed before."""
        row = self._table.update_row(
            self._names.catalog_row(old), self._names.catalog_row(values), self._answered(answered), cost
        )
        return self._names.table_row(row) if isinstance(row, dict) else row

    def _answered(self, answered: Sequence[str] | None) -> list[str] | None:
        return None if answered is None else self._names.columns(answered)

    def delete_row(self, old: Row, answered: bool, cost: RequestCost) -> Literal[False] | None:
        """Delete an object. False: the statement has deleted it before."""
        return self._table.delete_row(self._names.catalog_row(old), answered, cost)

    def end_modify(self) -> None:
        """Wait for what is under way: the statement writes no more rows."""
        self._table.end_modify()
