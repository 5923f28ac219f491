"""The log of requests: what was really sent, for tests that say which requests a query makes."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

_KEPT = 20_000


@dataclass(slots=True)
class Entry:
    """One request and how it was answered.

    `query` and `form` are name and value pairs in the order sent, decoded; `at` is Unix seconds, `took`
    seconds; `key` shows no more than the kind of key and its last four characters; `status` is None where
    nothing was answered.
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


class Journal:
    """The last requests, in the order they arrived."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)
        self._numbers = count(1)
        self.total = 0
        self.statuses: dict[int, int] = {}

    def next_number(self) -> int:
        """The number of the next request; they count from 1 and are never used twice."""
        return next(self._numbers)

    def add(self, entry: Entry) -> None:
        """Note a request that has just arrived."""
        self.total += 1
        self._entries.append(entry)

    def close(self, entry: Entry, status: int | None) -> None:
        """Note how it was answered; None: not at all."""
        entry.status = status
        entry.took = round(time.time() - entry.at, 6)
        if status is not None:
            self.statuses[status] = self.statuses.get(status, 0) + 1

    def entries(self, after: int = 0) -> list[dict[str, Any]]:
        """The requests with a number above `after`."""
        return [asdict(entry) for entry in self._entries if entry.number > after]

    def clear(self) -> int:
        """Forget all requests; says how many there were."""
        kept = len(self._entries)
        self._entries.clear()
        self.total = 0
        self.statuses.clear()
        return kept
