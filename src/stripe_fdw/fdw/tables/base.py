"""What a foreign table can do, as hosts call it: one protocol for all kinds of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from stripe_fdw.fdw.backend.hosting import Row
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.durations import TableSize
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.reading.ahead import RequestsAhead
from stripe_fdw.fdw.reading.scan import Scan

if TYPE_CHECKING:
    from stripe_fdw.fdw.writing.plan.explain import PlannedChange

Lines = list[tuple[str, str]]
"""Lines of EXPLAIN: label and text."""


class Table(Protocol):
    """A foreign table. Holds no state of a scan: several may run at a time."""

    def size(self, quals: Sequence[Qual]) -> TableSize:
        """Estimate how many rows a scan returns and how long it takes. Makes no request."""

    def width(self, columns: Sequence[str]) -> int:
        """Estimate how many bytes a row of these columns has."""

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """Return the columns that a nested loop may ask value by value, and the rows per value."""

    def rows_per_value(self) -> list[tuple[str, float]]:
        """Return columns, each with the estimated number of rows that share a value of it."""

    def rows_ahead(self) -> int:
        """Return for how many outer rows a nested loop may send requests ahead; 0 for none."""

    def requests_ahead(self, fresh: bool) -> RequestsAhead | None:
        """Return what sends a nested loop's requests ahead, for scans that are ``fresh`` or not.

        None where ``rows_ahead`` is 0. Raises AuthenticationError if the role that reads has no user mapping.
        """

    def sortable(self, sortkeys: Sequence[SortKey]) -> list[SortKey]:
        """Return the leading part of the sort order that scans deliver."""

    def describe(
        self,
        quals: Sequence[Qual],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        verbose: bool,
        named: Sequence[str],
    ) -> Lines:
        """Return EXPLAIN's lines: the requests, what they filter, what Postgres checks."""

    def describe_write(self, change: PlannedChange) -> Lines:
        """Return EXPLAIN's lines of a statement that makes this change."""

    def open_scan(
        self,
        quals: Sequence[Qual],
        columns: Sequence[str],
        sortkeys: Sequence[SortKey],
        limit: int | None,
        fresh: bool,
        named: Sequence[str],
    ) -> Scan:
        """Prepare a scan with these columns in this order; the first request leaves with the first batch.

        ``limit`` is a hint. The rows of a ``fresh`` scan are to be changed, so no cached answer serves.
        ``named`` are the columns of which the query needs the values, with ``expansions.WHOLE_ROW`` where it
        needs the whole row. The values of others may be left out where Stripe sends them only on request.

        Raises:
            MissingQualError: the table needs a qual that is not there.
            AuthenticationError: the role that reads has no user mapping.
        """

    def require_condition(self, quals: Sequence[Qual]) -> None:
        """Check that a scan of rows that are then changed has a condition that Stripe filters on.

        Raises:
            MissingQualError: it would read all of Stripe's objects of its kind.
        """

    def refuse_write(self, command: str) -> None:
        """Raise the error for an INSERT, UPDATE or DELETE for which Stripe has no operation."""

    def row_identity(self) -> tuple[str, ...]:
        """Return the columns of a row as it was read that ``update_row`` and ``delete_row`` need."""

    def insert_row(self, values: Row, answered: Sequence[str] | None, cost: RequestCost) -> Row | None:
        """Create an object with the given columns; return its row if it is to be ``answered``.

        ``answered`` are the columns whose values will be used, with ``expansions.WHOLE_ROW`` for all of them.
        Where it is None, the request may still be under way when this returns. ``cost`` counts the requests
        of the plan node that writes; it is complete after ``end_modify``.
        """

    def update_row(
        self, old: Row, values: Row, answered: Sequence[str] | None, cost: RequestCost
    ) -> Row | Literal[False] | None:
        """Set columns of the object read as ``old``. False: the statement has changed it before."""

    def delete_row(self, old: Row, answered: bool, cost: RequestCost) -> Literal[False] | None:
        """Delete the object read as ``old``. False: the statement has deleted it before."""

    def end_modify(self) -> None:
        """Wait for what is under way: the statement writes no more rows. Raises what a row failed with."""
