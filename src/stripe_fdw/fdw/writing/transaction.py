"""What the statements of a transaction are writing, and how the transaction ends."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from stripe_fdw.fdw.backend import hosting
from stripe_fdw.fdw.writing.statement import Writing
from stripe_fdw.fdw.writing.write_log import ledger


class Writings:
    """What statements of this backend's transaction are writing, each to its tables."""

    def __init__(self) -> None:
        self._running: dict[tuple[Hashable, Hashable], Writing] = {}

    def of(self, table: Hashable, account: str, width: int) -> Writing:
        """What the statement that calls writes to the table."""
        statement = hosting.executor_run()
        found = self._running.get((statement, table))
        if found is None or found.failed:
            found = self._running[statement, table] = Writing(account, width)
        return found

    def end(self, table: Hashable) -> None:
        """The statement that calls writes no more to the table. Raises what a row failed with."""
        found = self._running.pop((hosting.executor_run(), table), None)
        if found is not None and not found.failed:
            found.end()

    # -- what the host tells; only the first may raise ------------------------------------------------------

    def pre_commit(self) -> None:
        """The transaction is to be committed: nothing may be under way any more."""
        for writing in list(self._running.values()):
            if not writing.failed:
                writing.end()
        self._running.clear()

    def commit(self) -> None:
        """It is committed."""
        self._running.clear()
        ledger.commit()

    def rollback(self) -> None:
        """It is rolled back."""
        self._settle(0)
        ledger.rollback()

    def sub_commit(self, level: int) -> None:
        """A savepoint, the transaction's one being number 1, is released."""
        ledger.sub_commit(level)

    def sub_rollback(self, level: int) -> None:
        """What was done since a savepoint is rolled back."""
        self._settle(level)
        ledger.sub_rollback(level)

    def _settle(self, level: int) -> None:
        for key, writing in list(self._running.items()):
            if writing.level >= level:
                writing.settle()
                del self._running[key]


writings: Final = Writings()
"""This backend's."""
