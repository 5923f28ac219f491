"""One scan of a foreign table: batches of rows, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stripe_fdw.fdw.cache.requester import RequestCost


class Scan:
    """Batches of rows, as they are asked for. Belongs to one executor node; not for several threads."""

    def __init__(self, batches: Iterator[list[tuple[Any, ...]]], cost: RequestCost) -> None:
        self._batches: Iterator[list[tuple[Any, ...]]] | None = batches
        self._cost = cost

    def next_batch(self) -> list[tuple[Any, ...]]:
        """Return the next rows, with values in the order of the scan's columns; [] after the last row.

        Raises what a request raises (``errors``), and Interrupted when the query is cancelled.
        """
        if self._batches is None:
            return []
        batch = next(self._batches, None)
        if batch is None:
            self.close()
            return []
        return batch

    def statistics(self) -> list[tuple[str, str]]:
        """Return the lines that EXPLAIN ANALYZE adds: what the scan has cost so far."""
        return self._cost.lines()

    def close(self) -> None:
        """Cancel the requests that are under way. May be called again."""
        batches, self._batches = self._batches, None
        close = getattr(batches, "close", None)
        if close is not None:
            close()
