"""Transactions in the background: each gives way to those of users."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import psycopg

from stripe_fdw.errors import StripeFdwError

_LOCK_SECONDS: Final = 0.2  # to wait for a row that a user's transaction has locked
_RETRIES: Final = 300  # of a second each


def in_yielding_transaction(
    connection: psycopg.Connection, write: Callable[[], object], check: Callable[[], object]
) -> None:
    """Write in a transaction that gives way to every other: it waits briefly, and tries again later.

    Args:
        connection: outside a transaction.
        write: is called again for each attempt.
        check: is called before each further attempt; what it raises ends them.

    Raises:
        StripeFdwError: another transaction has kept a row locked through all attempts.
    """
    for _ in range(_RETRIES):
        try:
            with connection.transaction():
                connection.execute(f"set local lock_timeout = '{_LOCK_SECONDS}s'".encode())
                write()
        except psycopg.errors.LockNotAvailable:
            check()
            time.sleep(1)
        else:
            return
    raise StripeFdwError("a row of the copy has been locked by another transaction for too long")
