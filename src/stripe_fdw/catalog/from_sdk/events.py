"""Which table each event type is about."""

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
    """Event types by table. Raises ValueError for a type that is about no table and not known to be."""

    def __init__(self, types: Iterable[str], tables: Iterable[str]) -> None:
        """Sort the types out."""
        known = set(tables)
        self._events: dict[str, list[str]] = {}
        for event in types:
            table = self._table(event, known)
            if table:
                self._events.setdefault(table, []).append(event)

    def of(self, table: str) -> tuple[str, ...]:
        """The event types that carry rows of a table."""
        return tuple(self._events.get(table, ()))

    def freshness(self, table: str) -> Freshness:
        """How copies of a table are kept true."""
        if table in FRESHNESS:
            return FRESHNESS[table][0]
        if table in EVENTS_OF:
            return Freshness.EVENTS
        events = self.of(table)
        only_created = all(event.endswith(".created") for event in events)
        told = events and (not only_created or table in IMMUTABLE)
        return Freshness.EVENTS if told else Freshness.RESCAN

    @staticmethod
    def _table(event: str, names: set[str]) -> str:
        parts = event.split(".")
        for length in range(len(parts), 0, -1):
            beginning = ".".join(parts[:length])
            if beginning in EVENT_TABLES:
                return EVENT_TABLES[beginning]
            if beginning in EVENTS_WITHOUT_TABLE:
                return ""
            if beginning.replace(".", "_") in names:
                return beginning.replace(".", "_")
        raise ValueError(f"no table is known for the event {event}: name one in the overlay, or the reason")
