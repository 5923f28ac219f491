"""Requests that a nested loop sends ahead: for outer rows whose scan of the foreign table has not begun.

Their answers wait in the page buffers of the executor run, where the scans look for them. A scan that finds
none, because a write has dropped it or none was requested, requests it as ever. So what is requested ahead
changes when requests leave, and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct, field

from stripe_fdw.api.request import PARALLEL
from stripe_fdw.errors import Interrupted, StripeFdwError
from stripe_fdw.fdw.cache.page_buffer import PageBuffer
from stripe_fdw.fdw.planning.plan import ReadPlan
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.reading.reader import PlanReader

ROWS_AHEAD: Final = PARALLEL
"""Outer rows that a nested loop is ahead at most, so that a scan has as many requests under way as others."""


class RequestsAhead(Struct, eq=False):
    """The requests that one nested loop has sent ahead to one foreign table. Not for several threads.

    Those of a row that the loop has passed without reading them, because the value was at hand, are canceled:
    what waits stays bounded.
    """

    reader: PlanReader
    plan: Callable[[Sequence[Qual], Sequence[SortKey], int | None, Sequence[str]], ReadPlan]
    """Returns the plan of a scan, of what ``ask`` takes."""
    _rows: deque[list[PageBuffer]] = field(default_factory=deque)
    _reads_writes: bool = False  # answers were dropped because of a write after them
    _sent: int = 0
    _unused: int = 0

    def ask(
        self, quals: Sequence[Qual], sortkeys: Sequence[SortKey], limit: int | None, named: Sequence[str]
    ) -> None:
        """Send the first requests of a scan, unless their answers are there or under way.

        The scan will be opened with these arguments (``tables.base.Table.open_scan``), or never. An error is
        left to it. Raises Interrupted when the query is cancelled.
        """
        while len(self._rows) > ROWS_AHEAD:
            self._pass(self._rows.popleft())
        known = {buffer for buffers in self._rows for buffer in buffers}
        # A statement that writes between its reads would have every request sent twice.
        self._reads_writes = self._reads_writes or any(buffer.is_discarded for buffer in known)
        sent: list[PageBuffer] = []
        if not self._reads_writes:
            try:
                requested = self.reader.request(self.plan(quals, sortkeys, limit, named))
            except Interrupted:
                raise
            except StripeFdwError:
                requested = []  # the scan of that row will raise it, if the query comes to it
            sent = [buffer for buffer in requested if buffer not in known]
        self._sent += len(sent)
        self._rows.append(sent)

    def _pass(self, buffers: list[PageBuffer]) -> None:
        for buffer in buffers:
            if buffer.is_unread:
                buffer.discard()
            self._unused += buffer.is_discarded

    def statistics(self) -> list[tuple[str, str]]:
        """Return the lines that EXPLAIN ANALYZE adds: requests that were sent ahead, and those not used."""
        waiting = (buffer for buffers in self._rows for buffer in buffers)
        unused = self._unused + sum(buffer.is_unread or buffer.is_discarded for buffer in waiting)
        return [("Stripe Requests Ahead", str(self._sent)), ("Stripe Requests Ahead Not Used", str(unused))]

    def close(self) -> None:
        """Cancel what is under way and not read. May be called again."""
        while self._rows:
            self._pass(self._rows.popleft())
