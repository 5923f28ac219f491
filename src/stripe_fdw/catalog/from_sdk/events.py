"""The table of each event type."""

from __future__ import annotations

from collections.abc import Iterable

from stripe_fdw.catalog.model import Freshness
from stripe_fdw.catalog.overlay.events import (
    EVENT_TABLES,
    EVENTS_OF,
    EVENTS_WITHOUT_TABLE,
    FRESHNESS,
    IMMUTABLE,
)


class EventMap:
    """Event types by table.

    Raises:
        ValueError: a type belongs to no table, and the overlay does not list it as such.

    """

    def __init__(self, types: Iterable[str], tables: Iterable[str]) -> None:
        """Assign the types to the tables."""
        names = set(tables)
        self._events: dict[str, list[str]] = {}
        for event in types:
            table = self._table(event, names)
            if table:
                self._events.setdefault(table, []).append(event)

    def of(self, table: str) -> tuple[str, ...]:
        """Return the event types that contain rows of a table."""
        return tuple(self._events.get(table, ()))

    def freshness(self, table: str) -> Freshness:
        """Return how a copy of a table is kept up to date."""
        if table in FRESHNESS:
            return FRESHNESS[table][0]
        if table in EVENTS_OF:
            return Freshness.EVENTS
        events = self.of(table)
        only_created = all(event.endswith(".created") for event in events)
        reported = events and (not only_created or table in IMMUTABLE)
        return Freshness.EVENTS if reported else Freshness.RESCAN

    @staticmethod
    def _table(event: str, names: set[str]) -> str:
        parts = event.split(".")
        for length in range(len(parts), 0, -1):
            prefix = ".".join(parts[:length])
            if prefix in EVENT_TABLES:
                return EVENT_TABLES[prefix]
            if prefix in EVENTS_WITHOUT_TABLE:
                return ""
            if prefix.replace(".", "_") in names:
                return prefix.replace(".", "_")
        raise ValueError(f"no table is known for the event {event}: name one in the overlay, or the reason")
