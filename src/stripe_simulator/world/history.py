"""The latest writes to an account's collections, by which a read can be answered as it was before them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from stripe_simulator.seeding import stable_hash

if TYPE_CHECKING:
    from stripe_simulator.types import Json

NOTHING: Final[Any] = object()  # in the place of an object that was not written before


class Written(Protocol):
    """A collection, as its history sees it."""

    def restore(self, position: int, values: Json | None) -> Json | None:
        """Put values back at a position without any consequence; return those that were there."""


class History:
    """The writes since `is_kept` was set, in their order."""

    def __init__(self) -> None:
        self.is_kept = False
        self._writes: list[tuple[float, Written, int, Json | None]] = []

    def note(self, collection: Written, position: int, before: Json | None) -> None:
        """Keep what a write replaces: None for a deleted object, NOTHING where none was written."""
        if self.is_kept:
            self._writes.append((time.monotonic(), collection, position, before))

    def clear(self) -> None:
        """Forget all writes, and keep no more."""
        self.is_kept = False
        self._writes.clear()

    @contextmanager
    def as_of(self, moment: float, share: float = 1.0) -> Iterator[None]:
        """Take back the writes after a moment of the monotonic clock, for a read.

        With a `share` below 1, only those of that share of the objects, always the same ones.
        """
        undone: list[tuple[Written, int, Json | None]] = []
        for written_at, collection, position, before in reversed(self._writes):
            if written_at <= moment:
                break
            if share >= 1 or stable_hash("lag", position) % 1000 < share * 1000:
                undone.append((collection, position, collection.restore(position, before)))
        try:
            yield
        finally:
            for collection, position, values in reversed(undone):
                collection.restore(position, values)
