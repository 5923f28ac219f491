"""What a foreign table can do, as hosts call it: one protocol for all kinds of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from stripe_fdw.fdw.backend.hosting import Row
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning import estimates
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.reading.scan import Scan
from stripe_fdw.fdw.writing.plan.explain import PlannedChange

Lines = list[tuple[str, str]]
"""Lines of EXPLAIN: label and text."""


class Table(Protocol):
    """A foreign table. Holds no state of a scan: several may run at a time."""

    def size(self, quals: Sequence[Qual]) -> estimates.ScanEstimate:
        """Estimate how many rows a scan returns and how many requests it takes. Makes no request."""

    def width(self, columns: Sequence[str]) -> int:
        """Estimate how many bytes a row of these columns has."""

    def path_keys(self) -> list[tuple[tuple[str, ...], float]]:
        """Return the columns that a nested loop may ask value by value, and the rows per value."""

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
