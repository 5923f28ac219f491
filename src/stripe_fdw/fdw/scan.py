"""One scan of a foreign table: batches of rows, and in the end what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stripe_fdw.fdw.rows import RowMaker
from stripe_fdw.fdw.streams import Counters, Page


class Scan:
    """Rows of a plan, a page at a time. Belongs to one executor node; not for several threads."""

    def __init__(self, pages: Iterator[Page], maker: RowMaker, counters: Counters) -> None:
        self._pages: Iterator[Page] | None = pages
        self._maker = maker
        self._counters = counters

    def next_batch(self) -> list[tuple[Any, ...]]:
        """The next rows, in the order of the scan's columns; an empty list after the last.

        Raises what a request raises (``errors``), Interrupted when the query is cancelled.
        """
        while self._pages is not None:
            page = next(self._pages, None)
            if page is None:
                self.close()
            elif page.objects:
                return self._maker.rows(page.objects, page.fills)
        return []

    def statistics(self) -> list[tuple[str, str]]:
        """What the scan cost so far, for EXPLAIN ANALYZE."""
        found = self._counters
        lines = [("Stripe Requests Made", str(found.requests))]
        if found.retries:
            lines.append(("Stripe Retries", str(found.retries)))
        lines.append(("Stripe Cache Hits", str(found.hits)))
        lines.append(("Stripe Time Waiting on Limits", f"{found.waited * 1000:.1f} ms"))
        lines.append(("Stripe Bytes Received", str(found.bytes)))
        return lines

    def close(self) -> None:
        """Break off what is under way. May be called again."""
        pages, self._pages = self._pages, None
        close = getattr(pages, "close", None)
        if close is not None:
            close()
