"""The scans that Multicorn2 has begun: it does not end those of a statement that failed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar
from weakref import WeakSet

G = TypeVar("G", bound=Generator[Any, None, None])


class OpenScans:
    """The generators of rows that may still be read.

    No scan outlives its transaction, so those of earlier ones are closed when a later one begins to read.
    """

    def __init__(self, transaction_started: Callable[[], int | None]) -> None:
        """Start without any. ``transaction_started`` distinguishes transactions."""
        self._transaction_started = transaction_started
        self._transaction: int | None = None
        self._open: WeakSet[Generator[Any, None, None]] = WeakSet()

    def add(self, rows: G) -> G:
        """Add a scan, close those of earlier transactions, and return the scan."""
        transaction = self._transaction_started()
        if transaction != self._transaction:
            self._transaction = transaction
            for scan in list(self._open):
                scan.close()
            self._open.clear()
        self._open.add(rows)
        return rows
