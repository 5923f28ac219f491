"""One scan of a foreign table: batches of rows, and in the end what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stripe_fdw.fdw.reading.reader import Counters

Row = tuple[Any, ...]


class Scan:
    """Batches of rows, as they are asked for. Belongs to one executor node; not for several threads."""

    def __init__(self, batches: Iterator[list[Row]], counters: Counters) -> None:
        self._batches: Iterator[list[Row]] | None = batches
        self._counters = counters

    def next_batch(self) -> list[Row]:
        """The next rows, in the order of the scan's columns; an empty list after the last.

        Raises what a request raises (``errors``), Interrupted when the query is cancelled.
        """
        if self._batches is None:
            return []
        batch = next(self._batches, None)
        if batch is None:
            self.close()
            return []
        return batch

    def statistics(self) -> list[tuple[str, str]]:
        """What the scan cost so far, for EXPLAIN ANALYZE."""
        found = self._counters
        widened = [("Stripe Lists Without a Refused Filter", str(found.widened))] if found.widened else []
        return [
            ("Stripe Requests Made", str(found.requests)),
            ("Stripe Retries", str(found.retries)),
            ("Stripe Cache Hits", str(found.hits)),
            ("Stripe Time Waiting on Limits", f"{found.waited * 1000:.1f} ms"),
            ("Stripe Bytes Received", str(found.bytes)),
            *widened,
        ]

    def close(self) -> None:
        """Break off what is under way. May be called again."""
        batches, self._batches = self._batches, None
        close = getattr(batches, "close", None)
        if close is not None:
            close()
