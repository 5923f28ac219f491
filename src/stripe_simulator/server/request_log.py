"""The log of requests as they were sent, for tests of the requests that a query makes."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

_MAX_ENTRIES = 20_000


@dataclass(slots=True)
class LoggedRequest:
    """One request and the outcome of it.

    `query` and `form` are name and value pairs in the order sent, decoded. `at` is the time in Unix seconds,
    `took` the duration in seconds. `key` is masked. `status` is None where no response was sent.
    """

    number: int
    at: float
    method: str
    path: str
    query_string: str
    query: list[tuple[str, str]]
    form: list[tuple[str, str]]
    endpoint: str | None
    status: int | None
    request_id: str
    account: str | None
    key: str | None
    api_version: str | None
    idempotency_key: str | None
    user_agent: str | None
    took: float = 0.0
    fault: str | None = None


class RequestLog:
    """The last requests, in the order of their arrival."""

    def __init__(self, max_entries: int = _MAX_ENTRIES) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=max_entries)
        self._numbers = count(1)
        self.total = 0
        self.statuses: dict[int, int] = {}

    def next_number(self) -> int:
        """Return the number of the next request; numbers count from 1 and are never used twice."""
        return next(self._numbers)

    def add(self, entry: LoggedRequest) -> None:
        """Log a request that has just arrived."""
        self.total += 1
        self._entries.append(entry)

    def close(self, entry: LoggedRequest, status: int | None) -> None:
        """Log the status of the response; None where none was sent."""
        entry.status = status
        entry.took = round(time.time() - entry.at, 6)
        if status is not None:
            self.statuses[status] = self.statuses.get(status, 0) + 1

    def entries(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the requests with a number above `after`, as JSON."""
        return [asdict(entry) for entry in self._entries if entry.number > after]

    def clear(self) -> int:
        """Forget all requests; return how many there were."""
        cleared = len(self._entries)
        self._entries.clear()
        self.total = 0
        self.statuses.clear()
        return cleared
