"""Transactions in the background: each gives way to those of users."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import psycopg

from stripe_fdw.errors import StripeFdwError

_LOCK_SECONDS: Final = 0.2  # to wait for a row that a user's transaction has locked
_PART_LOCK_SECONDS: Final = 0.02  # the same for a part of what is written, of which some rows are locked
_RETRIES: Final = 300  # of a second each


Item = TypeVar("Item")


@contextmanager
def brief_locks(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction that raises LockNotAvailable where another one keeps a row locked."""
    with connection.transaction():
        connection.execute(f"set local lock_timeout = '{_LOCK_SECONDS}s'".encode())
        yield


def around_locks(
    connection: psycopg.Connection,
    items: Sequence[Item],
    write: Callable[[Sequence[Item]], object],
    max_locked: int,
) -> list[Item]:
    """Write items, in a transaction with brief locks, but for those whose rows are locked. Return these.

    Raises LockNotAvailable if there are more than ``max_locked``.
    """
    locked: list[Item] = []

    def write_part(part: Sequence[Item]) -> None:
        try:
            with connection.transaction():
                write(part)
        except psycopg.errors.LockNotAvailable:
            if len(part) > 1:
                connection.execute(f"set local lock_timeout = '{_PART_LOCK_SECONDS}s'".encode())
                half = len(part) // 2
                write_part(part[:half])
                write_part(part[half:])
                return
            locked.extend(part)
            if len(locked) > max_locked:
                raise

    write_part(items)
    return locked


def in_yielding_transaction(
    connection: psycopg.Connection, write: Callable[[], object], check: Callable[[], object]
) -> None:
    """Write in a transaction that gives way to every other: it waits briefly, and tries again later.

    Args:
        connection: outside a transaction.
        write: is called again for each attempt.
        check: is called before each further attempt; what it raises ends them.

    Raises:
        StripeFdwError: another transaction has kept its lock through all attempts.
    """
    for _ in range(_RETRIES):
        try:
            with brief_locks(connection):
                write()
        except psycopg.errors.LockNotAvailable:
            check()
            time.sleep(1)
        else:
            return
    raise StripeFdwError(
        "another transaction has kept a row or a table locked for too long",
        hint="pg_locks and pg_stat_activity show which one it is.",
    )
