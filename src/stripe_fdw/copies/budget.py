"""The requests of background work, leased from Postgres by all processes that copy an account.

The rate limiter in shared memory knows one operating system user on one machine. What works in the background
also needs a slot from here: a moment, of which there are as many a second as the account allows to background
work. A process leases some at a time, for the requests that wait, by the clock of the database.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Generator
from typing import Final

import psycopg

from stripe_fdw.api.client import Client
from stripe_fdw.database.session import APPLICATION_NAME, CLIENT_ENCODING, bounded_conninfo

_HORIZON: Final = 2.0  # seconds ahead that slots are leased
_MAX_SECONDS: Final = 0.5  # of slots in one lease
_CATCH_UP: Final = 0.1  # seconds of slots that no process has leased, and that may still be
_STALE: Final = 0.25  # seconds after which a slot that was not used is lost
_IMPOSSIBLE: Final = (
    60.0  # seconds ahead that no process can have leased: the clock was set back, or the row is made up
)
_RETRY: Final = 0.2  # seconds, on average, until a lease is tried again
_LEASE: Final = """
    insert into stripe_sync.budget as b (account, next_at)
    values (%(account)s, clock_timestamp() + %(length)s * interval '1 s')
        on conflict (account) do update
       set next_at = case when b.next_at > clock_timestamp() + %(impossible)s * interval '1 s'
                          then clock_timestamp()
                          else greatest(b.next_at, clock_timestamp() - %(catch_up)s * interval '1 s') end
                     + %(length)s * interval '1 s'
     where b.next_at < clock_timestamp() + %(horizon)s * interval '1 s'
        or b.next_at > clock_timestamp() + %(impossible)s * interval '1 s'
    returning extract(epoch from b.next_at - clock_timestamp())::float - %(length)s
"""


class RequestBudget:
    """The slots of one process. Threads may share it; it has a connection of its own.

    ``rate`` is in requests a second, of all processes together.
    """

    def __init__(self, database_url: str, account: str, rate: float) -> None:
        self._database_url = database_url
        self._account = account
        self._rate = rate
        self._lock = threading.Lock()
        self._connection: psycopg.Connection | None = None
        self._slots: deque[float] = deque()  # moments of the monotonic clock
        self._waiting = 0

    def waits(self) -> Generator[float]:
        """Take the next slot and yield the seconds to wait for it; closing the iterator gives it back.

        Raises psycopg.Error if the database cannot be reached.
        """
        with self._lock:
            self._waiting += 1
        try:
            while (slot := self.take()) is None:
                yield random.uniform(0.5, 1.5) * _RETRY  # noqa: S311 - so that not all look at the same time
        finally:
            with self._lock:
                self._waiting -= 1
        seconds = slot - time.monotonic()
        if seconds > 0:
            try:
                yield seconds
            except GeneratorExit:
                with self._lock:
                    self._slots.appendleft(slot)
                raise

    def take(self) -> float | None:
        """Return the next slot, a moment of the monotonic clock; None if it is beyond the horizon."""
        with self._lock:
            now = time.monotonic()
            while self._slots and self._slots[0] < now - _STALE:
                self._slots.popleft()
            if not self._slots:
                self._lease()
            return self._slots.popleft() if self._slots else None

    def close(self) -> None:
        """Close the connection. A later request opens another one."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _lease(self) -> None:
        """Lease slots for the requests that wait."""
        count = max(1, min(self._waiting, int(self._rate * _MAX_SECONDS)))
        parameters = {
            "account": self._account,
            "length": count / self._rate,
            "catch_up": _CATCH_UP,
            "horizon": _HORIZON,
            "impossible": _IMPOSSIBLE,
        }
        try:
            row = self._open().execute(_LEASE, parameters).fetchone()
        except psycopg.OperationalError:
            if self._connection is None or not self._connection.closed:
                raise
            row = self._open().execute(_LEASE, parameters).fetchone()  # it was lost while it was idle
        if row is not None:
            first = time.monotonic() + row[0]
            self._slots.extend(first + number / self._rate for number in range(count))

    def _open(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                bounded_conninfo(self._database_url),
                autocommit=True,
                client_encoding=CLIENT_ENCODING,
                fallback_application_name=APPLICATION_NAME,
            )
            # Losing a lease in a crash is acceptable; waiting for the disk is not.
            self._connection.execute(
                "select set_config('search_path', 'pg_catalog, pg_temp', false),"
                " set_config('synchronous_commit', 'off', false),"
                " set_config('statement_timeout', '5s', false)"
            )
        return self._connection


def share_background(client: Client, database_url: str, account: str) -> RequestBudget:
    """Have the client's background requests share the budget of the account, ``acct_…``, in the database.

    Returns the process's part of the budget, which is to be closed when the client is not used any more.
    """
    mode = "test" if "_test_" in client.options.key.reveal() else "live"
    budget = RequestBudget(database_url, f"{account} {mode}", client.background_rate)
    client.share_background(budget)
    return budget
